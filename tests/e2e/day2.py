# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Day 2: host.yml, adjust.yml, settle.yml, and updates that were killed, cut off, kept waiting or taken back.

On the machine that `tests/reference/conformance --keep` left up, or a new one. `day2.py judge_and_go_back` runs that part only.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "reference")]

from labkit import conformance, machine, namespace, registry
from labkit.say import LabError
from play import Player, PlayFailed
from prepare import LOGS, ROOT, VENV, prepare
from proof import Failed, Registry, check, status

FORBIDDEN = f"{registry.address('closed')}/os:1"
KILL_AFTER_SECONDS = (15, 35, 60)
STAGE, SETTLE = (str(ROOT / "tests/e2e" / name) for name in ("stage.yml", "settle.yml"))
UPDATE: dict[str, object] = {"update_image": f"{conformance.REPOSITORY}:moving", "update_registry_options": {"plain_http": True}}
KILLS, SEED, NOISE = 20, 1, "noise"
SHUTDOWN_SECONDS = 20
# Most people do not log in as root.
USER = "deploy"
ADD_USER = r"""set -e
id {user} > /dev/null 2>&1 || useradd --create-home {user}
home=$(getent passwd {user} | cut -d: -f6)
install -d -o {user} -g {user} -m 700 "$home/.ssh"
echo '{key}' > "$home/.ssh/authorized_keys"
echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}
"""
# Three times, as soon as it can be reached.
UNSETTLED = r"""set -e
cd /etc/systemd/system
echo 3 > /var/unsettled
cat > /etc/unsettled << END
n=\$(cat /var/unsettled); [ \$n -gt 0 ] || exit 0
sleep 3; echo \$((n - 1)) > /var/unsettled; systemctl --no-block reboot
END
printf '%s\n' '[Unit]' 'After=ssh.service' '[Service]' 'Type=oneshot' 'ExecStart=/bin/sh /etc/unsettled' > unsettled.service
mkdir -p multi-user.target.wants
ln -sf ../unsettled.service multi-user.target.wants/
"""


def have_a_host(player: Player) -> None:
    """And a registry that wants credentials, which the host does not have."""
    if conformance.NAME not in machine.names():
        conformance.host()
    machine.wait(conformance.NAME, timeout=600)
    key = Path(f"{machine.state(conformance.NAME)['key']}.pub").read_text().strip()
    done = machine.ssh(conformance.NAME, ADD_USER.format(user=USER, key=key), timeout=120)
    check(done.returncode == 0, f"the user could not be made: {done.stderr}")
    player.inventory(localhost=["builder"], **{conformance.NAME: ["bootc_hosts"]})
    player.become(conformance.NAME, USER)
    registry.up("closed", user="lab", password="closed")
    _lab("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-creds=lab:closed",
         f"docker://{conformance.REPOSITORY}:1", f"docker://{FORBIDDEN}")  # fmt: skip


def refuse_predict_and_prove(player: Player) -> None:
    player.play(
        str(ROOT / "tests/e2e/host.yml"), {"repository": conformance.REPOSITORY, "forbidden": FORBIDDEN, "options": {"plain_http": True}}
    )


def look_and_adjust(player: Player) -> None:
    player.play(str(ROOT / "tests/e2e/adjust.yml"), {"disk_serial": conformance.SERIAL})


def settle_in(player: Player) -> None:
    """Role host: twice, and then with the host's own timer off, which the other parts expect."""
    options: dict[str, object] = {
        "repository": conformance.REPOSITORY,
        "private": FORBIDDEN,
        "login": {"registry": registry.address("closed"), "username": "lab", "password": "closed"},
    }
    check(player.play(SETTLE, options) > 0, "nothing was changed")
    check(player.play(SETTLE, options) == 0, "another run changed something")
    off = {"host_update_timer": "off"}
    check(player.play("imagemode.bootc.host", off) > 0, "the timer was not taken away")
    check(player.play("imagemode.bootc.host", off) == 0, "another run changed something")
    state = machine.ssh(conformance.NAME, "systemctl is-enabled bootc-fetch-apply-updates.timer", timeout=60).stdout.strip()
    check(state == "masked", f"the timer is {state}")


