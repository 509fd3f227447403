# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The context's entries of past builds, so that a reason can name the file. Lost memory costs words, never truth."""

from __future__ import annotations

import json
from collections.abc import Mapping

from . import _cache

# A listing of 5,000 files takes 400 kB.
_KEEP = 32


def remember_files(fingerprint: str, files: Mapping[str, str]) -> None:
    """Keep the entries of the context that this fingerprint was taken of."""
    directory = _cache.cache_directory() / "builds"
    _cache.write(directory / _cache.key(fingerprint), json.dumps(dict(files)).encode())
    _cache.prune(directory, _KEEP)


def recall_files(fingerprint: str) -> Mapping[str, str]:
    """:returns: what was kept for this fingerprint, C({}) if nothing was"""
    content = _cache.read(_cache.cache_directory() / "builds" / _cache.key(fingerprint))
    try:
        files = json.loads(content or b"{}")
    except ValueError:
        return {}
    return files if isinstance(files, dict) else {}
