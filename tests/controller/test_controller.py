# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role `controller` with the modules of awx.awx as users have them, against a fake AWX that keeps a state."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

sys.path.insert(0, str(Path(__file__).parent))

from fake_awx import TOKEN, FakeAWX

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/awx"
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
SECRETS = {
    "FLEET_REGISTRY_PASSWORD": "secret-1",
    "FLEET_SSH_KEY": "secret-2",
    "FLEET_COSIGN_KEY": "secret-3",
    "FLEET_CHAT_PASSWORD": "secret-4",
}


class Loader(yaml.SafeLoader):
    """YAML as Ansible writes it, with texts that are not templated."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
VARIABLES = yaml.load((ROOT / "roles/controller/vars/main.yml").read_text(), Loader)


@pytest.fixture(scope="module")
def awx() -> Iterator[FakeAWX]:
    """Empty until the first play; the tests go on with what those before them made, since a play takes half a minute."""
    fake = FakeAWX([str(path.relative_to(EXAMPLE)) for path in EXAMPLE.glob("playbooks/*.yml")])
    yield fake
    fake.stop()


@pytest.fixture(scope="module")
def made(awx: FakeAWX) -> tuple[FakeAWX, str]:
    """An AWX in which everything was made, and what the play told."""
    rc, predicted, output = play(awx, "--check", "-v")
    assert rc == 0, output
    assert awx.written == []
    rc, changed, output = play(awx, "-vvvv")
    assert rc == 0, output
    assert 0 < changed == predicted, "check mode told what is made"
    return awx, output


def play(awx: FakeAWX, *arguments: str, **options: Any) -> tuple[int, int, str]:
    """:returns: exit code, number of changed tasks, output"""
    environment = {
        **os.environ,
        **SECRETS,
        "CONTROLLER_HOST": awx.url,
        "CONTROLLER_OAUTH_TOKEN": TOKEN,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
    }
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        "-c",
        "local",
        str(EXAMPLE / "controller.yml"),
        "-e",
        json.dumps({"ansible_python_interpreter": sys.executable, **options}),
        *arguments,
    ]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    found = re.search(r"changed=(\d+)", done.stdout)
    return done.returncode, int(found.group(1)) if found else -1, done.stdout


@pytest.mark.parametrize(
    ("templates", "words"),
    [
        ({"rollout": {"job_slice_count": 4}}, "its waves, budgets and halt rules are of the whole fleet"),
        ({"report": {"job_slice_count": 2}}, "its page is of the whole fleet"),
        ({"update": {"job_slice_count": 2}}, "a tag that is moved between two of them gives them two digests"),
        ({"rolout": {}}, "controller_templates names rolout"),
        ({"rollout": {"name": "Build and roll out"}}, "are both 'Build and roll out'"),
        ({"rollout": {"enabled": False}}, "The workflow has steps of rollout, which"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(awx: FakeAWX, templates: dict[str, Any], words: str) -> None:
    rc, _changed, output = play(awx, controller_templates=templates)
    assert rc != 0
    assert words in " ".join(output.split())
    assert awx.written == []


@pytest.mark.parametrize(("template", "workflow"), [("reprot", {}), ("registry", {}), ("workflow", {"enabled": "false"})])
def test_a_schedule_of_what_is_not_made_is_refused(awx: FakeAWX, template: str, workflow: dict[str, Any]) -> None:
    schedules = [{"name": "at night", "template": template, "rrule": "DTSTART:20260101T020000Z RRULE:FREQ=DAILY;INTERVAL=1"}]
    rc, _changed, output = play(awx, "--check", controller_schedules=schedules, controller_workflow=workflow)
    assert rc != 0
    assert f"The schedule 'at night' is of '{template}', which is not made" in " ".join(output.split())
    assert awx.written == []


def test_a_job_gets_one_credential_of_a_type(awx: FakeAWX) -> None:
    two = [{"name": name, "type": "registry", "inputs": {"username": "fleet", "password": "secret-1"}} for name in ("here", "there")]
    rc, _changed, output = play(awx, controller_credentials=two)
    assert rc != 0
    assert "would get the credentials here, there, and AWX gives a job one of each type" in " ".join(output.split())
    assert awx.written == []


def test_a_refusal_tells_no_secret_either(awx: FakeAWX, tmp_path: Path) -> None:
    access = {"controller_oauthtoken": "secret-7", "controller_username": "me", "controller_password": "secret-8"}
    (tmp_path / "access.yml").write_text(json.dumps(access))
    rc, _changed, output = play(awx, "-vvvv", "-e", f"@{tmp_path}/access.yml")
    assert rc != 0
    assert not re.search("secret-[0-9]", output)
    assert awx.written == []


def test_everything_is_made_and_no_secret_is_told(made: tuple[FakeAWX, str]) -> None:
    awx, output = made
    assert not re.search(f"secret-[0-9]|{TOKEN}", output)
    assert set(awx.named("credential_types")) >= {"bootc registry", "bootc cosign key", "bootc BMC", "bootc hypervisor"}
    templates = awx.named("job_templates")
    assert len(templates) == len(PLAYBOOKS) - 2, "all but rollout_pause, and the one that is not enabled"
    assert templates["Roll out"]["forks"] == 50
    assert templates["Roll out"]["job_slice_count"] == 1
    assert not templates["Roll out"]["ask_limit_on_launch"]
    extra = json.loads(templates["Roll out"]["extra_vars"])
    assert extra["rollout_registry_options"]["password"] == "{{ lookup('ansible.builtin.env', 'REGISTRY_PASSWORD') }}"
    known = {number: item["name"] for number, item in awx.objects["credentials"].items()}
    given = {name: {known[number] for number in awx.linked("job_templates", name, "credentials")} for name in templates}
    assert given["Build an image"] == {"fleet registry", "fleet hosts", "fleet signing"}
    assert given["Roll out"] == given["Install bare metal"] == {"fleet registry", "fleet hosts"}
    assert given["Roll hosts back"] == {"fleet hosts"}
    assert "bare_metal_bmc_password" not in templates["Install bare metal"]["extra_vars"], "no such credential, so it is the inventory's"
    survey = awx.surveys["job_templates", templates["Roll out"]["id"]]["spec"]
    assert {question["variable"]: question.get("default") for question in survey}["rollout_image"] == "registry.example.com/os:stable"
    assert not re.search(r"\b[A-Z]\(", json.dumps(survey)), "no markup of the documentation"
    assert "secret" not in json.dumps([templates, awx.surveys[("job_templates", templates["Build an image"]["id"])]])
    registry = awx.named("credentials")["fleet registry"]
    assert registry["inputs"] == {"username": "fleet", "password": "secret-1"}


def test_what_nobody_answers_is_left_to_the_inventory(made: tuple[FakeAWX, str]) -> None:
    """A survey's default is an extra variable, which stands above group_vars."""
    awx, _output = made
    assert "rollout_on_halt" not in awx.variables_of("Roll out")
    assert "vm_state" not in awx.variables_of("Make virtual machines")
    assert "takeover_wipe_confirm" not in awx.variables_of("Take servers over")
    assert not [name for template in awx.named("job_templates") for name, value in awx.variables_of(template).items() if value == ""]