def survive_kills(player: Player) -> None:
    """The controller with its connections, or bootc itself, at moments of a switch that chance picks; the next run goes on."""
    chance = random.Random(SEED)
    booted = _slot("booted")
    targets = {tag: Registry(conformance.NAME).digest("os", tag) for tag in ("4", "5")}
    earlier = None
    for number in range(KILLS):
        tag, before = "45"[number % 2], _slot("staged")
        seconds, of_bootc = chance.uniform(0, 12), chance.random() < 0.5
        player.kill(STAGE, {"image": f"{conformance.REPOSITORY}:{tag}"}, seconds)
        if of_bootc:
            machine.ssh(conformance.NAME, "systemctl kill --signal=KILL --kill-who=all imagemode-bootc-switch", timeout=60)
        staged = _slot("staged")
        found = "staged" if staged == targets[tag] else "as before"
        print(f"   {number + 1}: killed after {seconds:.1f} s{', and bootc' if of_bootc else ''}: {found}", flush=True)
        check(_slot("booted") == booted, "the host runs another image")
        # What a killed controller had asked for before goes on by itself.
        check(staged in (before, targets[tag], earlier), f"{staged} is staged, neither {before} nor {targets[tag]}")
        earlier = targets[tag]
    for tag in "45":
        player.play(STAGE, {"image": f"{conformance.REPOSITORY}:{tag}"})
        check(_slot("staged") == targets[tag], f"{_slot('staged')} is staged, not {targets[tag]}")
        check(player.play(STAGE, {"image": f"{conformance.REPOSITORY}:{tag}"}) == 0, "another run changed something")
    left = machine.ssh(conformance.NAME, "ls -d /run/imagemode-bootc", timeout=60)
    check(left.returncode != 0, "files of the pulls are left")


def lose_the_registry(player: Player) -> None:
    """In the middle of a pull, which shows how far it is."""
    _push(f"COPY --chown=0:0 {NOISE} /usr/share/{NOISE}", "large")
    before = status(conformance.NAME)["status"]
    options: dict[str, object] = {"image": f"{conformance.REPOSITORY}:large"}
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(player.refused, STAGE, options)
        while not refused.done():
            progress = machine.ssh(conformance.NAME, "cat /run/imagemode-bootc/progress", timeout=60).stdout
            if '"pulling"' in progress:
                registry.down(conformance.NAME)
                break
        text = refused.result()
    registry.up(conformance.NAME)
    check("registry_unreachable" in text, "it was not said that the registry is gone")
    check(status(conformance.NAME)["status"] == before, "the host is not as it was")
    player.play(STAGE, options)
    check(_slot("staged") == Registry(conformance.NAME).digest("os", "large"), "the next run did not stage the image")


def survive_the_controller(player: Player) -> None:
    """However far an update came, the next run goes on from there; also if the host takes longer than anybody waits."""
    _tag("1", "moving")
    digest = Registry(conformance.NAME).digest("os", "1")
    options = {**UPDATE, "update_connect_timeout": 900}
    for seconds in KILL_AFTER_SECONDS:
        player.kill("imagemode.bootc.update", options, seconds)
        print(f"   killed after {seconds} s", flush=True)
    time.sleep(SHUTDOWN_SECONDS)  # it may have been told just now to boot what it was sent
    machine.wait(conformance.NAME, timeout=600)
    if _slot("booted") != digest:
        text = player.refused("imagemode.bootc.update", {**options, "update_reboot_timeout": 1})
        check("host_not_back" in text, "it was not said that the host did not come back")
    player.play("imagemode.bootc.update", {**options, "update_health_commands": ["touch /run/judged"]})
    check(_slot("booted") == digest, f"the machine runs {_slot('booted')}, not {digest}")
    judged = machine.ssh(conformance.NAME, "test -e /run/judged && test ! -e /var/lib/imagemode-bootc.trial", timeout=60)
    check(judged.returncode == 0, "what booted was not judged, or is on trial for ever")
    check(player.play("imagemode.bootc.update", options) == 0, "another run changed something")


