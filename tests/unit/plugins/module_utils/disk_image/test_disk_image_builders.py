# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How disk images are made: command lines, blueprints, and the code that a throw-away machine gets."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image import image_builder, inside, machine
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.builders import HostBuilder, ImageBuilder, MachineBuilder, Order
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.inside import Job
from ansible_collections.imagemode.bootc.plugins.module_utils._disk_image.machine import Medium
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError, OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._install.files import PlacedFile
from ansible_collections.imagemode.bootc.plugins.module_utils._install.image import Request
from ansible_collections.imagemode.bootc.plugins.module_utils._install.source import Wanted
from ansible_collections.imagemode.bootc.plugins.module_utils._machine.qemu import PLATFORMS
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

REQUEST = Request(
    "registry.example.com/os:1",
    root_keys=("ssh-ed25519 AAAA a",),
    kernel_arguments=("console=ttyS0", 'a="b c"'),
    files=(PlacedFile("etc/motd", b'hello\n"you"', 0o600, "web", "0"),),
    generic_image=True,
)


def order(request: Request = REQUEST, kind: str = "qcow2", image: str = "registry.example.com/os:1") -> Order:
    return Order(request, Wanted.parse(image, None), 1 << 30, kind, 60)


def nothing(*_: object) -> object:
    return pytest.fail("nothing may be fetched")


# image-builder, by the documentation of osbuild ("Migrating from bootc-image-builder", 2026)


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (None, "image-builder build --blueprint /d/b.toml --output-dir /d/output --bootc-ref r/os:1 --bootc-default-fs xfs qcow2"),
        (
            "r/image-builder:1",
            "podman run --rm --privileged --pull=never --security-opt label=type:unconfined_t -v /d/output:/output "
            "-v /var/lib/containers/storage:/var/lib/containers/storage -v /d/b.toml:/blueprint.toml:ro r/image-builder:1 "
            "build --blueprint /blueprint.toml --output-dir /output --bootc-ref r/os:1 --bootc-default-fs xfs qcow2",
        ),
        (
            "r/bootc-image-builder:1",
            "podman run --rm --privileged --pull=never --security-opt label=type:unconfined_t -v /d/output:/output "
            "-v /var/lib/containers/storage:/var/lib/containers/storage -v /d/b.toml:/config.toml:ro r/bootc-image-builder:1 "
            "--type qcow2 --rootfs xfs r/os:1",
        ),
    ],
)
def test_image_builder_is_called_as_documented(container: str | None, expected: str) -> None:
    said = image_builder.command("r/os:1", "qcow2", "xfs", Path("/d/b.toml"), Path("/d/output"), container)
    assert " ".join(said) == expected


def test_a_blueprint_says_what_was_asked() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    document = tomllib.loads(image_builder.blueprint(REQUEST))["customizations"]
    assert document["kernel"]["append"] == 'console=ttyS0 a="b c"'
    assert document["user"] == [{"name": "root", "key": "ssh-ed25519 AAAA a"}]
    assert document["files"] == [{"path": "/etc/motd", "mode": "0600", "user": "web", "group": 0, "data": 'hello\n"you"'}]
    assert "filesystem" not in document


def test_a_size_is_what_the_root_has_at_least() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    document = tomllib.loads(image_builder.blueprint(REQUEST, 20 << 30))["customizations"]
    assert document["filesystem"] == [{"mountpoint": "/", "minsize": 20 << 30}]


def test_an_installer_has_no_size_of_a_disk() -> None:
    with pytest.raises(OptionError, match="'size'"):
        ImageBuilder(Runner(), order(kind="anaconda-iso"), nothing, nothing, None).require()  # type: ignore[arg-type]


def test_without_a_size_image_builder_decides_and_others_take_ten_gibibytes() -> None:
    unset = replace(order(), size=None)
    assert ImageBuilder(Runner(), unset, nothing, nothing, None).size is None  # type: ignore[arg-type]
    assert HostBuilder(Runner(), unset, nothing, nothing).size == 10 << 30  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, bootloader="systemd"),
        replace(REQUEST, files=(PlacedFile("etc/key", b"\xff"),)),
        replace(REQUEST, files=(PlacedFile("var/lib/agent/id", b"1"),)),
        replace(REQUEST, files=(PlacedFile("etc/fstab", b""),)),
    ],
)
def test_what_image_builder_cannot_do_is_refused(request_: Request) -> None:
    with pytest.raises(OptionError):
        image_builder.blueprint(request_)


