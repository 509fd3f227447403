# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choice of a container engine."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  engine:
    description: The container engine; V(auto) is the first of Podman, Buildah and Docker that is installed.
    type: str
    default: auto
    choices: [auto, podman, buildah, docker]
requirements:
  - Podman 4.3, Buildah 1.28 or Docker 20.10, or newer. Each serves a user who is not root, too - Podman and Buildah with subordinate
    ids (C(newuidmap), C(/etc/subuid)), Docker with a daemon of the user's own (C(dockerd-rootless.sh)), whose socket is E(DOCKER_HOST)
    in the task's environment.
  - Python library requests
"""
