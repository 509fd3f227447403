#!/usr/bin/python
# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image_test
short_description: Test an image by running it as a container
version_added: 0.1.0
description:
  - Runs an image of the engine's local storage as a container and looks at what is listed - what commands say, files, packages,
    services, ports, users, groups, the kernel, labels and variables. All tests are run, and if one fails the task fails.
  - The container gets no credentials and, unless O(network) says otherwise, no network, and is removed whatever happens. Commands
    run as root.
  - What passed is remembered on the builder for the image's id and these tests, and is not run again without O(force). An image
    with this id has this content; what is not remembered is anything that was seen with a network.
options:
  name:
    description: The image in the engine's local storage - a name, or an id as V(sha256:…).
    type: str
    required: true
  tests:
    description:
      - The tests. Each has one of C(command), C(file), C(package), C(service), C(port), C(user), C(group), C(kernel), C(label) and
        C(env), which says what is looked at, and options that go with it.
      - Regular expressions are Python's. They may match anywhere, and V(^) and V($) match at every line.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the test is called in results; without it what it looks at.
        type: str
      command:
        description: A command line that C(/bin/sh) in the image runs. With it go C(rc), C(stdout), C(stderr) and C(timeout).
        type: str
      rc:
        description: Return code of the command. The default is 0.
        type: int
      stdout:
        description: Regular expression for the command's standard output.
        type: str
      stderr:
        description: Regular expression for the command's standard error.
        type: str
      timeout:
        description: Seconds for a command (O(timeout) without it), or for a port to listen (10 without it).
        type: int
      file:
        description:
          - Path of a file. With it go C(state), C(mode), C(owner), C(group), C(content) and C(target). Links are followed, except by
            V(link), V(absent) and C(target).
        type: str
      state:
        description:
          - V(present) or V(absent); V(present) is the default. A file may also be V(file), V(directory) or V(link).
          - A service is V(enabled) (the default), V(disabled), V(masked), V(static) or V(absent).
        type: str
      mode:
        description: Permissions in octal, quoted, for example V('0644').
        type: raw
      owner:
        description: Name or number of the file's owner.
        type: str
      group:
        description:
          - With C(file) or C(user), name of its group; of a file also the number.
          - Without them, a group that is looked at. With it go C(state) and C(gid).
        type: str
      content:
        description: Regular expression for the first MiB of the file.
        type: str
      target:
        description: What the link says.
        type: str
      package:
        description: A package of rpm or dpkg. With it go C(state) and C(version).
        type: str
      version:
        description: Regular expression for the version of the package or the kernel.
        type: str
      service:
        description: A unit of systemd. With it goes C(state).
        type: str
      port:
        description:
          - A port on which something must listen. With it go C(protocol), C(start) and C(timeout).
          - Without C(start) a container is started with the image's own entrypoint and command, in a bootable image C(init), which
            Podman runs with what systemd needs. Buildah cannot do this.
        type: int
      protocol:
        description: V(tcp), the default, or V(udp).
        type: str
        choices: [tcp, udp]
      start:
        description: A command line that makes something listen on the port.
        type: str
      user:
        description: A user. With it go C(state), C(uid), C(group), C(groups), C(home) and C(shell).
        type: str
      uid:
        description: The user's number.
        type: int
      groups:
        description: Groups that the user must be in.
        type: list
        elements: str
      home:
        description: The user's home directory.
        type: str
      shell:
        description: The user's shell.
        type: str
      gid:
        description: The group's number.
        type: int
      kernel:
        description: Whether there must be exactly one kernel, with its initramfs. With it goes C(version).
        type: bool
      label:
        description: A label of the image. With it go C(state) and C(value).
        type: str
      env:
        description: A variable of the image's environment. With it go C(state) and C(value).
        type: str
      value:
        description: Regular expression for the value.
        type: str
  network:
    description: Network of the containers, as the engine takes it.
    type: str
    default: none
  timeout:
    description: Seconds after which a command has failed.
    type: int
    default: 60
  force:
    description: Run the tests although they passed on this image.
    type: bool
    default: false
extends_documentation_fragment:
  - imagemode.bootc.attributes
  - imagemode.bootc.attributes.elapsed
  - imagemode.bootc.attributes.info
  - imagemode.bootc.attributes.group_test
  - imagemode.bootc.engine
attributes:
  check_mode:
    details:
      - The tests are run in check mode, too, as they change nothing.
author:
  - Contributors to the imagemode.bootc project (@imagemode)
