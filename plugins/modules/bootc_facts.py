#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: bootc_facts
short_description: Facts of a bootc host, with a package manager that can be used
version_added: 0.1.0
description:
  - Sets C(ansible_facts.bootc) to what M(imagemode.bootc.bootc_info) returns.
  - On a host that runs an image it corrects C(ansible_facts.pkg_mgr), which M(ansible.builtin.package) goes by.
  - ansible-core (2.17 to 2.19) looks for C(/run/ostree-booted). Where that is, as on the ostree backend, a Red Hat-like host gets
    C(atomic_container), for which there is no module, so M(ansible.builtin.package) and M(ansible.builtin.dnf) fail even if the
    package is in the image. Where it is not, as on the composefs backend, the fact is right.
  - The fact set here is the package manager that is in the image. With it a task that asks for a package that the image has
    ends with "ok", so roles that are written for both kinds of hosts run. A package that the image does not have cannot be
    installed, because C(/usr) is read-only, and the package manager says so; build it into the image, or, to try something out,
    mount an overlay with M(imagemode.bootc.bootc_usr_overlay) until the next reboot. An image without a package manager keeps
    the fact that it has.
options:
  pkg_mgr:
    description: Correct C(ansible_facts.pkg_mgr) on hosts that run an image.
    type: bool
    default: true
  timeout:
    description: Seconds that bootc may take; V(0) means no limit. bootc waits for its lock without a limit of its own.
    type: int
    default: 300
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_bootc
attributes:
  facts:
    description: Action returns an C(ansible_facts) dictionary that will update existing host facts.
    support: full
notes:
  - Works as an entry of C(facts_modules), beside M(ansible.builtin.setup), and is cached with the facts of the host.
    Ansible gathers from several modules at the same time, and whichever ends last sets C(pkg_mgr). Let
    C(ansible_facts_parallel) be false and name this module last, or call it as a task. At the same time each module also has
    C(gather_timeout) to end, which is ten seconds.
  - C(ansible_package_use) is set too. M(ansible.builtin.package) takes it before C(pkg_mgr), so that task is right in either order,
    unless C(inject_facts_as_vars) is off.
  - Without root a host that runs an image cannot be looked at. Gathering goes on then, with a warning, and
    C(ansible_facts.bootc.managed) is null.
seealso:
  - module: imagemode.bootc.bootc_info
  - module: imagemode.bootc.bootc_usr_overlay
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Gather them
  imagemode.bootc.bootc_facts:

- name: Do what only a host that runs an image needs
  ansible.builtin.debug:
    msg: "{{ ansible_facts.bootc.host.booted.image }} runs here"
  when: ansible_facts.bootc.managed

- name: Ask for a package; on a host that runs an image it must be in the image
  ansible.builtin.package:
    name: chrony
    state: present

# In ansible.cfg, for every play:
#   [defaults]
#   facts_modules = ansible.builtin.setup, imagemode.bootc.bootc_facts
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to C(ansible_facts).
  returned: success
  type: complex
  contains:
    bootc:
      description:
        - What M(imagemode.bootc.bootc_info) returns without C(gather), and C(packages).
        - C(packages.manager) is the package manager in the image, C(packages.usr_writable) whether it could install anything now,
          C(packages.explanation) why it could not.
        - Where the host could not be looked at, C(managed) is null, and C(error) and C(msg) tell why.
      returned: success
      type: dict
      sample:
        backend: ostree
        digest: sha256:512f1faaaff24267d22d54dfe584aa55a25e52fe1faa050c959c34a00e4f2bc7
        kind: image
        managed: true
        packages:
          explanation: /usr is read-only.
          manager: dnf5
          usr_writable: false
        reboot_required: false
    pkg_mgr:
      description: The package manager in the image.
      returned: on a host that runs an image with a package manager
      type: str
      sample: dnf5
    package_use:
      description: The same; what M(ansible.builtin.package) looks at first.
      returned: on a host that runs an image with a package manager
      type: str
      sample: dnf5
"""

from typing import Any

from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.about import about, packages
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.client import Bootc
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule


def main() -> None:
    module = CollectionModule(
        argument_spec={"pkg_mgr": {"type": "bool", "default": True}, "timeout": {"type": "int", "default": 300}},
        supports_check_mode=True,
    )
    with module.errors():
        # With the prefix a fact replaces the one of ansible.builtin.setup; ansible_facts holds it without.
        facts: dict[str, Any] = {}
        try:
            host, found = about(Bootc(timeout=module.params["timeout"] or None))
        except ImageModeError as error:  # gathering must not stop a play that does not need root
            module.warn(f"The host cannot be asked for its bootc status: {error.message} {error.hint or ''}".rstrip())
            facts["ansible_bootc"] = {"managed": None, **error.as_result()}
        else:
            package = packages() if host.booted else None
            facts["ansible_bootc"] = {**found, "host": host.as_dict(), "packages": package}
            if package and package["manager"] and module.params["pkg_mgr"]:
                facts.update(ansible_pkg_mgr=package["manager"], ansible_package_use=package["manager"])
        module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
