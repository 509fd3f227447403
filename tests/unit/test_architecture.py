# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arrows between rooms point one way, rooms do not know Ansible's modules, and the page that shows it is up to date."""

from __future__ import annotations

from graphlib import TopologicalSorter

from ansible_collections.imagemode.bootc.tests import architecture


def test_arrows_point_one_way() -> None:
    there = architecture.rooms()
    edges = {room: {name for path in files for name in architecture.knows(path)} & set(there) - {room} for room, files in there.items()}
    assert set(TopologicalSorter(edges).static_order()) == set(there)  # a circle is an error


def test_rooms_do_not_know_modules() -> None:
    found = {room for room, files in architecture.rooms().items() for path in files if "import AnsibleModule" in path.read_text()}
    assert found == {"_module"}


def test_the_page_is_up_to_date() -> None:
    assert architecture.PAGE.read_text() == architecture.page(), "run python3 tests/architecture.py"
