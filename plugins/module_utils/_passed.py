# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What passed before, kept on the builder. Only what can come out no other way the next time is kept: see L(remember)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ._fingerprint import _cache

_KEEP = 64


def remember(what: str, inputs: Any, result: Mapping[str, Any], *, keep: bool = True) -> dict[str, Any]:
    """Keep a result that was good.

    The caller answers for it that the inputs decide the outcome: the image's id stands for all of its content, and
    without a network nothing else comes in but time and the builder's kernel.

    :param what: the module
    :param inputs: JSON-serialisable, all that the outcome depends on
    :param keep: whether they really are all
    :returns: the result, with when it was found
    """
    kept = {**result, "tested_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    directory = _cache.cache_directory() / "passed"
    if keep:
        _cache.write(directory / _key(what, inputs), json.dumps(kept).encode())
        _cache.prune(directory, _KEEP)
    return kept


def recall(what: str, inputs: Any) -> dict[str, Any] | None:
    """:returns: the result that was kept for these inputs"""
    content = _cache.read(_cache.cache_directory() / "passed" / _key(what, inputs))
    try:
        kept = json.loads(content or b"null")
    except ValueError:
        return None
    return kept if isinstance(kept, dict) else None


def _key(what: str, inputs: Any) -> str:
    return _cache.key(what, json.dumps(inputs, sort_keys=True))