"""

EXAMPLES = r"""
- name: Test the operating system
  imagemode.bootc.oci_image_test:
    name: registry.example.com/os:1
    tests:
      - kernel: true
      - package: nginx
        version: ^1\.
      - package: telnet
        state: absent
      - service: nginx.service
      - service: debug-shell.service
        state: masked
      - file: /etc/nginx/nginx.conf
        mode: "0644"
        owner: root
        content: ^user nginx;
      - user: nginx
        shell: /sbin/nologin
      - label: containers.bootc
      - name: The configuration is valid
        command: nginx -t
        stderr: test is successful
      - name: The web server listens
        port: 80
        start: nginx
"""

RETURN = r"""
results:
  description: The outcome of each test, in order.
  returned: success, and when a test failed
  type: list
  elements: dict
  contains:
    name:
      description: What the test is called.
      type: str
    passed:
      description: Whether it passed.
      type: bool
    reason:
      description: Why it failed; empty if it passed.
      type: str
    seconds:
      description: How long it took.
      type: float
    stdout:
      description: Last lines of a command that failed.
      type: str
      returned: when a command's test failed
    stderr:
      description: Last lines of a command that failed.
      type: str
      returned: when a command's test failed
  sample:
    - name: package nginx
      passed: true
      reason: ""
      seconds: 0.02
image_id:
  description: Digest of the image configuration, which was tested.
  returned: success, and when a test failed
  type: str
  sample: sha256:353266bc3645851e5d62a4873741596c3fbcad3d1dacc49c2b51a4e94b3ac3d6
engine:
  description: The engine that ran the containers.
  returned: success, and when a test failed
  type: str
  sample: podman
remembered:
  description: Whether the results are those of an earlier run.
  returned: success, and when a test failed
  type: bool
  sample: false
tested_at:
  description: When the tests ran, in UTC.
  returned: success
  type: str
  sample: "2026-11-24T20:42:52Z"
error:
  description: A stable code for what went wrong.
  returned: failure
  type: str
  sample: image_test_failed
hint:
  description: What to do about it.
  returned: failure, where there is something to say
  type: str
  sample: Each test's outcome is in 'results'.
"""

from ansible_collections.imagemode.bootc.plugins.module_utils._engine import CHOICES, choose_engine, stored_name
from ansible_collections.imagemode.bootc.plugins.module_utils._image_test import TEST_ARGUMENTS, ImageTestFailed, parse_tests, run_tests
from ansible_collections.imagemode.bootc.plugins.module_utils._module import CollectionModule
from ansible_collections.imagemode.bootc.plugins.module_utils._passed import recall, remember
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Runner


def main() -> None:
    module = CollectionModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "tests": {"type": "list", "elements": "dict", "required": True, "options": TEST_ARGUMENTS},
            "network": {"type": "str", "default": "none"},
            "timeout": {"type": "int", "default": 60},
            "force": {"type": "bool", "default": False},
            "engine": {"type": "str", "default": "auto", "choices": CHOICES},
        },
        supports_check_mode=True,
    )
    with module.errors():
        test(module)


def test(module: CollectionModule) -> None:
    tests = parse_tests(module.params["tests"])
    network, timeout = module.params["network"] or "none", module.params["timeout"] or 60
    runner = Runner()
    engine = choose_engine(module.params["engine"] or "auto", runner)
    image = engine.need(stored_name(module.need("name")))
    inputs = [image.id, engine.program, network, timeout, [one.as_key() for one in tests]]
    known = None if module.params["force"] else recall("oci_image_test", inputs)
    if known:
        # A test that was only given another name is the same test.
        results = [{**result, "name": one.name} for result, one in zip(known["results"], tests)]
        module.exit_json(changed=False, remembered=True, **{**known, "results": results})
    outcomes = run_tests(tests, engine, runner, image, network, timeout)
    found = {"results": [one.as_result() for one in outcomes], "image_id": image.id, "engine": engine.program}
    failed = [one for one in outcomes if not one.passed]
    if failed:
        raise ImageTestFailed(
            f"{len(failed)} of {len(outcomes)} tests of the image failed: " + "; ".join(f"{one.name}: {one.reason}" for one in failed),
            hint="Each test's outcome is in 'results'.",
            remembered=False,
            **found,
        )
    # With a network the outcome depends on what else is there.
    kept = remember("oci_image_test", inputs, found, keep=network == "none")
    module.exit_json(changed=False, remembered=False, **kept)


if __name__ == "__main__":
    main()
