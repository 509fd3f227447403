# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No output of a command shows a secret, however much of it is on one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._build_files import secret_texts
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import MASK, Runner

PEM = "-----BEGIN KEY-----\n  c2Vjb25k\nbGFzdA==\n}\n-----END KEY-----\n"


@pytest.mark.parametrize("secret", ["canary\n", "canary", "  canary\r\n", "ab\n"])
def test_a_line_break_around_a_secret_does_not_show_it(secret: str) -> None:
    lines: list[str] = []
    done = Runner(secrets=[secret]).run(["sh", "-c", f"echo 'it is {secret.strip()}.'"], on_line=lines.append)
    assert [done.stdout, *lines] == [f"it is {MASK}.\n", f"it is {MASK}."]


def test_each_line_of_a_secret_is_masked_and_a_bracket_is_not() -> None:
    lines: list[str] = []
    Runner(secrets=[PEM]).run(["cat"], stdin=PEM + "a } of somebody else\n", on_line=lines.append)
    assert lines == [MASK, f"  {MASK}", MASK, "}", MASK, "a } of somebody else"]


def test_what_is_said_on_standard_error_is_masked_too_however_the_command_ends() -> None:
    lines: list[str] = []
    done = Runner(secrets=["canary"]).run(["sh", "-c", "echo no canary >&2; exit 3", "canary"], on_line=lines.append, check=False)
    assert (done.rc, done.stdout, done.stderr, lines) == (3, "", f"no {MASK}\n", [f"no {MASK}"])
    assert (done.argv[-1], done.last_words) == (MASK, f"no {MASK}")


@pytest.mark.parametrize("secret", ["", "\n", " \n\t\n"])
def test_a_secret_of_nothing_leaves_the_output_alone(secret: str) -> None:
    assert Runner(secrets=[secret]).mask("a b\n\n") == "a b\n\n"


def test_build_secrets_are_known_wherever_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_bytes(b"of a file\xff")
    monkeypatch.setenv("BUILD_TOKEN", "of a variable")
    unset = {"file": None, "env": None, "value": None}
    given = [{"value": "of the task"}, {"env": "BUILD_TOKEN"}, {"env": "NOT_SET"}, {"file": str(tmp_path / "key")}, {"file": "/nowhere"}]
    texts = secret_texts([{**unset, **secret} for secret in given])
    assert [text for text in texts if text] == ["of the task", "of a variable", "of a file\N{REPLACEMENT CHARACTER}"]
