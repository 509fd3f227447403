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
      - Pulling an image takes as long as the network does.
    type: int
    default: 3600
  lock_timeout:
    description:
      - Seconds to wait for another bootc or rpm-ostree that is changing the host; bootc itself waits without a limit.
      - Then the task fails with RV(ignore:error=bootc_locked) and says which process it is.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    details:
      - Runs C(bootc status) and asks the registry; no other verb of bootc is run.
        C(bootc upgrade --check) is never used, because it can stage an update on the composefs backend.
      - An image for another architecture, without the label of a bootable image, or against the signature policy is refused as in
        the real run; on the composefs backend the label is only warned of, as bootc does without it there. What only the image's
        files tell, for example a conflict in C(/etc), is not foreseen.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - bootc 1.1.6 or newer on the host; with the composefs backend 1.12.0, to switch or upgrade it
  - skopeo on the host (bootc itself needs it)
notes:
  - Must be run as root, for example with C(become).
  - C(changed) is what differs between C(bootc status) before and after, never bootc's output.
  - Never reboots. Use M(imagemode.bootc.bootc_reboot) when RV(ignore:reboot_required) is true.
"""

    # Modules that may pull an image.
    PULLS = r"""
options:
  watch:
    description: Set by the action plugin, which follows the pull and shows how far it is. Not for playbooks.
    type: str
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
    details:
      - Shows how far the download is, after ten seconds and then every few seconds.
  async:
    description: Supports being used with the C(async) keyword.
    support: full
    details:
      - Then there is no progress to be seen.
notes:
  - The image is pulled by a transient unit of systemd, C(imagemode-bootc-switch) or C(imagemode-bootc-upgrade), or by a
    process of its own where systemd does not run. A lost connection or a stopped controller does not end it,
    and a task that finds one running waits for it.
  - On the ostree backend bootc pulls the images that the staged image binds (C(/usr/lib/bootc/bound-images.d)), and what is staged is
    dropped again where one cannot be pulled. On the composefs backend bootc 1.16.9 pulls none of them and does not say so; pull them
    after the reboot with M(imagemode.bootc.bootc_bound_images), or before it by their names with C(bootc image cmd pull).
"""
