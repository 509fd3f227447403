# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host has anything to do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.imagemode.bootc.plugins.filter.converged import converged
from ansible_collections.imagemode.bootc.plugins.filter.same_image import same_image

DIGEST = "sha256:" + "a" * 64


def info(image: str = "registry.test/os:latest", signature: str | None = None, backend: str = "ostree") -> dict[str, Any]:
    host = {"image": image, "transport": "registry", "signature": signature, "staged": None, "backend": backend}
    return {"digest": DIGEST, "reboot_required": False, "host": host}


def test_an_image_may_be_spelt_in_another_way() -> None:
    assert converged(info(), DIGEST, "registry.test/os")
    assert not converged(info(), DIGEST, "registry.test/os:2")
    assert same_image("os", "docker.io/library/os:latest")
    assert same_image("/media/os", "/media/os")
    assert not same_image("os:1", None)


def test_an_image_in_local_storage_is_not_the_one_in_the_registry() -> None:
    local = info()
    local["host"]["transport"] = "containers-storage"
    assert not converged(local, DIGEST, "registry.test/os")
    assert converged(local, DIGEST)


def test_a_tag_beside_a_digest_decides_nothing() -> None:
    pinned = "registry.test/os@sha256:" + "1" * 64
    assert same_image(pinned, pinned.replace("@", ":2@"))
    assert not same_image(pinned.replace("@", ":2@"), "registry.test/os:2")
    assert not same_image(pinned, pinned[:-1] + "2")


def test_verification_counts_where_it_was_asked_for() -> None:
    verified = info(signature="containerPolicy")
    assert converged(verified, DIGEST)
    assert converged(verified, DIGEST, verified=True)
    assert not converged(info(), DIGEST, verified=True)
    assert not converged(verified, DIGEST, verified=False)
    assert converged(info(backend="composefs"), DIGEST, verified=True)  # which records nothing


def test_what_is_still_to_be_booted_is_something_to_do() -> None:
    staged = info()
    staged["host"]["staged"] = {"digest": DIGEST}
    assert not converged(staged, DIGEST)
    assert not converged({**info(), "reboot_required": True}, DIGEST)
    assert not converged(info(), DIGEST.replace("a", "b"))
    assert not converged(info(), "")


def test_what_is_not_from_bootc_info_is_refused_with_words() -> None:
    with pytest.raises(AnsibleError, match="takes what bootc_info returned"):
        converged({"failed": True, "msg": "no connection"}, DIGEST)
    with pytest.raises(AnsibleError, match="which failed: no connection"):
        converged({"failed": True, "msg": "no connection"}, DIGEST)
