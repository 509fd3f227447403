# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options for the lookup of a digest, in roles that know themselves whose platform is meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROLES = Path(__file__).parents[3] / "roles"


@pytest.mark.parametrize("role", ["update", "report", "rollout"])
def test_a_platform_among_them_is_left_out(role: str, tmp_path: Path) -> None:
    given = {f"{role}_registry_options": {"plain_http": True, "platform": "linux/arm64"}}
    words = ["localhost", "-m", "debug", "-a", f"msg={{{{ __{role}_registry_options }}}}"]
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible")),
            *words,
            "-e",
            f"@{ROLES / role / 'vars/main.yml'}",
            "-e",
            json.dumps(given),
        ],
        env={**os.environ, "ANSIBLE_HOME": str(tmp_path), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout.partition("=> ")[2])["msg"] == {"plain_http": True}, done.stdout + done.stderr