@pytest.mark.parametrize(
    ("driver", "url", "connection"),
    [
        (
            "vmware",
            "https://vcenter.example.com",
            {"hostname": "vcenter.example.com", "port": 443, "username": "me", "password": "secret-5"},
        ),
        (
            "proxmox",
            "pve.example.com:8443",
            {"api_host": "pve.example.com", "api_port": 8443, "api_user": "me", "api_password": "secret-5"},
        ),
        ("libvirt", "qemu+ssh://kvm1/system", {"uri": "qemu+ssh://kvm1/system"}),
        ("qemu", "", {}),
    ],
)
def test_a_hypervisors_credential_becomes_a_connection(tmp_path: Path, driver: str, url: str, connection: dict[str, Any]) -> None:
    given = VARIABLES["__controller_playbooks"]["provision_vm"]["given"]["hypervisor"]
    task = {"ansible.builtin.copy": {"content": "{{ vm_connection | to_json }}", "dest": str(tmp_path / "connection"), "mode": "0600"}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    variables = {**given, "vm_driver": driver, "ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    environment = {**os.environ, "HYPERVISOR_URL": url, "HYPERVISOR_USERNAME": "me", "HYPERVISOR_PASSWORD": "secret-5"}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", "localhost,", str(tmp_path / "play.yml"), "-e", json.dumps(variables)]
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True)
    assert json.loads((tmp_path / "connection").read_text()) == connection


def test_nothing_changes_and_check_mode_tells_so(made: tuple[FakeAWX, str]) -> None:
    awx, _output = made
    before = list(awx.written)
    for arguments in ([], ["--check"]):
        rc, changed, output = play(awx, *arguments)
        assert (rc, changed) == (0, 0), output
        assert awx.written == before


