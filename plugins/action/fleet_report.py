# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a report of a fleet on the controller."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.report import as_csv, as_html, as_json, report
from ansible_collections.imagemode.bootc.plugins.module_utils._replace import replace_file
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import ControllerAction, now

WRITERS = {"json": as_json, "csv": as_csv, "html": as_html}


class ReportUnwritable(ImageModeError):
    """A file of the report cannot be written."""

    error = "report_unwritable"


class ActionModule(ControllerAction):
    arguments: ClassVar[dict[str, Any]] = {
        "journal": {"type": "list", "elements": "path", "required": True},
        "hosts": {"type": "list", "elements": "str"},
        "title": {"type": "str", "default": "Fleet report"},
        "dest": {"type": "path"},
        "formats": {"type": "list", "elements": "str", "choices": list(WRITERS), "default": list(WRITERS)},
    }

    def act(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        known = read(Path(path) for path in options["journal"])
        if options["hosts"] is not None:
            # A host that nobody has seen yet is in the report, too.
            known = {host: known.get(host) or Record(host, "", message="nobody has looked at it yet") for host in options["hosts"]}
        newest = max((record.time for record in known.values()), default="")
        document = report(known, newest or now(), options["title"])
        files = {name: Path(options["dest"]) / f"report.{name}" for name in options["formats"]} if options["dest"] else {}
        written = [self._write(path, WRITERS[name](document)) for name, path in files.items()]
        return {
            "changed": any(written),
            "files": {name: str(path) for name, path in files.items()},
            **{name: document[name] for name in ("hosts", "states", "digests", "waves", "rows")},
        }

    def _write(self, path: Path, text: str) -> bool:
        """Replace a file at once.

        :returns: whether it has, or would have, another content now
        :raises ReportUnwritable: it cannot be written
        """
        try:
            if path.exists() and path.read_text(encoding="utf-8") == text:
                return False
            if self._task.check_mode:
                _require_place(path.parent)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, text, 0o644)
        except (OSError, UnicodeDecodeError) as error:
            raise ReportUnwritable(f"The report '{path}' cannot be written: {error}.", hint="Name another directory in 'dest'.") from None
        return True


def _require_place(directory: Path) -> None:
    """:raises OSError: a file could not be made in this directory, or the directory itself could not be made"""
    there = next(place for place in (directory, *directory.parents) if os.path.lexists(place))
    fault = errno.ENOTDIR if not there.is_dir() else 0 if os.access(there, os.W_OK | os.X_OK) else errno.EACCES
    if fault:
        raise OSError(fault, os.strerror(fault), str(there))
