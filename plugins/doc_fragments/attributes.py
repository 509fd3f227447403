# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module states of itself."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in check mode), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
  platform:
    description: Target OS families that can be operated against.
    support: full
    platforms: linux
"""

    # The module changes nothing: an info module.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""

    # The action runs on the controller alone, or needs the controller for a part of it.
    ACTION = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
"""

    # An action that predicts all that it does, and has nothing to show as a diff.
    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

    # The action does nothing but say how long the module has been at work.
    ELAPSED = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
    details:
      - Says how long the task has been at work, after ten seconds and then every twenty.
"""

    # Members of the action group imagemode.bootc.bootc.
    GROUP_BOOTC = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/imagemode.bootc.bootc) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - imagemode.bootc.bootc
"""

    # Members of the action group imagemode.bootc.image.
    GROUP_IMAGE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/imagemode.bootc.image) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - imagemode.bootc.image
"""

    # Members of the action group imagemode.bootc.test.
    GROUP_TEST = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/imagemode.bootc.test) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - imagemode.bootc.test
"""
