# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `bootc container lint` says, in the forms that contract.md 1.8 knows, and in none of them."""

from __future__ import annotations

from ansible_collections.imagemode.bootc.plugins.module_utils._lint._lint import Finding, parse_lint

SAID = """\
Failed lint: kernel: Found multiple subdirectories in usr/lib/modules
Lint warning: var-tmpfiles: Found content in /var missing systemd tmpfiles.d entries:
  d /var/lib/foo 0755 root root - -
Found non-directory/non-symlink files in /var:
  var/lib/foo/bar

Lint warning: nonempty-boot: Found non-empty /boot: grub
Checks passed: 11
Checks skipped: 1
Warnings: 2
"""


def test_findings_have_names_levels_and_whole_messages() -> None:
    findings, passed = parse_lint(SAID)
    assert [(one.name, one.level) for one in findings] == [("kernel", "fatal"), ("var-tmpfiles", "warning"), ("nonempty-boot", "warning")]
    assert findings[1].message.splitlines()[-1] == "  var/lib/foo/bar"
    assert passed == 11


def test_a_text_of_another_form_holds_no_findings() -> None:
    assert parse_lint("All is well\nChecks: fine\n") == ((), None)
    assert parse_lint("") == ((), None)
    assert parse_lint("Failed lint: utf8:\n")[0] == (Finding("utf8", "fatal", ""),)
