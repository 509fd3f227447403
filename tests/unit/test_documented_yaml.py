# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What README, docs, roles' READMEs, examples and playbooks show exists: modules, their options, roles and their variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.imagemode.bootc.tests import specs

BLOCK = re.compile(r"^( *)```ya?ml\n(.*?)^ *```", re.M | re.S)
ROLES = tuple(specs.roles())
# A playbook may read variables of its own.
PLAYBOOKS = "\n".join(path.read_text() for path in specs.ROOT.glob("playbooks/*.yml"))
PASSED = re.compile(r"-e\s+['\"]?([a-z_]+)=")
SAID = re.compile(r"`((?:" + "|".join(ROLES) + r")_[a-z0-9_]+)`")
# Keywords of tasks, blocks and plays that hold others.
WITHIN = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


class Loader(yaml.SafeLoader):
    """Knows Ansible's own tags."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def texts() -> Iterator[tuple[str, str]]:
    """:returns: where, and a document in YAML"""
    for path in sorted(
        {
            *specs.ROOT.glob("*.md"),
            *specs.ROOT.glob("docs/**/*.md"),
            *specs.ROOT.glob("roles/*/README.md"),
            *specs.ROOT.glob("examples/**/*.md"),
        }
    ):
        for number, match in enumerate(BLOCK.finditer(path.read_text()), 1):
            yield f"{path.relative_to(specs.ROOT)}#{number}", re.sub(rf"^{match[1]}", "", match[2], flags=re.M)
    for path in sorted({*specs.ROOT.glob("examples/**/*.yml"), *specs.ROOT.glob("playbooks/*.yml")}):
        yield str(path.relative_to(specs.ROOT)), path.read_text()
    for kind in ("modules", "lookup", "filter"):
        for path in sorted((specs.ROOT / "plugins" / kind).glob("*.py")):
            examples = re.search(r'^EXAMPLES = r"""\n(.*?)^"""', path.read_text(), re.M | re.S)
            yield str(path.relative_to(specs.ROOT)), examples[1] if examples else ""


def wrong(node: Any) -> Iterator[str]:
    """:returns: what is said in it and does not exist"""
    if isinstance(node, list):
        for item in node:
            yield from wrong(item)
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        name = str(key).removeprefix(f"{specs.COLLECTION}.")
        if str(key).startswith(f"{specs.COLLECTION}."):
            if name not in specs.documented("module"):
                yield f"there is no module {name}"
            else:
                yield from unknown(specs.documented("module")[name]["options"], value, name)
        elif key in ("ansible.builtin.include_role", "ansible.builtin.import_role") and isinstance(value, Mapping):
            yield from role_named(value.get("name"))
        elif key == "import_playbook" or key == "ansible.builtin.import_playbook":
            yield from playbook_named(value)
        elif (
            re.match(f"({'|'.join(ROLES)})_", str(key))
            and str(key) not in PLAYBOOKS
            and not any(str(key) in spec for spec in specs.roles().values())
        ):
            yield f"no role has the variable {key}"
    if "role" in node:
        yield from role_named(node["role"])
    for key in (*WITHIN, "roles", "vars", "module_defaults", "all", "children", "hosts"):
        if isinstance(node.get(key), (list, Mapping)):
            yield from wrong(list(node[key].values()) if key in ("children", "hosts") else node[key])


def unknown(spec: Mapping[str, Any], given: Any, where: str) -> Iterator[str]:
    """:param given: options of a module, or of one within an option"""
    for entry in given if isinstance(given, list) else [given]:
        for name, value in entry.items() if isinstance(entry, Mapping) else ():
            option = next((spec[known] for known in spec if name in (known, *spec[known].get("aliases", ()))), None)
            if option is None:
                yield f"{where} has no option {name}"
            elif option.get("suboptions"):
                yield from unknown(option["suboptions"], value, f"{where}.{name}")
            elif option.get("choices") and isinstance(value, str) and "{{" not in value and value not in option["choices"]:
                yield f"{where}.{name} cannot be {value}"


def role_named(name: Any) -> Iterator[str]:
    if str(name).startswith(f"{specs.COLLECTION}.") and str(name).removeprefix(f"{specs.COLLECTION}.") not in ROLES:
        yield f"there is no role {name}"


def playbook_named(name: Any) -> Iterator[str]:
    short = str(name).removeprefix(f"{specs.COLLECTION}.")
    if str(name).startswith(f"{specs.COLLECTION}.") and not (specs.ROOT / f"playbooks/{short}.yml").exists():
        yield f"there is no playbook {name}"


ALL = list(texts())


@pytest.mark.parametrize(("where", "text"), ALL, ids=[where for where, _text in ALL])
def test_what_is_shown_exists(where: str, text: str) -> None:
    for document in yaml.load_all(text, Loader=Loader):
        assert sorted(wrong(document)) == []
        assert sorted(wrong([document])) == []


def test_what_is_wrong_is_found() -> None:
    play = [
        {
            "hosts": "all",
            "tasks": [{"block": [{"imagemode.bootc.bootc_switch": {"imgae": "x"}}, {"imagemode.bootc.bootc_swich": {}}]}],
            "roles": [{"role": "imagemode.bootc.updates"}, {"role": "imagemode.bootc.update", "vars": {"update_imgae": "x"}}],
        }
    ]
    assert sorted(wrong(play)) == [
        "bootc_switch has no option imgae",
        "no role has the variable update_imgae",
        "there is no module bootc_swich",
        "there is no role imagemode.bootc.updates",
    ]


def test_variables_and_playbooks_that_texts_name_exist() -> None:
    known = {name for spec in specs.roles().values() for name in spec}
    # What tasks and playbooks register or set, for those who read on.
    code = "\n".join(
        path.read_text()
        for pattern in ("roles/*/tasks/*.yml", "roles/*/meta/argument_specs.yml", "playbooks/*.yml")
        for path in specs.ROOT.glob(pattern)
    )
    known |= set(specs.modules()) | set(re.findall(r"^\| `([a-z_]+)` \|", (specs.ROOT / "docs/errors.md").read_text(), re.M))
    bad = []
    for path in sorted({*specs.ROOT.glob("*.md"), *specs.ROOT.glob("docs/**/*.md"), *specs.ROOT.glob("roles/*/README.md")}):
        text = path.read_text()
        for name in {*PASSED.findall(text), *SAID.findall(text)}:
            if name not in known and name not in code:
                bad.append(f"{path.relative_to(specs.ROOT)}: {name}")
        for name in re.findall(r"imagemode\.bootc\.([a-z_]+)\b", text):
            exists = (
                name in ROLES
                or (specs.ROOT / f"playbooks/{name}.yml").exists()
                or any((specs.ROOT / "plugins" / kind / f"{name}.py").exists() for kind in ("modules", "lookup", "filter"))
                or name in ("bootc", "image", "test")
            )  # action groups
            if not exists:
                bad.append(f"{path.relative_to(specs.ROOT)}: imagemode.bootc.{name}")
    assert sorted(set(bad)) == []
