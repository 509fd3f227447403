# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which a registry is reached; their code is C(module_utils/_registry/_options.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  username:
    description: User at the registry. Without it, credentials are looked for in O(auth_file) or where Podman looks for them.
    type: str
  password:
    description: Password or token of O(username). It is never on a command line; engines get it in a file that is removed.
    type: str
  auth_namespace:
    description: Registry or namespace that O(username) and O(password) are for; without it the registry of the image.
    type: str
  auth_file:
    description: File with credentials as C(podman login) writes it.
    type: path
  validate_certs:
    description:
      - Whether the registry's certificate must be trusted and name its host. As O(plain_http), O(ca_path), O(client_cert) and
        O(client_key), it is for the registries that the task itself names; others, such as those of mirrors and of base images, are
        reached as the machine's C(registries.conf) and C(certs.d) have it.
    type: bool
    default: true
  plain_http:
    description: Speak HTTP to the registry, without TLS. Never tried unless asked for.
    type: bool
    default: false
  ca_path:
    description: File with CA certificates to trust, or a directory as containers-certs.d(5) has it.
    type: path
  client_cert:
    description: PEM file with the client certificate that the registry asks for.
    type: path
  client_key:
    description: PEM file with the key of O(client_cert), without a passphrase; unset, it is in the same file.
    type: path
  timeout:
    description: Seconds for a connection to the registry, and for each wait for data.
    type: int
    default: 30
  retries:
    description: How often a request to the registry is repeated after 429, 5xx or a broken connection.
    type: int
    default: 3
"""
