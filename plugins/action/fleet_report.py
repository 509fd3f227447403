# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a report of a fleet on the controller."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._action import options
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.report import as_csv, as_html, as_json, report

ARGUMENTS: dict[str, Any] = {
    "journal": {"type": "list", "elements": "path", "required": True},
    "hosts": {"type": "list", "elements": "str"},
    "title": {"type": "str", "default": "Fleet report"},
    "dest": {"type": "path"},
    "formats": {"type": "list", "elements": "str", "choices": ["json", "csv", "html"], "default": ["json", "csv", "html"]},
}
WRITERS = {"json": as_json, "csv": as_csv, "html": as_html}


class ReportUnwritable(ImageModeError):
    """A file of the report cannot be written."""

    error = "report_unwritable"


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        try:
            asked = options(ARGUMENTS, self._task.args)
            known = read(Path(path) for path in asked["journal"])
            if asked["hosts"] is not None:
                # A host that nobody has seen yet is in the report, too.
                known = {host: known.get(host) or Record(host, "", result="unreachable") for host in asked["hosts"]}
            newest = max((record.time for record in known.values()), default="")
            document = report(known, newest or datetime.now(timezone.utc).isoformat(timespec="milliseconds"), asked["title"])
            files: dict[str, str] = {}
            if asked["dest"]:
                files = {name: str(Path(asked["dest"]) / f"report.{name}") for name in asked["formats"]}
                written = [self._write(Path(path), WRITERS[name](document)) for name, path in files.items()]
                result["changed"] = any(written)
            result.update({name: document[name] for name in ("hosts", "states", "digests", "waves", "rows")}, files=files)
        except ImageModeError as error:
            result.update(failed=True, **error.as_result())
        return result

    def _write(self, path: Path, text: str) -> bool:
        """Replace a file at once.

        :returns: whether it has another content now
        :raises ReportUnwritable: it cannot be written
        """
        try:
            if path.exists() and path.read_text() == text:
                return False
            if not self._task.check_mode:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
                with os.fdopen(descriptor, "w") as file:
                    file.write(text)
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
        except (OSError, UnicodeDecodeError) as error:
            raise ReportUnwritable(f"The report '{path}' cannot be written: {error}.", hint="Name another directory in 'dest'.") from None
        return True
