# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place where rooms meet AnsibleModule: unset options, typed errors, results."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

from ._errors import ImageModeError, OptionError
from ._runner import secret_parts
from ._scratch import sweep_private
from ._session import own_session

# Types whose C("") Ansible takes, and `unset` makes C(None).
_TEXT = ("str", "path", "raw")
# A secret of fewer characters would be found where it is not meant.
LONG = 8


class CollectionModule(AnsibleModule):
    """A module whose options treat C("") as unset, and whose errors are typed.

    :ivar changed: set to C(True) as soon as something was changed, so that a failure says so
    """

    params: dict[str, Any]

    def __init__(self, argument_spec: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(argument_spec=argument_spec, **kwargs)
        self.changed = False
        # AWX surveys and `{{ x | default('') }}` send "" for what was not filled in.
        unset(self.params)
        own_session()
        sweep_private()

    def _load_params(self) -> None:
        super()._load_params()
        leave_out(self.params, self.argument_spec)

    def need(self, option: str) -> Any:
        """:returns: the option's value
        :raises OptionError: it is unset, C("") included
        """
        value = self.params[option]
        if value is None:
            raise OptionError(f"The option '{option}' is required and is empty.", hint=f"Set '{option}'.")
        return value

    def hide(self, secrets: Iterable[str]) -> None:
        """Let no result show these, which no option holds. Short ones are for who runs commands to mask: any word may have them in it."""
        self.no_log_values.update(part for secret in secrets for part in secret_parts(secret) if len(part) >= LONG)

    def _log_invocation(self) -> None:
        # Ansible writes a dictionary to syslog as Python shows it, and looks for secrets in that text: one with a quotation mark
        # or a backslash, which are escaped there, is not found (ansible-core 2.19). So they are taken out first.
        params = self.params
        self.params = remove_values(params, self.no_log_values)
        try:
            super()._log_invocation()
        finally:
            self.params = params

    def forget_file(self) -> None:
        """Remove the file that Ansible made of this task; it has the options in it, passwords too, until the task ends.

        For tasks that run code which must not find them. With pipelining there is no such file.
        """
        words = Path("/proc/self/cmdline").read_bytes().split(b"\0")
        for word in words[1:2]:
            if os.path.basename(word).startswith(b"AnsiballZ_"):
                with suppress(OSError):
                    os.unlink(word)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn a typed error into C(fail_json) with C(error), C(hint) and what happened so far; and so what this machine's files refuse."""
        try:
            yield
        except ImageModeError as error:
            self.fail_json(**{"changed": self.changed, **error.as_result()})
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self.fail_json(
                msg=f"A file of this machine could not be read or written: {error}.",
                error="disk_full" if full else ImageModeError.error,
                hint="Make room there." if full else "Look at its permissions; many tasks need 'become: true'.",
                changed=self.changed,
                exception=traceback.format_exc(),
            )


def leave_out(params: dict[str, Any], spec: Mapping[str, Any]) -> None:
    """Take C("") out of raw parameters where Ansible would refuse it as no number, boolean, choice or dictionary, or take it for a
    value where there is a default; and C(None), the variable that was left empty in YAML, where it would be refused. Lists lose it
    always, as L(unset) takes it out of those that Ansible makes of text.

    :param spec: an argument specification, or the options of one option
    """
    for name, option in spec.items():
        value = params.get(name)
        not_empty = "choices" in option or option.get("default") is not None
        if (value is None and not_empty) or (value == "" and (not_empty or option.get("type", "str") not in _TEXT)):
            params.pop(name, None)
        if isinstance(value, list):
            params[name] = value = [item for item in value if item != ""]
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, dict):
                leave_out(part, option.get("options") or {})


def unset(params: dict[str, Any]) -> None:
    """Replace C("") by C(None), in suboptions too; empty strings in lists are dropped."""
    for name, value in params.items():
        if value == "":
            params[name] = None
        elif isinstance(value, dict):
            unset(value)
        elif isinstance(value, list):
            params[name] = [item for item in value if item != ""]
            for item in params[name]:
                if isinstance(item, dict):
                    unset(item)