def keep_to_the_window(player: Player) -> None:
    _tag("2", "moving")
    now = datetime.now(timezone.utc)
    closed = {"start": f"{now + timedelta(hours=2):%H:%M}", "end": f"{now + timedelta(hours=3):%H:%M}"}
    before = status(conformance.NAME)["status"]
    check(player.play("imagemode.bootc.update", {**UPDATE, "update_window": closed}) == 0, "something was changed outside the window")
    check(status(conformance.NAME)["status"] == before, "the host is not as it was")
    player.play("imagemode.bootc.update", {**UPDATE, "update_window": closed, "update_outside_window": "download"})
    staged = status(conformance.NAME)["status"]["staged"]
    check(bool(staged and staged["downloadOnly"]), "the image was not downloaded, or would be booted")


def judge_and_go_back(player: Player) -> None:
    """The host goes down three times more before it settles; then a check fails, and it is taken back."""
    before = _slot("booted")
    machine.ssh(conformance.NAME, UNSETTLED, timeout=60)
    text = player.refused(
        "imagemode.bootc.update",
        {
            **UPDATE,
            "update_health_commands": ["test -e /run/no-such-file"],
            "update_health_retries": 1,
            "update_health_delay": 1,
            "update_reboot_timeout": 1500,
        },
    )  # four boots
    check("rolled_back: true" in text, "it was not said that the host was taken back")
    check(_slot("booted") == before, f"the machine runs {_slot('booted')}, not {before}")
    check(machine.ssh(conformance.NAME, "cat /var/unsettled", timeout=60).stdout.strip() == "0", "it did not go down three times")


def _slot(name: str) -> str | None:
    deployment = status(conformance.NAME)["status"][name]
    return deployment["image"]["imageDigest"] if deployment else None


def _tag(old: str, new: str) -> None:
    """Make a tag point at another image."""
    _lab("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false",
         f"docker://{conformance.REPOSITORY}:{old}", f"docker://{conformance.REPOSITORY}:{new}")  # fmt: skip


def _push(line: str, tag: str) -> None:
    """Build and push an image that has so much more, and bytes that cannot be compressed."""
    image = f"{conformance.REPOSITORY}:{tag}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NOISE).write_bytes(random.Random(SEED).randbytes(40_000_000))
        (Path(folder) / "Containerfile").write_text(f"FROM {conformance.REPOSITORY}:1\n{line}\n")
        _lab("podman", "build", "-q", "--format=oci", "--tls-verify=false", f"--tag={image}", folder)
        _lab("podman", "push", "-q", "--tls-verify=false", image)
        _lab("podman", "rmi", image)


def _lab(*words: str) -> None:
    command, environment = namespace.command(list(words))
    subprocess.run(command, env=environment, check=True)


PARTS = (
    refuse_predict_and_prove,
    look_and_adjust,
    settle_in,
    survive_kills,
    lose_the_registry,
    survive_the_controller,
    keep_to_the_window,
    judge_and_go_back,
)


def main(names: list[str]) -> int:
    """:param names: parts to run; none for all, after which the machine is removed"""
    prepare()
    # The demo sends modules as files; here they go through the pipe, which is faster and can break at other moments.
    player = Player(LOGS / "day2", VENV, ANSIBLE_PIPELINING="1")
    passed = 0
    parts = (have_a_host, *(part for part in PARTS if part.__name__ in names or not names))
    for part in parts:
        print(f"\n━━ {part.__name__.replace('_', ' ')}", flush=True)
        try:
            part(player)
            machine.wait(conformance.NAME, timeout=600)
        except (LabError, PlayFailed, Failed) as error:
            print(f"   FAILED: {error}", flush=True)
            if part is have_a_host:
                break
            continue
        passed += 1
    if passed == len(parts) and not names:
        machine.remove(conformance.NAME)
        for name in ("closed", conformance.NAME):
            registry.remove(name)
    print(f"{passed} passed, {len(parts) - passed} failed")
    return int(passed < len(parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