def test_an_iso_of_two_images_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(OptionError, match="installer") as caught:
        ImageBuilder(Runner(), order(kind="iso"), nothing, nothing, None).require()  # type: ignore[arg-type]
    assert "--bootc-installer-payload-ref" in (caught.value.hint or "")


def test_image_builder_knows_no_other_reference_to_follow() -> None:
    with pytest.raises(OptionError, match="follow"):
        ImageBuilder(Runner(), order(replace(REQUEST, target="r.example.com/os:stable")), nothing, nothing, None).require()  # type: ignore[arg-type]


def test_what_image_builder_made_is_found(tmp_path: Path) -> None:
    fake = tmp_path / "bin/image-builder"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nmkdir -p "$5/qcow2"; echo disk > "$5/qcow2/disk.qcow2"; echo {} > "$5/manifest-qcow2.json"\n')
    fake.chmod(0o755)
    runner = Runner({"PATH": f"{fake.parent}:/usr/bin:/bin"})
    (tmp_path / "folder").mkdir()
    made = image_builder.build(runner, "r/os:1", REQUEST, None, "qcow2", tmp_path / "folder", None, 60)
    assert made["path"] == tmp_path / "folder/output/qcow2/disk.qcow2"
    assert not (tmp_path / "folder/blueprint.toml").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "made 0 files, and one was expected: "),
        ("echo resolving >&2; echo 'error: cannot depsolve' >&2; exit 3", "ended with 3: resolving\nerror: cannot depsolve"),
        ('mkdir -p "$5"; touch "$5/a.qcow2" "$5/b.qcow2"', "made 2 files, and one was expected: a.qcow2, b.qcow2"),
    ],
)
def test_image_builder_that_did_not_make_one_file_failed(tmp_path: Path, script: str, said: str) -> None:
    fake = tmp_path / "bin/image-builder"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    with pytest.raises(ImageModeError) as caught:
        image_builder.build(Runner({"PATH": f"{fake.parent}:/usr/bin:/bin"}), "r/os:1", REQUEST, None, "qcow2", tmp_path, None, 60)
    error = caught.value
    assert (error.error, error.details["cmd"].split()[0]) == ("image_builder_failed", "image-builder")
    assert error.message.startswith("'image-builder build --blueprint ")
    assert f" --bootc-ref r/os:1 qcow2' {said}" in error.message
    assert "'stderr'" in (error.hint or "")


# The throw-away machine


