# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: junit
short_description: Write results of tests as JUnit XML
version_added: 0.1.0
description:
  - Turns results of M(imagemode.bootc.oci_image_test) and M(imagemode.bootc.bootc_container_lint) into the XML that CI systems show.
options:
  _input:
    description: >-
      Suites, each with C(name) and C(tests), a list of dictionaries with C(name), C(passed) and optionally C(reason) or
      C(message), C(seconds), C(stdout) and C(stderr).
    type: list
    elements: dict
    required: true
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Keep the results for the CI system
  ansible.builtin.copy:
    content: "{{ [{'name': 'os', 'tests': tested.results}] | imagemode.bootc.junit }}"
    dest: /srv/reports/os.xml
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The XML.
  type: str
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from ansible.errors import AnsibleFilterError

# What XML 1.0 cannot hold, however it is written.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(suites: Sequence[Mapping[str, Any]]) -> str:
    """:param suites: each with C(name) and C(tests), as C(DOCUMENTATION) has them
    :raises AnsibleFilterError: it is something else
    """
    root = ElementTree.Element("testsuites")
    try:
        for suite in suites:
            _suite(root, str(suite["name"]), suite["tests"])
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(f"junit takes a list of suites with 'name' and 'tests': {error}") from error
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ElementTree.Element, name: str, tests: Sequence[Mapping[str, Any]]) -> None:
    seconds = sum(float(test.get("seconds") or 0) for test in tests)
    failed = [test for test in tests if not test["passed"]]
    counts = {"tests": str(len(tests)), "failures": str(len(failed)), "errors": "0", "time": f"{seconds:.2f}"}
    suite = ElementTree.SubElement(root, "testsuite", {"name": _text(name), **counts})
    for test in tests:
        words = {"classname": _text(name), "name": _text(test["name"]), "time": f"{float(test.get('seconds') or 0):.2f}"}
        case = ElementTree.SubElement(suite, "testcase", words)
        reason = _text(test.get("reason") or test.get("message") or "")
        if not test["passed"]:
            failure = ElementTree.SubElement(case, "failure", {"message": reason})
            failure.text = "\n".join(_text(test[stream]) for stream in ("stdout", "stderr") if test.get(stream)) or reason
        elif reason:
            ElementTree.SubElement(case, "system-out").text = reason


def _text(value: Any) -> str:
    return _UNWRITABLE.sub("\ufffd", str(value))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"junit": junit}
