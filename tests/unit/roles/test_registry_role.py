# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the role registry reaches the registry that it has made."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.imagemode.bootc.tests.unit.roles.playing import evaluated

# Address to listen on → where that is from the machine itself, and its host as the resolver takes it.
ADDRESSES = {
    "127.0.0.1:5000": ["127.0.0.1:5000", "127.0.0.1"],
    "0.0.0.0:5000": ["127.0.0.1:5000", "127.0.0.1"],
    ":5000": ["127.0.0.1:5000", "127.0.0.1"],
    "[::]:5000": ["127.0.0.1:5000", "127.0.0.1"],
    "[fd00::5]:5000": ["[fd00::5]:5000", "fd00::5"],
    "registry.site.test:443": ["registry.site.test:443", "registry.site.test"],
}


def test_it_is_waited_for_where_it_listens(tmp_path: Path) -> None:
    hosts = {str(number): {"registry_address": address} for number, address in enumerate(ADDRESSES)}
    found = evaluated(tmp_path, "registry", "[__registry_here, __registry_host]", hosts)
    assert dict(zip(ADDRESSES, (found[name] for name in hosts))) == ADDRESSES


def test_images_are_loaded_by_the_name_that_the_certificate_is_for(tmp_path: Path) -> None:
    everywhere, name = "0.0.0.0:5000", "registry.site.test:5000"
    hosts = {"unset": {"registry_address": everywhere}, "named": {"registry_address": everywhere, "registry_name": name}}
    found = evaluated(tmp_path, "registry", "[__registry_name, __registry_here]", hosts)
    assert found == {"unset": ["127.0.0.1:5000", "127.0.0.1:5000"], "named": [name, "127.0.0.1:5000"]}
