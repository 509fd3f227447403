#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_container_lint
short_description: Check that an image is fit to be booted
version_added: 0.1.0
description:
  - Runs C(bootc container lint) in a container of an image of the engine's local storage. bootc's return code decides, and what it
    found is returned lint by lint.
  - If the image has no bootc, or one older than 1.1.6, which has no lints with names, checks of this collection look for what a
    bootable image must contain. They have the names of bootc's lints where bootc has the same. RV(linter) tells who looked.
  - The container gets neither credentials nor a network, and is removed whatever happens.
  - That an image is fit is remembered on the builder for its id and these options, and is not looked for again without O(force).
options:
  name:
    description: The image in the engine's local storage - a name, or an id as V(sha256:…).
    type: str
    required: true
  skip:
    description:
      - Names of lints to leave out. bootc refuses names that it does not know.
    type: list
    elements: str
    default: []
  fatal_warnings:
    description: Whether a warning makes the task fail.
    type: bool
    default: false
  timeout:
    description: Seconds after which the lint has failed.
    type: int
    default: 600
  force:
    description: Look again although the image was found fit.
    type: bool
    default: false
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_test
  - imagemode.bootc.engine
attributes:
  check_mode:
    details:
      - The lint is run in check mode, too, as it changes nothing.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Let no image pass that has a warning, but for logs
  imagemode.bootc.bootc_container_lint:
    name: registry.example.com/os:1
    skip: [var-log]
    fatal_warnings: true
"""

RETURN = r"""
lints:
  description: What was found. Lints that found nothing are not in it.
  returned: success, and when the lint failed
  type: list
  elements: dict
  contains:
    name:
      description: The lint.
      type: str
    level:
      description: V(fatal) or V(warning).
      type: str
    message:
      description: What was found.
      type: str
  sample:
    - name: var-log
      level: warning
      message: "Found non-empty logfile: /var/log/dnf5.log"
      passed: true
lints_passed:
  description: How many lints found nothing.
  returned: success, and when the lint failed
  type: int
  sample: 12
linter:
  description: Who looked, V(bootc) or V(imagemode.bootc).
  returned: success, and when the lint failed
  type: str
  sample: bootc
bootc_version:
  description: Version of the image's bootc; null if it has none.
  returned: success, and when the lint failed
  type: str
  sample: 1.16.9
image_id:
  description: Digest of the image configuration, which was looked at.
  returned: success, and when the lint failed
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
remembered:
  description: Whether the result is that of an earlier run.
  returned: success, and when the lint failed
  type: bool
  sample: false
tested_at:
  description: When the lint ran, in UTC.
  returned: success
  type: str
  sample: "2026-11-24T20:42:52Z"
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: lint_failed
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: What was found is in 'lints'; 'skip' leaves a lint out.
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._engine import CHOICES, choose_engine, container, stored_name
from ansible_collections.imagemode.bootc.plugins.module_utils._lint import LintFailed, lint
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._passed import recall, remember
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner

WHAT = "bootc_container_lint"


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "skip": {"type": "list", "elements": "str", "default": []},
            "fatal_warnings": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
            "force": {"type": "bool", "default": False},
            "engine": {"type": "str", "default": "auto", "choices": CHOICES},
        },
        supports_check_mode=True,
    )
    with module.errors():
        check(module)


def check(module: CollectionModule) -> None:
    skip, fatal_warnings = module.params["skip"], module.params["fatal_warnings"]
    timeout = module.params["timeout"] or 600
    runner = Runner()
    engine = choose_engine(module.params["engine"] or "auto", runner)
    image = engine.need(stored_name(module.need("name")))
    inputs = [image.id, engine.program, sorted(skip), fatal_warnings]
    known = None if module.params["force"] else recall(WHAT, inputs)
    if known:
        module.exit_json(changed=False, remembered=True, **known)
    with container(engine, runner, image, "none", 2 * timeout) as box:
        report = lint(box, image, skip, fatal_warnings, timeout)
    found = {**report.as_result(), "image_id": image.id}
    if report.failed:
        raise LintFailed(
            f"The image is not fit to be booted, says {report.linter}: "
            + "; ".join(f"{one.name} ({one.level}): {one.message.rstrip('.')}" for one in report.findings),
            hint="What was found is in 'lints'; 'skip' leaves a lint out.",
            remembered=False,
            **found,
        )
    module.exit_json(changed=False, remembered=False, **remember(WHAT, inputs, found))


if __name__ == "__main__":
    main()
