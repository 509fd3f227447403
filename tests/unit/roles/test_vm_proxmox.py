# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role vm with community.proxmox's own modules, on a proxmoxer that keeps one machine's configuration in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.tests.unit.roles.playing import play

pytest.importorskip("ansible_collections.community.proxmox")

# What a node makes of what it is asked for: a disk's place becomes a volume with a size, and a change is there at once.
API = """
import json, pathlib, re
__version__ = "2.2.0"
FILE = pathlib.Path("{folder}/node.json")

def volume(key, text):
    if not key.startswith("scsi") or key == "scsihw":
        return text
    place, *rest = text.split(",")
    size = place.partition(":")[2]
    words = [word for word in rest if not word.startswith("import-from=")]
    return ",".join(["local-lvm:vm-100-" + key, *words, "size=" + (size if size != "0" else "1") + "G"])

def answer(verb, path, more):
    node = json.loads(FILE.read_text())
    config = node["config"]
    if verb not in ("get",):
        node["told"].append([verb, "/".join(path), more])
    said = "UPID"
    if path == ["version"]:
        return {{"version": "8.4.1"}}
    if path == ["nodes"]:
        return [{{"node": "pve1"}}, {{"node": "pve2"}}]
    if path == ["cluster", "nextid"]:
        return 100
    if path == ["cluster", "resources"] or path[2:] == ["qemu"] and verb == "get":
        return [{{"vmid": 100, "name": config["name"], "node": node["at"], "type": "qemu", "status": node["status"]}}] if config else []
    if path[2:3] == ["tasks"]:
        return {{"status": "stopped", "exitstatus": "OK"}}
    if path[-1] == "qemu" and verb == "create":
        node["config"] = {{key: volume(key, value) for key, value in more.items() if key != "vmid" and value is not None}}
    elif path[-1] == "qemu" and verb == "delete":
        node["config"] = {{}}
    elif path[-1] == "config" and verb == "get":
        return config
    elif path[-1] == "config":
        for key in (more.pop("delete", None) or "").split(","):
            config.pop(key, None)
        config.update({{key: volume(key, value) for key, value in more.items() if value is not None}})
        said = None if verb == "set" else said
    elif path[-1] == "resize":
        config[more["disk"]] = re.sub("size=.*", "size=" + more["size"], config[more["disk"]])
    elif path[-1] == "current":
        return {{"status": node["status"]}}
    elif path[-1] in ("shutdown", "start"):
        node["status"] = {{"shutdown": "stopped", "start": "running"}}[path[-1]]
    FILE.write_text(json.dumps(node))
    return said

class ProxmoxAPI:
    def __init__(self, *_where, path=(), **_who):
        self._path = list(path)
    def __call__(self, *words):
        return ProxmoxAPI(path=[*self._path, *map(str, words)])
    def __getattr__(self, name):
        if name in ("get", "set", "post", "create", "delete"):
            return lambda *words, **more: answer(name, self._path, {{**more, **({{"vmid": words[0]}} if words else {{}})}})
        return ProxmoxAPI(path=[*self._path, name])
"""
OPTIONS: dict[str, Any] = {
    "vm_driver": "proxmox",
    "vm_node": "pve1",
    "vm_storage": "local-lvm",
    "vm_disk_image": "/var/lib/vz/os.qcow2",
    "vm_verify": False,
    "vm_connection": {"api_host": "pve.test", "api_user": "root@pam", "api_password": "s3cret"},
    "vm_networks": [{"type": "bridge", "name": "vmbr0"}, {"type": "bridge", "name": "vmbr1"}],
    "vm_disks": [{"name": "system", "size": "20GiB"}, {"name": "data", "size": "1.5GiB"}],
}


class Node:
    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "node.json"
        (folder / "proxmoxer").mkdir()
        (folder / "proxmoxer/__init__.py").write_text(API.format(folder=folder))
        self.file.write_text(json.dumps({"config": {}, "status": "stopped", "at": "pve1", "told": []}))

    def play(self, *arguments: str, **options: Any) -> str:
        plays = [{"hosts": "all", "gather_facts": False, "roles": ["imagemode.bootc.vm"]}]
        rc, said = play(self.folder, plays, {"web": {**OPTIONS, **options}}, *arguments)
        assert rc == 0, said
        assert "s3cret" not in said
        return said

    @property
    def now(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    def has(self, **more: Any) -> None:
        self.file.write_text(json.dumps({**self.now, "told": [], **more}))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return Node(tmp_path)


def test_a_machine_is_made_changed_on_the_node_that_it_went_to_and_removed(node: Node) -> None:
    node.play()
    made = node.now["config"]
    assert (node.now["status"], made["scsi0"]) == ("running", "local-lvm:vm-100-scsi0,serial=system,discard=on,size=20480M")
    assert made["scsi1"] == "local-lvm:vm-100-scsi1,serial=data,discard=on,size=2G"
    assert "changed=0" in node.play()

    node.has(at="pve2")
    log = {"name": "log", "size": "3GiB"}
    wanted = {"vm_disks": [OPTIONS["vm_disks"][0], log, {"name": "data", "size": "4GiB"}], "vm_networks": OPTIONS["vm_networks"][:1]}
    node.play(vm_restart=True, **wanted)
    changed = node.now["config"]
    assert changed["scsi1"].endswith("serial=data,discard=on,size=4096M")
    assert changed["scsi2"] == "local-lvm:vm-100-scsi2,discard=on,serial=log,size=3G"
    assert changed["scsi0"] == made["scsi0"]
    assert "net1" not in changed
    assert [path.partition("/qemu/100/")[0::2] for _verb, path, _more in node.now["told"]] == [
        ("nodes/pve2", place) for place in ("status/shutdown", "config", "config", "config", "resize", "status/start")
    ]
    assert "changed=0" in node.play(**wanted)

    assert "changed=1" in node.play("--check", vm_autostart=False, vm_restart=True, **wanted)
    assert node.now["config"]["onboot"] == 1
    node.has()
    node.play(vm_autostart=False, vm_restart=True, **wanted)
    assert [path.rpartition("/")[2] for _verb, path, _more in node.now["told"]] == ["config"]
    assert node.now["config"]["onboot"] == 0
    assert "changed=0" in node.play(vm_autostart=False, **wanted)
    changed = node.now["config"]

    assert "changed=1" in node.play("--check", vm_state="absent", vm_remove_disks=True)
    assert node.now["config"] == changed
    node.play(vm_state="absent", vm_remove_disks=True)
    assert node.now["config"] == {}
