# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JMESPath over what is known of hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import ImageModeError


class QueryInvalid(ImageModeError):
    """A JMESPath expression cannot be evaluated."""

    error = "query_invalid"


def search(query: str, document: Any) -> Any:
    """:returns: what a JMESPath expression finds
    :raises QueryInvalid: it is no expression, or jmespath is missing
    """
    try:
        import jmespath
    except ImportError:
        raise QueryInvalid("A query needs the Python library jmespath on the controller.", hint="Install jmespath.") from None
    try:
        return jmespath.search(query, document)
    except jmespath.exceptions.JMESPathError as error:
        raise QueryInvalid(f"The JMESPath expression '{query}' cannot be evaluated: {error}", hint="See jmespath.org.") from None


def matching(hosts: Mapping[str, Any], query: str) -> list[str]:
    """:param hosts: host → what is known of it
    :returns: the hosts of which a query is true as JMESPath has it: not null, false, or empty
    :raises QueryInvalid: as L(search)
    """
    return [name for name, known in hosts.items() if _true(search(query, known))]


def _true(found: Any) -> bool:
    """As JMESPath has it, to which 0 is true. Not asked of JMESPath itself: an error is to name the query as it was written."""
    return found is not None and found is not False and found not in ("", [], {})
