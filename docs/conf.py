# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Sphinx is told; `make docs` (tests/site.py) puts this beside the pages."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

project = "imagemode.bootc"
copyright = "Contributors to the imagemode.bootc project"
html_title = html_short_title = project
html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 3
pygments_style = "ansible"
default_role = "any"
nitpicky = False
suppress_warnings = ["epub.unknown_project_files", "misc.highlighting_failure"]

ANSIBLE = "https://docs.ansible.com/ansible/latest"
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}


def ansible_page(_app: Any, _environment: Any, node: Any, content: Any) -> nodes.reference | None:
    """Where Ansible's own documentation has what is no page of this one: by its rule for names, without asking it."""
    target = node["reftarget"]
    page = PAGES.get(target)
    found = re.fullmatch(r"ansible_collections\.(\w+)\.(\w+)\.(\w+?)(?:__([\w-]+))?", target)
    if found and found[1] != "imagemode":
        page = f"collections/{found[1]}/{found[2]}/{found[3]}.html" + (f"#{found[4]}" if found[4] else "")
    return nodes.reference("", "", content, refuri=f"{ANSIBLE}/{page}", internal=False) if page else None


def setup(app: Any) -> None:
    app.connect("missing-reference", ansible_page)