def medium(tmp_path: Path) -> Path:
    for name in ("vmlinuz", "initrd", "root.squashfs"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_live_system_is_found_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Medium.find({"directory": str(medium(tmp_path))})
    assert (found.kernel, found.initrd, found.root) == tuple(str(tmp_path / name) for name in ("vmlinuz", "initrd", "root.squashfs"))
    monkeypatch.setattr(machine, "DIRECTORIES", (str(tmp_path / "no"), str(tmp_path)))
    assert Medium.find({}).kernel == found.kernel
    before = found.version()
    (tmp_path / "initrd").write_text("another one")
    assert found.version() != before


def test_without_a_live_system_it_is_said_what_is_looked_for(tmp_path: Path) -> None:
    for options in ({"directory": str(tmp_path)}, {"iso": str(tmp_path / "no.iso")}, {"kernel": str(tmp_path / "no")}):
        with pytest.raises(ImageModeError) as caught:
            Medium.find(options)
        assert caught.value.error == "live_medium_missing"


def test_the_machine_is_told_about_three_disks_and_no_network() -> None:
    live = Medium(kernel="/m/vmlinuz", initrd="/m/initrd", root="/m/root.squashfs")
    said = machine.machine_command(
        "qemu-system-x86_64", "q35", "ttyS0", live, ["/d/disk.raw", "/d/scratch.raw"], Path("/run/p"), "ssh-ed25519 AAAA"
    )
    smbios = said.pop(said.index("-smbios") + 1)
    assert " ".join(said) == (
        "qemu-system-x86_64 -name imagemode-install -machine q35 -accel tcg -cpu max -smp 1 -m 4096 -nodefaults -display none -no-reboot "
        "-serial file:/run/p/console.log -device virtio-rng-pci -smbios "
        "-nic user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:@PORT@-:22 "
        "-kernel /m/vmlinuz -initrd /m/initrd "
        "-append root=/dev/vda rootfstype=squashfs ro systemd.volatile=overlay enforcing=0 quiet panic=1 console=ttyS0 "
        "-drive if=none,id=live,readonly=on,format=raw,file=/m/root.squashfs -device virtio-blk-pci,drive=live,serial=imagemode-live "
        "-drive if=none,id=imagemode-target,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file=/d/disk.raw "
        "-device virtio-blk-pci,drive=imagemode-target,serial=imagemode-target,werror=report,rerror=report "
        "-drive if=none,id=imagemode-scratch,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file=/d/scratch.raw "
        "-device virtio-blk-pci,drive=imagemode-scratch,serial=imagemode-scratch,werror=report,rerror=report"
    )
    drop_in = base64.b64decode(smbios.partition("tmpfiles.extra=")[2]).decode()
    assert base64.b64decode(drop_in.split()[-1]).decode() == "ssh-ed25519 AAAA\n"


def alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_machine_does_not_outlive_a_task_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    qemu = PLATFORMS[os.uname().machine].program
    for name, script in (("ssh-keygen", 'touch "$9" "$9.pub"'), ("ssh", "exit 255"), (qemu, f"echo $$ > {tmp_path}/pid; exec sleep 600")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    script = f"""
from pathlib import Path
from {machine.__name__} import Medium, Runner, ThrowAwayMachine
ThrowAwayMachine(Runner(), Medium(kernel="k"), [], Path({str(tmp_path)!r})).start()
"""
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as task:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
        pid = int((tmp_path / "pid").read_text())
        task.kill()
    until(lambda: not alive(pid))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'qemu: Could not open /dev/kvm' >&2; exit 1", "ended before its SSH server answered (1 of 3 attempts)."),
        ("exec sleep 600", "did not answer over SSH within 1 seconds."),
    ],
)
def test_a_machine_that_does_not_answer_is_told_with_what_qemu_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    """Programs that stand in for QEMU and SSH: nothing boots here."""
    (tmp_path / "bin").mkdir()
    qemu = PLATFORMS[os.uname().machine].program
    for name, body in (
        ("ssh-keygen", 'touch "$9" "$9.pub"'),
        ("ssh", "exit 255"),
        (qemu, f"echo booting > {tmp_path}/console.log; {script}"),
    ):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    runner = Runner({"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    throw_away = machine.ThrowAwayMachine(runner, Medium(kernel="k", timeout=1 if "sleep" in script else 30), [], tmp_path)
    with pytest.raises(ImageModeError) as caught:
        throw_away.start()
    throw_away.stop()
    assert caught.value.message.startswith(f"The throw-away machine {said}")
    assert caught.value.message.endswith("qemu: Could not open /dev/kvm" if "kvm" in script else "booting")
    assert (caught.value.error, caught.value.details["console"]) == ("machine_failed", "booting")
    assert "'boot_timeout'" in (caught.value.hint or "")


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_arrives_as_it_was_sent() -> None:
    job = Job(REQUEST, f"sha256:{'1' * 64}", 60)
    assert Job.decode(job.encode()) == job


def test_the_code_that_is_sent_runs_on_its_own(tmp_path: Path) -> None:
    """On a machine without the collection and without Ansible; it gets as far as mounting the disk with the image."""
    (tmp_path / "code.zip").write_bytes(machine.own_code())
    script = f"""
import runpy, sys
sys.path[:] = [{str(tmp_path / "code.zip")!r}, *(path for path in sys.path if "site-packages" not in path)]
runpy.run_module({inside.__name__!r}, run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        input=Job(REQUEST, None, 60).encode(),
        text=True,
        capture_output=True,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert '"error": "command_' in done.stdout


def test_a_machine_cannot_bind_a_disk_to_a_tpm(tmp_path: Path) -> None:
    asked, live = order(replace(REQUEST, block_setup="tpm2-luks")), {"directory": str(medium(tmp_path))}
    builder = MachineBuilder(Runner(), asked, nothing, nothing, live)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="TPM"):
        builder.require()


def test_a_format_of_image_builder_is_made_by_it_only(tmp_path: Path) -> None:
    builder = MachineBuilder(Runner(), order(kind="ami"), nothing, nothing, {"directory": str(medium(tmp_path))})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="image-builder"):
        builder.require()
