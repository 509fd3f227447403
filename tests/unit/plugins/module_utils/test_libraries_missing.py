# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Libraries that only some tasks need, where they are not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import Access, Registry
from ansible_collections.imagemode.bootc.plugins.module_utils._toml import parse_toml
from ansible_collections.imagemode.bootc.plugins.modules.oci_image_info import ask


def of_a_registry() -> None:
    Registry(Access(), lambda _reference: None).digest(Reference.parse("registry.test/os:1"))


def of_a_query() -> None:
    ask("exists", {"exists": True})


def of_a_configuration() -> None:
    parse_toml("", "a file")


@pytest.mark.parametrize(
    ("libraries", "use", "hint"),
    [
        (("requests",), of_a_registry, "python3-requests"),
        (("jmespath",), of_a_query, "jmespath"),
        (("tomllib", "tomli"), of_a_configuration, "python3-tomli"),
    ],
)
def test_what_is_not_installed_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, libraries: tuple[str, ...], use: Callable[[], None], hint: str
) -> None:
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImageModeError) as refused:
        use()
    assert (refused.value.error, hint in (refused.value.hint or "")) == ("python_library_missing", True)
