# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A time limit is one, whatever a command reads or starts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import CommandFailed, CommandTimeout, Runner

# More than a pipe holds.
MUCH = "0123456789abcde\n" * 20000


def test_a_limit_counts_for_a_command_that_does_not_read() -> None:
    started = time.monotonic()
    with pytest.raises(CommandTimeout):
        Runner().run(["sleep", "30"], stdin=MUCH, timeout=1)
    assert time.monotonic() - started < 10


def test_what_a_command_said_before_its_time_was_up_is_told_without_secrets() -> None:
    with pytest.raises(CommandTimeout, match="did not finish within 1 seconds") as ended:
        Runner(secrets=["canary"]).run(["sh", "-c", "echo waiting for canary >&2; exec sleep 30"], timeout=1)
    assert (ended.value.error, ended.value.details["stderr"]) == ("command_timeout", "waiting for ********")
    assert "'timeout'" in (ended.value.hint or "")


def test_a_command_that_fails_is_told_with_its_words() -> None:
    with pytest.raises(CommandFailed) as failed:
        Runner(secrets=["canary"]).run(["sh", "-c", "echo no, canary >&2; exit 3"])
    assert failed.value.error == "command_failed"
    assert failed.value.message.endswith("failed with return code 3: no, ********")
    assert "canary" not in str(failed.value.as_result())


def test_a_command_may_say_much_before_it_reads() -> None:
    done = Runner().run(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; cat"], stdin=MUCH, timeout=20)
    assert done.stdout == "x" * 300000 + MUCH


def test_a_command_that_reads_nothing_is_told_nothing() -> None:
    assert Runner().run(["true"], stdin=MUCH, timeout=20).rc == 0
    assert Runner().run(["cat"], stdin="", timeout=20).stdout == ""


def test_a_child_that_does_not_listen_ends_with_the_command(tmp_path: Path) -> None:
    script = f"(trap '' TERM; exec sleep 30) & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(CommandTimeout):
        Runner().run(["sh", "-c", script], timeout=1)
    child = int((tmp_path / "pid").read_text())
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"
