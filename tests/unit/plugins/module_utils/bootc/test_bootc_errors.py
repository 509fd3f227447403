# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What bootc, libostree and skopeo say when they fail, as codes."""

from __future__ import annotations

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import classify


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Importing: Writing object: min-free-space-percent '3%' would be exceeded, at least 12.6 kB requested", "disk_full"),
        ("Importing: min-free-space-size 500MB would be exceeded", "disk_full"),
        ("writing blob: write /var/tmp/container_images_storage: no space left on device", "disk_full"),
        ("Importing: No space left on device (os error 28)", "disk_full"),
        ("reading manifest 1 in registry.test/os: received unexpected HTTP status: 502 Bad Gateway", "registry_unavailable"),
        ("pinging container registry registry.test: received unexpected HTTP status: 503 Service Unavailable", "registry_unavailable"),
        ("Requesting bearer token: invalid status code from registry 500 (Internal Server Error)", "registry_unavailable"),
        ('Get "https://registry.test/v2/": net/http: TLS handshake timeout', "registry_unreachable"),
        ('Get "https://registry.test/v2/os/blobs/sha256:77": context deadline exceeded', "registry_unreachable"),
        ("reading manifest 1 in docker.io/test/os: denied: requested access to the resource is denied", "registry_unauthorized"),
        ("reading manifest 1 in docker.io/test/os: requested access to the resource is denied", "registry_unauthorized"),
        ('Get "https://r.test/v2/": proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused', "proxy_failed"),
        ('pinging container registry r.test: Get "https://r.test/v2/": Proxy Authentication Required', "proxy_failed"),
        ("reading manifest 9 in registry.test/os: manifest unknown", "image_missing"),
        ("Soft rebooting: Cannot soft-reboot to deployment with a different kernel state", "soft_reboot_unavailable"),
        ("Soft rebooting: System does not support soft reboots", "soft_reboot_unavailable"),
        ("Soft rebooting: Cannot soft-reboot to currently booted deployment", "soft_reboot_unavailable"),
        ("Preparing /run/nextroot for a soft-reboot: soft reboot not supported without composefs", "soft_reboot_unavailable"),
        ("Deployment is already in unlocked state: development", "bootc_refused"),
        ('Pulling image into composefs repository: Directory entry "usr" does not exist', "image_not_bootable"),
    ],
)
def test_a_failure_has_its_code(said: str, code: str) -> None:
    assert classify(f"error: Upgrading: {said}")[0] == code
    assert classify(said)[1]


def test_who_is_denied_is_told_of_both_reasons() -> None:
    hint = classify("error: Switching: denied: requested access to the resource is denied")[1]
    assert hint
    assert "auth.json" in hint
    assert "does not exist" in hint
