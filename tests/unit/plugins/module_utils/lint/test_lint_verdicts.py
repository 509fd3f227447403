# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When an image is refused: by bootc's own lint, and by the project's where bootc has none."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine import EngineFailed, LocalImage
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._lint import lint
from ansible_collections.imagemode.bootc.plugins.module_utils._lint._checks import PROBE, Facts
from ansible_collections.imagemode.bootc.plugins.module_utils._lint._lint import own_checks
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Completed

GOOD: Facts = {
    "bootc": ("there",),
    "kernel": ("6.1",),
    "initramfs": ("6.1",),
    "directory": ("dev", "proc", "sys", "run", "tmp", "var", "sysroot"),
    "ostree": ("sysroot/ostree",),
    "prepare_root": ("[composefs];enabled=yes;",),
    "install": ("/usr/lib/bootc/install/00.toml",),
    "bootupd": ("/usr/lib/bootupd/updates/EFI.json",),
    "end": ("end",),
}
LABELS = {"containers.bootc": "1"}
IMAGE = LocalImage(f"sha256:{'0' * 64}", "", "linux/amd64", LABELS)


class Box:
    """Stands in for a container of the image.

    :ivar asked: the commands, but for the questions of the lint's own
    """

    def __init__(self, version: str, said: str = "", rc: int = 0) -> None:
        self.version, self.said, self.rc = version, said, rc
        self.asked: list[str] = []

    def run(self, argv: list[str], timeout: float) -> Completed:
        if "--version" in argv[-1]:
            return Completed(tuple(argv), 0, self.version, "", 0.0)
        self.asked.append(" ".join(argv))
        return Completed(tuple(argv), self.rc, self.said, "", 0.0)


def probed(facts: Facts) -> str:
    return "".join(f"{key}\t{value}\n" for key, values in facts.items() for value in values)


@pytest.mark.parametrize(
    ("version", "options", "argv"),
    [
        ("bootc 1.1.6\n", {}, "bootc container lint"),
        ("bootc 1.3.0\n", {}, "bootc container lint --no-truncate"),
        ("bootc 1.3.0\n", {"fatal_warnings": True}, "bootc container lint --fatal-warnings --no-truncate"),
        ("bootc 1.1.6\n", {"skip": ["kernel", "utf8"]}, "bootc container lint --skip kernel --skip utf8"),
        ("bootc 1.1.5\n", {}, None),
        ("", {}, None),
    ],
)
def test_bootc_is_asked_where_its_lints_have_names(version: str, options: dict[str, Any], argv: str | None) -> None:
    box = Box(version, "Checks passed: 9\n" if argv else probed(GOOD))
    report = lint(box, IMAGE, **{"skip": [], "fatal_warnings": False, "timeout": 1, **options})  # type: ignore[arg-type]
    assert box.asked == [argv or f"/bin/sh -c {PROBE}"]
    assert (report.linter, report.bootc_version) == ("bootc" if argv else "imagemode.bootc", version[6:].strip() or None)
    assert (report.findings, report.passed, report.failed) == ((), 9 if argv else 19, False)


@pytest.mark.parametrize(("rc", "failed"), [(0, False), (1, True)])
def test_the_verdict_is_bootcs_return_code(rc: int, failed: bool) -> None:
    box = Box("bootc 1.3.0\n", "Lint warning: var-log: Found logs\nChecks passed: 9\n", rc)
    report = lint(box, IMAGE, [], True, 1)  # type: ignore[arg-type]
    assert report.failed is failed
    assert report.as_result() == {
        "linter": "bootc",
        "bootc_version": "1.3.0",
        "lints": [{"name": "var-log", "level": "warning", "message": "Found logs", "passed": False}],
        "lints_passed": 9,
    }


def test_a_warning_passes_where_it_is_not_fatal() -> None:
    faults = {**GOOD, "kernel": (), "initramfs": (), "bootc": ()}
    for fatal, passed in ((False, [False, True]), (True, [False, False])):
        assert [one["passed"] for one in own_checks(faults, IMAGE, None, [], fatal).as_result()["lints"]] == passed


