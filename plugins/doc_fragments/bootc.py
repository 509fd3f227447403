# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that talk to bootc on a host have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  timeout:
    description:
      - Seconds that one command of bootc may take; V(0) means no limit.
      - bootc waits for its lock without a limit of its own, and pulling an image takes as long as the network does.
    type: int
    default: 3600
attributes:
  check_mode:
    support: full
    details:
      - Runs C(bootc status) and asks the registry; no other verb of bootc is run.
        C(bootc upgrade --check) is never used, because it can stage an update on the composefs backend.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - bootc 1.1.6 or newer on the host
  - skopeo on the host (bootc itself needs it)
notes:
  - Must be run as root, for example with C(become).
  - C(changed) is what differs between C(bootc status) before and after, never bootc's output.
  - Never reboots. Use M(imagemode.bootc.bootc_reboot) when RV(ignore:reboot_required) is true.
"""
