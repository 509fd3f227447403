#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_kargs
short_description: Kernel arguments of a bootc host, by who owns them
version_added: 0.1.0
description:
  - Sees to it that a source, which is a name for whoever sets them, owns exactly the kernel arguments that are listed.
    The arguments of other sources, of the image and of the machine stay as they are.
  - Stages a deployment of the same image with the other arguments; they count from the next boot on.
    If an update is staged, it is staged again with them. Later updates keep them.
  - With bootc 1.15.2 and libostree 2026.1 this is C(bootc loader-entries set-options-for-source). On older hosts the
    deployment is staged by C(ostree admin deploy), and C(/var/lib/imagemode-bootc/kargs.json) remembers the owners.
  - An argument that is there already and has no owner becomes the source's, and goes when the source gives it up.
options:
  source:
    description: Who owns the arguments; letters, digits, hyphens and underscores.
    type: str
    default: ansible
  kargs:
    description:
      - The kernel arguments, one an item, for example V(console=ttyS0\\,115200).
      - Required if O(state=present).
    type: list
    elements: str
  state:
    description:
      - With V(present), the source owns O(kargs) and no others.
      - With V(absent), the source owns none.
    type: str
    default: present
    choices: [present, absent]
  timeout:
    description: Seconds that one command may take; V(0) means no limit. bootc waits for its lock without a limit of its own.
    type: int
    default: 300
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.group_bootc
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - bootc 1.1.6 or newer on the host, with the ostree backend
notes:
  - Must be run as root, for example with C(become).
  - C(changed) is what differs between the boot entries before and after, never a command's output.
  - Never reboots. Use M(imagemode.bootc.bootc_reboot) when RV(ignore:reboot_required) is true.
  - The composefs backend of bootc has no way to change kernel arguments of an installed host; there the task fails.
    Build them into the image, or give them to M(imagemode.bootc.bootc_install).
  - Does not touch a host with an update that was staged by C(download_only) and is to wait, because that would be applied.
seealso:
  - module: imagemode.bootc.bootc_reboot
  - module: imagemode.bootc.bootc_info
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Have a serial console
  imagemode.bootc.bootc_kargs:
    source: console
    kargs:
      - console=tty0
      - console=ttyS0,115200
  register: kargs

- name: Boot with it
  imagemode.bootc.bootc_reboot:
  when: kargs.reboot_required

- name: Give up what was set for a test
  imagemode.bootc.bootc_kargs:
    source: test
    state: absent
"""

RETURN = r"""
reason:
  description: Why something was, or was not, changed.
  returned: success
  type: str
  sample: "'console' owns console=tty0 console=ttyS0,115200 from the next boot on"
commands:
  description: The commands that were run, or would be run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["bootc loader-entries set-options-for-source --source console --options console=tty0 console=ttyS0,115200"]
method:
  description: Who keeps the owners, C(loader-entries) of bootc or this module, with C(ostree).
  returned: success
  type: str
  sample: loader-entries
running:
  description: What the running kernel was started with.
  returned: success
  type: list
  elements: str
  sample: [root=UUID=c223130d-675c-4bb9-a802-57885fb779c4, rw]
before:
  description: The kernel arguments of the next boot before, without libostree's own, and which belong to whom.
  returned: success
  type: dict
  contains:
    kargs: {description: All of them in order., type: list, elements: str}
    sources: {description: Source to its arguments., type: dict}
  sample:
    kargs: [root=UUID=c223130d-675c-4bb9-a802-57885fb779c4, rw]
    sources: {}
after:
  description: The same afterwards; in check mode what is predicted.
  returned: success
  type: dict
  sample:
    kargs: [root=UUID=c223130d-675c-4bb9-a802-57885fb779c4, rw, console=tty0, "console=ttyS0,115200"]
    sources:
      console: [console=tty0, "console=ttyS0,115200"]
reboot_required:
  description: Whether the next boot goes to another deployment than the booted one.
  returned: success
  type: bool
  sample: true
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: bootc_unsupported
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Build them into the image (/usr/lib/bootc/kargs.d/*.toml), or give them when it is installed.
"""

from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.boot_entry import next_entry, running_kargs
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import BootcError
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.kargs import (
    Kargs,
    KargsPlan,
    Record,
    check_host,
    check_kargs,
    check_source,
    deploy_command,
    has_loader_entries,
    plan_kargs,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule


def wanted(module: CollectionModule) -> Kargs:
    kargs = tuple(module.params["kargs"] or ())
    if module.params["state"] == "absent":
        return ()
    if not kargs:
        raise OptionError("'state: present' needs 'kargs'.", hint="List them, or give the source up with 'state: absent'.")
    check_kargs(kargs)
    return kargs


def run(module: CollectionModule, bootc: Bootc, plan: KargsPlan, record: Record) -> dict[str, Any]:
    """Run the plan; the boot entry afterwards is what counts, not what the commands said."""
    source = module.params["source"]
    for step in plan.steps:
        bootc.run(step)
        module.changed = True
    if plan.record is not None:
        record.write(source, plan.record)
    host = bootc.status()
    after = record.with_owners(next_entry(host))
    module.changed = after.footprint != plan.before.footprint
    if after.footprint != plan.after.footprint:
        raise BootcError(
            "The boot entry is not as it was planned to be.",
            error="bootc_ignored",
            hint="Some releases of libostree (2026.2) lose owners of kernel arguments; look at /boot/loader/entries on the host.",
            after=after.as_dict(),
            planned=plan.after.as_dict(),
        )
    return {"after": after.as_dict(), "reboot_required": host.reboot_required}


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "source": {"type": "str", "default": "ansible"},
            "kargs": {"type": "list", "elements": "str"},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    with module.errors():
        source = module.need("source")
        check_source(source)
        kargs = wanted(module)
        bootc = Bootc(timeout=module.params["timeout"] or None)
        host = bootc.status()
        check_host(host)
        record, native = Record.read(), has_loader_entries(bootc)
        plan = plan_kargs(next_entry(host), record, source, kargs, native=native, deploy=deploy_command(host))
        done = {"after": plan.after.as_dict(), "reboot_required": host.reboot_required or bool(plan.steps)}
        changed = plan.after.footprint != plan.before.footprint
        if (plan.steps or plan.record is not None) and not module.check_mode:
            done = run(module, bootc, plan, record)
            changed = module.changed
        if host.rollback_queued and plan.steps:
            module.warn("A rollback is queued; what is staged here boots before it.")
        module.exit_json(
            changed=changed,
            reason=plan.reason,
            commands=[" ".join(step) for step in plan.steps],
            method="loader-entries" if native else "ostree",
            running=list(running_kargs()),
            before=plan.before.as_dict(),
            diff={"before": shown(plan.before.as_dict()), "after": shown(done["after"])},
            **done,
        )


def shown(entry: dict[str, Any]) -> str:
    """A kernel argument a line, and then who owns what."""
    owners = [f"{name} owns {' '.join(words)}" for name, words in entry["sources"].items()]
    return "\n".join([*entry["kargs"], *owners]) + "\n"


if __name__ == "__main__":
    main()
