# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the words of BMCs and of the modules that talk to them mean."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.imagemode.bootc.plugins.filter.bmc_fault import bmc_fault
from ansible_collections.imagemode.bootc.plugins.filter.redfish_entry import redfish_entry

MEDIUM = "http://192.0.2.1/live.iso"


@pytest.mark.parametrize(
    ("said", "error", "final"),
    [
        ("HTTP Error 401 on GET request to 'https://b/redfish/v1/Systems', extended message: 'x'", "bmc_unauthorized", True),
        ("Incorrect password provided", "bmc_unauthorized", True),
        ("HTTP Error 503 on POST request to 'https://b/', extended message: 'busy'", "bmc_busy", False),
        ("URL Error on GET request to 'https://b/redfish/v1/': '[Errno 111] Connection refused'", "bmc_unreachable", False),
        ("URL Error on GET request to 'https://b/': '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'", "bmc_certificate", True),
        ("Unable to find an available VirtualMedia resource supporting ['CD', 'DVD']", "bmc_media_occupied", True),
        ("VirtualMedia resource not found", "bmc_unsupported", True),
        ("Boot device UefiHttp not in list of allowable values (['Pxe'])", "bmc_unsupported", True),
        ("Failed to import the required Python library (pyghmi) on host's Python", "bmc_library_missing", True),
        ("timeout", "bmc_unreachable", False),
        ("something new", "bmc_failed", False),
    ],
)
def test_a_refusal_has_a_code_and_tells_whether_to_try_again(said: str, error: str, final: bool) -> None:
    fault = bmc_fault({"msg": said})
    assert (fault["error"], fault["final"]) == (error, final)
    assert said in fault["msg"]
    assert fault["hint"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("HTTP Error 400 on POST request to 'https://b/', extended message: 'Cannot download'", "media_unreachable"),
        ("HTTP Error 500 on POST request to 'https://b/', extended message: 'Failed fetching image'", "media_unreachable"),
        ("HTTP Error 401 on POST request to 'https://b/', extended message: 'x'", "bmc_unauthorized"),
        ("HTTP Error 503 on POST request to 'https://b/', extended message: 'busy'", "bmc_busy"),
    ],
)
def test_a_medium_that_was_not_taken_is_told_from_a_bmc_that_is_busy(said: str, error: str) -> None:
    assert bmc_fault({"msg": said}, MEDIUM)["error"] == error


def test_one_resource_of_several_is_chosen_by_its_id() -> None:
    entries = [
        ({"system_uri": "/redfish/v1/Systems/1"}, {"PowerState": "On"}),
        ({"system_uri": "/redfish/v1/Systems/2/"}, {"PowerState": "Off"}),
    ]
    assert redfish_entry(entries, "2") == {"PowerState": "Off"}
    assert redfish_entry(entries, 2) == {"PowerState": "Off"}, "YAML takes it for a number"
    assert redfish_entry(entries[:1]) == {"PowerState": "On"}
    for wanted in (None, "", "3"):
        with pytest.raises(AnsibleFilterError, match="It has: 1, 2"):
            redfish_entry(entries, wanted)
