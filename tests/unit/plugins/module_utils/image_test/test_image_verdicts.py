# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a test of an image holds, by what was found in it, and which tests cannot be run."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._image_test import Test as ImageTest
from ansible_collections.imagemode.bootc.plugins.module_utils._image_test import parse_tests
from ansible_collections.imagemode.bootc.plugins.module_utils._image_test._judge import judge, judge_command
from ansible_collections.imagemode.bootc.plugins.module_utils._runner import Completed

FILE = {"type": ["file"], "stat": ["644 0 root 0 root"], "content": [base64.b64encode(b"one\ntwo\n").decode()]}
DIRECTORY = {"type": ["directory"], "stat": ["1777 0 root 0 root"]}
LINK = {"target": ["/usr/x"], **FILE}
DANGLING = {"target": ["/usr/x"]}
USER = {"passwd": ["web:x:7:8::/srv:/bin/sh"], "group": ["www"], "groups": ["www wheel"]}
KERNEL = {"kernel": ["6.1"], "initramfs": ["6.1"]}


def asked(**test: Any) -> ImageTest:
    (parsed,) = parse_tests([test])
    return parsed


@pytest.mark.parametrize(
    ("test", "facts", "why"),
    [
        ({"file": "/x"}, FILE, None),
        ({"file": "/x"}, {}, "is not there"),
        ({"file": "/x", "state": "absent"}, {}, None),
        ({"file": "/x", "state": "absent"}, FILE, "is there"),
        ({"file": "/x", "state": "absent"}, DANGLING, "is there"),
        ({"file": "/x", "state": "file"}, FILE, None),
        ({"file": "/x", "state": "file"}, LINK, None),
        ({"file": "/x", "state": "file"}, DIRECTORY, "is a directory, not a file"),
        ({"file": "/x", "state": "directory"}, DIRECTORY, None),
        ({"file": "/x", "state": "directory"}, {"type": ["other"]}, "is no directory"),
        ({"file": "/x", "state": "file"}, DANGLING, "leads to '/usr/x', which is not there"),
        ({"file": "/x"}, DANGLING, "which is not there"),
        ({"file": "/x", "state": "link"}, DANGLING, None),
        ({"file": "/x", "state": "link"}, FILE, "is a file, not a link"),
        ({"file": "/x", "state": "link"}, {}, "is not there"),
        ({"file": "/x", "state": "link", "mode": "0644"}, DANGLING, "which is not there"),
        ({"file": "/x", "target": "/usr/x"}, DANGLING, None),
        ({"file": "/x", "target": "/usr/y"}, LINK, "leads to '/usr/x', not to '/usr/y'"),
        ({"file": "/x", "mode": "0644", "owner": "root", "group": "0"}, FILE, None),
        ({"file": "/x", "mode": 0o644}, FILE, None),
        ({"file": "/x", "mode": "0600"}, FILE, "the mode is 0644, not 0600"),
        ({"file": "/x", "mode": "0777"}, DIRECTORY, "the mode is 1777, not 0777"),
        ({"file": "/x", "owner": "web"}, FILE, "the owner is root (0), not web"),
        ({"file": "/x", "group": "web"}, FILE, "the group is root (0), not web"),
        ({"file": "/x", "mode": "0644"}, {"type": ["file"]}, "no working 'stat'"),
        ({"file": "/x", "content": "^two$"}, FILE, None),
        ({"file": "/x", "content": "^three$"}, FILE, "does not match"),
        ({"file": "/x", "content": ""}, DIRECTORY, "is no file that has content"),
        ({"package": "x"}, {"manager": ["rpm"], "version": ["1.2-3"]}, None),
        ({"package": "x"}, {"manager": ["rpm"]}, "is not installed"),
        ({"package": "x"}, {}, "neither rpm nor dpkg"),
        ({"package": "x", "state": "absent"}, {}, "neither rpm nor dpkg"),
        ({"package": "x", "state": "absent"}, {"manager": ["rpm"]}, None),
        ({"package": "x", "state": "absent"}, {"manager": ["rpm"], "version": ["1"]}, "it is installed, version 1"),
        ({"package": "x", "version": "^2"}, {"manager": ["rpm"], "version": ["1", "2"]}, None),
        ({"package": "x", "version": "^3"}, {"manager": ["rpm"], "version": ["1", "2"]}, "its version is 1 and 2"),
        ({"service": "x"}, {"enabled": ["enabled"]}, None),
        ({"service": "x"}, {"enabled": ["enabled-runtime"]}, None),
        ({"service": "x"}, {"enabled": ["disabled"]}, "it is disabled, not enabled"),
        ({"service": "x"}, {}, "systemd is not in the image"),
        ({"service": "x", "state": "masked"}, {"enabled": ["masked"]}, None),
        ({"service": "x", "state": "absent"}, {"enabled": ["Failed: No such file or directory"]}, None),
        ({"service": "x", "state": "absent"}, {"enabled": ["Unit x does not exist"]}, None),
        ({"service": "x", "state": "absent"}, {"enabled": ["not-found"]}, None),
        ({"service": "x", "state": "absent"}, {"enabled": ["disabled"]}, "it is disabled, not absent"),
        ({"user": "web", "uid": 7, "home": "/srv", "shell": "/bin/sh", "group": "www", "groups": ["wheel"]}, USER, None),
        ({"user": "web"}, {}, "there is no such user"),
        ({"user": "web", "state": "absent"}, {}, None),
        ({"user": "web", "state": "absent"}, USER, "the user is there, with uid 7"),
        ({"user": "web", "uid": 8}, USER, "the uid is 7, not 8"),
        ({"user": "web", "home": "/"}, USER, "the home is /srv, not /"),
        ({"user": "web", "shell": "/bin/false"}, USER, "the shell is /bin/sh"),
        ({"user": "web", "group": "8"}, {"passwd": USER["passwd"]}, None),
        ({"user": "web", "group": "wheel"}, USER, "the group is www, not wheel"),
        ({"user": "web", "groups": ["wheel", "docker"]}, USER, "the user is in www, wheel, not in docker"),
        ({"group": "www", "gid": 8}, {"entry": ["www:x:8:"]}, None),
        ({"group": "www", "gid": 9}, {"entry": ["www:x:8:"]}, "the gid is 8, not 9"),
        ({"group": "www"}, {}, "there is no such group"),
        ({"group": "www", "state": "absent"}, {}, None),
        ({"group": "www", "state": "absent"}, {"entry": ["www:x:8:"]}, "the group is there, with gid 8"),
        ({"kernel": True}, KERNEL, None),
        ({"kernel": True}, {"uki": ["6.1.efi"]}, None),
        ({"kernel": True}, {}, "there is no kernel"),
        ({"kernel": True}, {"kernel": ["6.1"]}, "has no initramfs.img"),
        ({"kernel": True}, {**KERNEL, "uki": ["6.1.efi"]}, "not exactly one kernel, but 6.1, 6.1.efi"),
        ({"kernel": True, "version": "^6"}, KERNEL, None),
        ({"kernel": True, "version": "^5"}, KERNEL, "the kernel is 6.1"),
        ({"label": "x"}, {"value": [""]}, None),
        ({"label": "x"}, {}, "there is no such label"),
        ({"label": "x", "value": "^1"}, {"value": ["21"]}, "the label does not match"),
        ({"env": "X", "state": "absent"}, {}, None),
        ({"env": "X", "state": "absent"}, {"value": ["1"]}, "the variable is there: '1'"),
    ],
)
def test_a_test_holds_by_what_is_in_the_image(test: dict[str, Any], facts: dict[str, Any], why: str | None) -> None:
    found = judge(asked(**test), facts)
    assert (found is None) is (why is None), found
    assert (why or "") in (found or "")


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ({}, "the return code is 3, not 0: oh no"),
        ({"rc": 3}, None),
        ({"rc": 3, "stdout": "^two$", "stderr": "oh"}, None),
        ({"rc": 3, "stdout": "oh"}, "stdout does not match 'oh'"),
        ({"rc": 3, "stderr": "two"}, "stderr does not match 'two'"),
    ],
)
def test_a_command_is_judged_by_its_return_code_and_what_it_said(expected: dict[str, Any], why: str | None) -> None:
    found = judge_command(asked(command="x", **expected), Completed(("x",), 3, "one\ntwo\n", "oh no\n", 0.0))
    assert (found is None) is (why is None)
    assert (why or "") in (found or "")


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({"name": "n"}, "Test 1 ('n') does not say what it tests"),
        ({"kernel": False}, "Test 1 does not say"),
        ({"file": "/x", "uid": 7}, "'uid' does not go with 'file'"),
        ({"service": "x", "state": "present"}, "there is no state 'present' of a service"),
        ({"user": "x", "state": "absent", "uid": 7}, "what is absent has nothing else"),
        ({"command": "x", "stdout": "["}, "'stdout' is no regular expression"),
        ({"command": "x", "stderr": "["}, "'stderr' is no regular expression"),
        ({"label": "x", "value": "("}, "'value' is no regular expression"),
        ({"file": "/x", "mode": "rw"}, "'rw' is no mode"),
        ({"file": "x"}, "'x' is no absolute path"),
        ({"port": 0}, "'0' is no port"),
        ({"port": 65536}, "'65536' is no port"),
        ({"env": "A B"}, "'A B' is no name of a variable"),
    ],
)
def test_what_cannot_be_tested_is_refused(test: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as refused:
        asked(**test)
    assert words in refused.value.message
    assert refused.value.hint


def test_a_test_has_a_name_of_its_own_or_of_its_subject() -> None:
    tests = parse_tests([{"name": "n", "file": "/x"}, {"file": "/x"}, {"kernel": True}, {"command": "x", "rc": 0, "stdout": None}])
    assert [one.name for one in tests] == ["n", "file /x", "kernel", "command x"]
    assert tests[3].expected == {"rc": 0}
    assert tests[0].as_key() == tests[1].as_key() != asked(file="/x", mode="0644").as_key()
