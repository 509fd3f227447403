# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's signature policy: containers-policy.json(5) and containers-registries.d(5)."""

from __future__ import annotations

from ._files import PolicyFiles
from ._policy import LOCAL_TRANSPORTS, PolicyInvalid, Scope, enforceable, with_default, with_scope
from ._pull import Pulled, open_image

__all__ = [
    "LOCAL_TRANSPORTS",
    "PolicyFiles",
    "PolicyInvalid",
    "Pulled",
    "Scope",
    "enforceable",
    "open_image",
    "with_default",
    "with_scope",
]
