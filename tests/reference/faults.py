# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host refuses, and what the modules then say: a stable code, a hint, nothing changed.

After the recorded steps the host runs 5 (composefs) or 3 (ostree) and has an earlier deployment. The registry holds more images:

* C(unlabelled), which is no bootable container;
* C(foreign), which is for another architecture;
* C(conflict), in which /etc/conformance is a directory;
* C(again), the files of the booted image with another label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from by_modules import Modules, footprint
from recorded import REPOSITORY, Call

if TYPE_CHECKING:
    from conformance import Host, Images

POLICY = "/etc/containers/policy.json"
REJECT = '{"default": [{"type": "reject"}]}'


@dataclass(frozen=True)
class Fault:
    """:ivar error: C(None) if bootc refuses it and the module sees beforehand that nothing is to be done
    :ivar only: the backend that refuses it; the other has no such check
    :ivar foreseen: whether check mode says it, too; what depends on the image's files only bootc finds
    :ivar prepare: shell on the host, and the way back
    """

    name: str
    call: Call
    error: str | None
    only: str | None = None
    foreseen: bool = True
    prepare: str = "true"
    undo: str = "true"


def _switch(tag: str, **options: object) -> Call:
    return Call("bootc_switch", {"image": f"{REPOSITORY}:{tag}", **options})


FAULTS = (
    Fault("no-bootable-container", _switch("unlabelled"), "image_not_bootable", only="ostree"),
    # composefs asks for no label, and only finds that there is no kernel.
    Fault("no-kernel", _switch("unlabelled"), "image_not_bootable", only="composefs", foreseen=False),
    Fault("other-architecture", _switch("foreign"), "architecture_mismatch"),
    Fault("enforcing-a-policy-that-accepts-anything", _switch("2", enforce_container_sigpolicy=True), "signature_refused"),
    Fault(
        "policy-rejects",
        _switch("2"),
        "signature_refused",
        prepare=f"cp -a {POLICY} {POLICY}.kept && echo '{REJECT}' > {POLICY}",
        undo=f"mv {POLICY}.kept {POLICY}",
    ),
    Fault(
        "etc-conflict",
        _switch("conflict"),
        "etc_conflict",
        only="composefs",
        foreseen=False,
        prepare="echo mine > /etc/conformance",
        undo="rm /etc/conformance",
    ),
    Fault("same-files-under-another-digest", _switch("again"), None, only="composefs"),
    Fault(
        "disk-full",
        _switch("2"),
        "disk_full",
        foreseen=False,
        prepare="fallocate -l $(($(stat -f -c '%a*%S' /var))) /var/filled || dd if=/dev/zero of=/var/filled bs=1M; true",
        undo="rm /var/filled",
    ),
)


def provoke(host: Host, images: Images, modules: Modules, backend: str) -> Iterator[tuple[str, list[str], str]]:
    """Each fault's name, what was wrong, and a remark."""
    for fault in FAULTS:
        if fault.only not in (None, backend):
            continue
        before = footprint(images, host.status())
        prepared = host.run(fault.prepare)
        call = Call(fault.call.module, {**fault.call.options, "image": images.translate(str(fault.call.options["image"]))})
        foreseen, result = modules.call(call, check=True), modules.call(call, check=False)
        undone = host.run(fault.undo)
        after = footprint(images, host.status())
        wrong = [f"`{done.args[-1]}` failed: {done.stderr.strip()}" for done in (prepared, undone) if done.returncode]
        told = "hint" if fault.error else "warnings"
        if result.get("error") != fault.error or not result.get(told):
            wrong.append(f"not {fault.error or 'unchanged'} with {told}: {result}")
        if fault.foreseen and foreseen.get("error") != fault.error:
            wrong.append(f"check mode did not foresee it: {foreseen}")
        if result.get("changed") or before != after:
            wrong.append(f"changed={result.get('changed')}; the host went from {before} to {after}")
        yield fault.name, wrong, f"{call.module} refuses: {result.get('error')}"
