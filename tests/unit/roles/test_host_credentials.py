# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role host says where credentials cannot be used: all of it but the password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

SECRET = "canary-of-the-host"


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ([{"registry": "registry.test/os:1", "username": "puller", "password": SECRET}], "is neither a registry nor a namespace"),
        ([{"registry": "registry.test", "user": "puller", "password": SECRET}], "The option 'username' is required"),
        ({"registry": "registry.test", "username": "puller"}, "The option 'password' is required"),
        ([{"username": "puller", "password": SECRET}], "The option 'registry' is required"),
    ],
)
def test_a_refusal_is_told_and_the_password_is_not(tmp_path: Path, auth: Any, words: str) -> None:
    plays = [{"hosts": "all", "gather_facts": False, "roles": [{"role": "imagemode.bootc.host", "vars": {"host_auth": auth}}]}]
    rc, output = play(tmp_path, plays, {"a": {}}, "--check", "-vvv")
    assert rc != 0
    assert words in output
    assert SECRET not in output