def test_what_is_no_verdict_is_an_error() -> None:
    with pytest.raises(ImageModeError, match="failed with return code 1: error: Unknown lint") as refused:
        lint(Box("bootc 1.3.0\n", "error: Unknown lint\n", 1), IMAGE, ["x"], False, 1)  # type: ignore[arg-type]
    assert refused.value.error == "bootc_failed"
    with pytest.raises(EngineFailed, match="could not be looked into"):
        lint(Box("", probed({**GOOD, "end": ()})), IMAGE, [], False, 1)  # type: ignore[arg-type]


def kargs(text: str) -> tuple[str, ...]:
    return (f"/usr/lib/bootc/kargs.d/10.toml={base64.b64encode(text.encode()).decode()}",)


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        *(
            ("api-base-directories", {"directory": tuple(name for name in GOOD["directory"] if name != lost)})
            for lost in GOOD["directory"][:-1]
        ),
        ("baseimage-root", {"directory": GOOD["directory"][:-1]}),
        ("baseimage-root", {"ostree": ("/ostree",)}),
        ("baseimage-root", {"ostree": ("",)}),
        ("bootc-kargs", {"kargs": kargs("kargs = 'quiet'")}),
        ("bootc-kargs", {"kargs": kargs("kargs = [7]")}),
        ("bootc-kargs", {"kargs": kargs("match-arch = ['x']")}),
        ("bootc-kargs", {"kargs": kargs("kargs = [")}),
        ("boot-loader", {"bootupd": ()}),
        ("etc-usretc", {"usretc": ("/usr/etc/passwd",)}),
        ("initramfs", {"initramfs": ()}),
        ("kernel", {"kernel": ("6.1", "6.2"), "initramfs": ("6.1", "6.2")}),
        ("kernel", {"kernel": ()}),
        ("kernel", {"uki": ("/boot/EFI/Linux/a.efi",)}),
        ("prepare-root", {"prepare_root": ()}),
        ("selinux-policy", {"selinux": ("targeted",)}),
        ("utf8", {"odd_name": ("/usr/ä", "/usr/\ufffd")}),
        ("var-run", {"var_run": ("directory",)}),
        ("baseimage-composefs", {"prepare_root": ("[composefs];enabled=no;",)}),
        ("bootc", {"bootc": ()}),
        ("install-config", {"install": ()}),
        ("nonempty-boot", {"boot": ("/boot/grub",)}),
        ("nonempty-run-tmp", {"tmp": ("/tmp/x",)}),
        ("var-log", {"log": ("/var/log/dpkg.log",)}),
        ("var-tmpfiles", {"var": ("/var/lib/x",)}),
    ],
)
def test_each_fault_is_found_and_no_other(name: str, fact: Mapping[str, tuple[str, ...]]) -> None:
    report = own_checks({**GOOD, **fact}, IMAGE, None, [], False)
    assert [one.name for one in report.findings] == [name]
    assert report.failed is (report.findings[0].level == "fatal")
    assert own_checks({**GOOD, **fact}, IMAGE, None, [], True).failed
    assert not own_checks({**GOOD, **fact}, IMAGE, None, [name], True).findings


@pytest.mark.parametrize(
    "fact",
    [
        {"kernel": (), "initramfs": (), "uki": ("/boot/EFI/Linux/a.efi",)},
        {"bootupd": (), "systemd_boot": ("/usr/lib/systemd/boot/efi/systemd-bootx64.efi",)},
        {"selinux": ("targeted",), "policy": ("/etc/selinux/targeted/policy/policy.33",)},
        {"kargs": kargs("kargs = ['quiet']\nmatch-architectures = ['x86_64']\n")},
        {"odd_name": ("/usr/ä",)},
    ],
)
def test_what_another_image_has_instead_is_good(fact: Mapping[str, tuple[str, ...]]) -> None:
    assert own_checks({**GOOD, **fact}, IMAGE, None, [], False).findings == ()


@pytest.mark.parametrize(("labels", "good"), [({"ostree.bootable": "true"}, True), ({}, False), ({"containers.bootc": ""}, False)])
def test_an_image_says_by_a_label_that_it_boots(labels: dict[str, str], good: bool) -> None:
    report = own_checks(GOOD, LocalImage(IMAGE.id, "", "linux/amd64", labels), None, [], False)
    assert ([one.name for one in report.findings] == []) is good
    assert report.failed is not good
