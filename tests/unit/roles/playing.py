# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays of roles, as Ansible evaluates them, over hosts that are all this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.release import __version__
from ansible_collections.imagemode.bootc.tests import specs

# What an option may be to be unset. ansible-core before 2.19 refuses null for one that is a text, by its name.
NOTHING = ("", None) if tuple(map(int, __version__.split(".")[:2])) >= (2, 19) else ("",)


def play(folder: Path, playbook: Sequence[Any] | str, hosts: Mapping[str, Any], *arguments: str, **more: Any) -> tuple[int, str]:
    """:param playbook: plays, or the name of a playbook
    :param hosts: host → its variables; all are in the group bootc_hosts
    :param more: extra variables
    :returns: exit code and output
    """
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"vars": local, "children": {"bootc_hosts": {"hosts": {name: dict(hosts[name]) for name in hosts}}}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    if not isinstance(playbook, str):
        (folder / "play.yml").write_text(json.dumps(playbook))
        playbook = "play.yml"
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-i", "inventory.json", "-e", json.dumps(more), *arguments, playbook],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": os.environ["PYTHONPATH"],
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def evaluated(folder: Path, role: str, expression: str, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """:param expression: of the role's variables
    :returns: host → what it is there
    """
    files = specs.ROOT / "roles" / role
    defaults = yaml.safe_load((files / "defaults/main.yml").read_text())
    text = f"{{{{ {{'is': {expression}}} | to_json }}}}"
    tasks = [{"ansible.builtin.copy": {"dest": f"{folder}/{{{{ inventory_hostname }}}}.out", "content": text}}]
    plays = [{"hosts": "all", "gather_facts": False, "vars_files": [str(files / "vars/main.yml")], "tasks": tasks}]
    rc, output = play(folder, plays, {name: {**defaults, **options} for name, options in hosts.items()})
    assert rc == 0, output
    return {name: json.loads((folder / f"{name}.out").read_text())["is"] for name in hosts}
