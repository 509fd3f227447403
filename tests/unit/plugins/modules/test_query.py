# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The query of oci_image_info."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.modules.oci_image_info import ask

THERE = {"exists": True, "layers": [{"size": 1}, {"size": 2}]}
MISSING = {"exists": False, "reference": "registry.test/os:1"}


def test_an_image_that_is_not_there_has_no_answer() -> None:
    assert ask("sum(layers[].size)", THERE) == 3
    assert ask("sum(layers[].size)", MISSING) is None
    assert ask("exists", MISSING) is False


@pytest.mark.parametrize("result", [THERE, MISSING])
@pytest.mark.parametrize("query", ["layers[", "summe(layers)", "sum()"])
def test_what_is_no_expression_is_an_error_always(query: str, result: dict[str, object]) -> None:
    with pytest.raises(ImageModeError, match="cannot be evaluated") as refused:
        ask(query, result)
    assert refused.value.error == "query_invalid"


def test_an_expression_that_does_not_fit_the_image_is_an_error() -> None:
    with pytest.raises(ImageModeError, match="cannot be evaluated"):
        ask("sum(exists)", THERE)
