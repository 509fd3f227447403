# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what was found is what was expected, and if not, why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .._runner import Completed
from ._probe import Facts, text_of
from ._test import Test, mode

_LONGEST = 200


def judge(test: Test, facts: Facts) -> str | None:
    """:param facts: what was printed of the test's subject
    :returns: why the test failed; C(None) if it passed
    """
    return _JUDGES[test.kind](test, facts)


def judge_command(test: Test, done: Completed) -> str | None:
    rc = test.expected.get("rc", 0)
    if done.rc != rc:
        words = done.last_words.splitlines()
        return f"the return code is {done.rc}, not {rc}" + (f": {_short(words[-1])}" if words else "")
    for stream, said in (("stdout", done.stdout), ("stderr", done.stderr)):
        pattern = test.expected.get(stream)
        if pattern is not None and not matches(pattern, said):
            return f"{stream} does not match '{pattern}': {_short(said)!r}"
    return None


def matches(pattern: str, text: str) -> bool:
    """As people write patterns for the output of commands: anywhere, C(^) and C($) at each line."""
    return re.search(pattern, text, re.MULTILINE) is not None


def _file(test: Test, facts: Facts) -> str | None:
    target, kind = _one(facts, "target"), _one(facts, "type")
    if test.state == "absent":
        return None if target is None and kind is None else f"{test.subject} is there"
    wants_link = test.state == "link" or "target" in test.expected
    if target is None and (kind is None or wants_link):
        return f"{test.subject} is not there" if kind is None else f"{test.subject} is a {kind}, not a link"
    if "target" in test.expected and target != test.expected["target"]:
        return f"{test.subject} leads to '{target}', not to '{test.expected['target']}'"
    looks_through = test.state in ("file", "directory") or bool({"mode", "owner", "group", "content"} & set(test.expected))
    if kind is None and (looks_through or not wants_link):
        return f"{test.subject} leads to '{target}', which is not there"
    if test.state in ("file", "directory") and kind != test.state:
        return f"{test.subject} is a {kind}, not a {test.state}" if kind != "other" else f"{test.subject} is no {test.state}"
    return _permissions(test, facts) or _content(test, facts, kind)


def _permissions(test: Test, facts: Facts) -> str | None:
    wanted = {option: test.expected[option] for option in ("mode", "owner", "group") if option in test.expected}
    if not wanted:
        return None
    words = (_one(facts, "stat") or "").split()
    if len(words) != 5:
        return "the mode and the owner cannot be told: there is no working 'stat' in the image"
    bits, uid, user, gid, group = words
    if "mode" in wanted and int(bits, 8) != mode(wanted["mode"]):
        return f"the mode is {int(bits, 8):04o}, not {mode(wanted['mode']):04o}"
    for option, number, name in (("owner", uid, user), ("group", gid, group)):
        if option in wanted and wanted[option] not in (number, name):
            return f"the {option} is {name} ({number}), not {wanted[option]}"
    return None


def _content(test: Test, facts: Facts, kind: str | None) -> str | None:
    pattern = test.expected.get("content")
    if pattern is None:
        return None
    if kind != "file":
        return f"{test.subject} is no file that has content"
    content = text_of(_one(facts, "content") or "")
    return None if matches(pattern, content) else f"the content does not match '{pattern}': {_short(content)!r}"


def _package(test: Test, facts: Facts) -> str | None:
    if not facts.get("manager"):
        return "neither rpm nor dpkg is in the image"
    versions = facts.get("version", ())
    if test.state == "absent":
        return f"it is installed, version {versions[0]}" if versions else None
    if not versions:
        return "it is not installed"
    pattern = test.expected.get("version")
    if pattern is None or any(matches(pattern, version) for version in versions):
        return None
    return f"its version is {' and '.join(versions)}, which does not match '{pattern}'"


def _service(test: Test, facts: Facts) -> str | None:
    said = _one(facts, "enabled")
    if said is None:
        return "systemd is not in the image"
    # systemd 251 and older say this in words of an error.
    found = "absent" if said == "not-found" or "No such file" in said or "does not exist" in said else said.removesuffix("-runtime")
    return None if found == test.state else f"it is {_short(found)}, not {test.state}"


def _user(test: Test, facts: Facts) -> str | None:
    entry = (_one(facts, "passwd") or "").split(":")
    if len(entry) < 7:
        return None if test.state == "absent" else "there is no such user"
    if test.state == "absent":
        return f"the user is there, with uid {entry[2]}"
    found = {"uid": entry[2], "home": entry[5], "shell": entry[6], "group": _one(facts, "group") or entry[3]}
    groups = (_one(facts, "groups") or "").split()
    lacking = [group for group in test.expected.get("groups", ()) if group not in groups]
    if lacking:
        return f"the user is in {', '.join(groups) or 'no group'}, not in {', '.join(lacking)}"
    return _differs(test, found)


def _group(test: Test, facts: Facts) -> str | None:
    entry = (_one(facts, "entry") or "").split(":")
    if len(entry) < 3:
        return None if test.state == "absent" else "there is no such group"
    return f"the group is there, with gid {entry[2]}" if test.state == "absent" else _differs(test, {"gid": entry[2]})


def _differs(test: Test, found: Mapping[str, str]) -> str | None:
    for option, value in found.items():
        wanted = test.expected.get(option)
        if wanted is not None and str(wanted) != value:
            return f"the {option} is {value}, not {wanted}"
    return None


def _kernel(test: Test, facts: Facts) -> str | None:
    kernels, ukis = facts.get("kernel", ()), facts.get("uki", ())
    if len(kernels) + len(ukis) != 1:
        found = ", ".join((*kernels, *ukis))
        return f"there is not exactly one kernel, but {found}" if found else "there is no kernel in /usr/lib/modules"
    if kernels and kernels[0] not in facts.get("initramfs", ()):
        return f"the kernel {kernels[0]} has no initramfs.img beside it"
    pattern, version = test.expected.get("version"), (*kernels, *ukis)[0]
    return None if pattern is None or matches(pattern, version) else f"the kernel is {version}, which does not match '{pattern}'"


def _value(test: Test, facts: Facts) -> str | None:
    value, what = _one(facts, "value"), "label" if test.kind == "label" else "variable"
    if test.state == "absent":
        return None if value is None else f"the {what} is there: {_short(value)!r}"
    if value is None:
        return f"there is no such {what}"
    pattern = test.expected.get("value")
    return None if pattern is None or matches(pattern, value) else f"the {what} does not match '{pattern}': {_short(value)!r}"


def _one(facts: Facts, key: str) -> str | None:
    return facts[key][0] if facts.get(key) else None


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_JUDGES: Mapping[str, Callable[[Test, Facts], str | None]] = {
    "file": _file,
    "package": _package,
    "service": _service,
    "user": _user,
    "group": _group,
    "kernel": _kernel,
    "label": _value,
    "env": _value,
}