def test_the_workflow_asks_between_the_canary_and_the_rest_and_reports_whatever_comes(made: tuple[FakeAWX, str]) -> None:
    awx, _output = made
    nodes = {node["id"]: node for node in awx.objects["workflow_job_template_nodes"].values()}
    names = {number: node["identifier"] for number, node in nodes.items()}

    def after(step: str, how: str) -> list[str]:
        return [names[number] for number in awx.linked("workflow_job_template_nodes", step, how)]

    way = ["build"]
    while after(way[-1], "success_nodes"):
        way += after(way[-1], "success_nodes")
    assert way == ["build", "test", "push", "canary", "approval", "rest"]
    assert after("canary", "failure_nodes") == after("rest", "always_nodes") == ["report"]
    steps = awx.named("workflow_job_template_nodes")
    assert steps["canary"]["extra_data"] == {"rollout_until": "canary"}
    assert steps["approval"]["unified_job_template"] in awx.objects["workflow_approval_templates"]
    assert awx.named("workflow_approval_templates")["Roll out to the rest"]["timeout"] == 86400
    assert awx.linked("workflow_job_templates", "Build and roll out", "notification_templates_approvals")


def test_a_change_is_made_alone_and_secrets_are_written_when_asked(made: tuple[FakeAWX, str]) -> None:
    awx, _output = made
    before = len(awx.written)
    rc, changed, output = play(awx, controller_execution_environment={"image": "registry.example.com/bootc-ee:2"})
    assert (rc, changed) == (0, 1), output
    assert awx.named("execution_environments")["bootc"]["image"] == "registry.example.com/bootc-ee:2"
    assert len(awx.written) == before + 1
    rc, changed, output = play(
        awx, controller_execution_environment={"image": "registry.example.com/bootc-ee:2"}, controller_update_secrets=True
    )
    assert rc == 0, output
    assert changed == 2, "credentials and the notification"


def test_every_playbook_has_a_template_and_a_playbook_in_the_example() -> None:
    known = set(VARIABLES["__controller_playbooks"]) | set(VARIABLES["__controller_playbooks_left_out"])
    assert known == PLAYBOOKS
    for name in VARIABLES["__controller_playbooks"]:
        assert f"import_playbook: imagemode.bootc.{name}\n" in (EXAMPLE / f"playbooks/{name}.yml").read_text()


EXAMPLES = sorted([*EXAMPLE.glob("playbooks/*.yml"), ROOT / "examples/kubernetes/rollout.yml"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_playbook_of_an_example_is_one(path: Path) -> None:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", str(EXAMPLE / "inventory.yml"), "--syntax-check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every call of awx.awx in the role: file, module, options."""

    def within(tasks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        for task in tasks:
            yield from ((name, value) for name, value in task.items() if name.startswith("awx.awx."))
            yield from within(task.get("block", []))

    for path in sorted((ROOT / "roles/controller/tasks").glob("*.yml")):
        for name, options in within(yaml.load(path.read_text(), Loader)):
            yield path.name, name.rpartition(".")[2], options


def specification(module: str) -> dict[str, Any]:
    """The argument specification that the module itself has, read from its source."""
    from ansible_collections.awx.awx.plugins.module_utils.controller_api import ControllerModule

    source = Path(sys.modules[ControllerModule.__module__].__file__ or "").parents[1] / f"modules/{module}.py"
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "argument_spec":
            text = ast.unparse(node.value)
            names = {"dict": dict, "list": list, "KIND_CHOICES": dict.fromkeys(["ssh", "vault", "net", "scm", "cloud", "insights"])}
            spec: dict[str, Any] = eval(text, names)
            return {**spec, **{name: {**value, "fallback": (lambda: None, [])} for name, value in ControllerModule.AUTH_ARGSPEC.items()}}
    raise AssertionError(f"{module} has no argument_spec")


def test_the_role_calls_modules_at_all() -> None:
    assert len({module for _path, module, _options in calls()}) == 12


@pytest.mark.parametrize(("path", "module", "options"), [pytest.param(*call, id=f"{call[0]}-{call[1]}") for call in calls()])
def test_a_call_fits_the_modules_own_argument_specification(path: str, module: str, options: dict[str, Any]) -> None:
    spec = specification(module)
    known = {name for option, value in spec.items() for name in (option, *value.get("aliases", ()))}
    assert set(options) - known == set(), f"{path}: {module} has no such option"
    assert {name for name, value in spec.items() if value.get("required")} - set(options) == set()
    literal = {name: value for name, value in options.items() if "{{" not in str(value)}
    plain = {name: {key: value for key, value in spec[name].items() if key not in ("required", "fallback")} for name in literal}
    assert ArgumentSpecValidator(plain).validate(literal).error_messages == []
