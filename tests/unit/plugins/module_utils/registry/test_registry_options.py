# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task says of a registry is for that registry: the password of another one does not go where there is no TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._engine_access import engine_access
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference
from ansible_collections.imagemode.bootc.plugins.module_utils._registry import RegistryError, RegistryOptions

from .scripted import ScriptedRegistry, digest, manifest

OWN = Reference.parse("own.test/os:1")
OTHER = Reference.parse("other.test/base:1")


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's."""
    (tmp_path / "registries.conf").write_text("")
    (tmp_path / "auth.json").write_text("{}")
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    return tmp_path / "registries.conf"


def test_a_base_image_elsewhere_is_not_asked_for_without_tls(server: ScriptedRegistry, configuration: Path) -> None:
    base = Reference.parse(f"{server.address}/base:1")
    options = RegistryOptions.of({"plain_http": True, "retries": 0}, OWN)
    with pytest.raises(RegistryError) as refused:
        options.puller().digest(base)
    assert "insecure = true" in (refused.value.hint or ""), "'plain_http' is set, and not for this one"
    assert server.seen == []
    configuration.write_text(f'[[registry]]\nlocation = "{server.address}"\ninsecure = true\n')
    assert options.puller().digest(base) == digest(manifest())


def test_a_mirror_is_reached_as_the_machine_says_and_the_registry_itself_as_the_task_says(
    server: ScriptedRegistry, configuration: Path
) -> None:
    mirror = ScriptedRegistry(server.script)
    configuration.write_text(
        f'[[registry]]\nprefix = "own.test"\nlocation = "{server.address}"\n[[registry.mirror]]\nlocation = "{mirror.address}"\n'
    )
    try:
        assert RegistryOptions.of({"plain_http": True, "retries": 0}, OWN).puller().digest(OWN) == digest(manifest())
        assert (len(mirror.seen), len(server.seen)) == (0, 1)
    finally:
        mirror.close()


@pytest.mark.parametrize("given", [{"plain_http": True}, {"validate_certs": False}])
def test_an_engine_checks_certificates_but_of_the_registries_of_the_task(given: dict[str, bool]) -> None:
    cache = Reference.parse("cache.test/os")
    insecure = {}
    for image in (OWN, cache, OTHER):
        with engine_access(RegistryOptions.of(given, OWN, cache), image) as access:
            insecure[image.registry] = access.insecure
    assert insecure == {"own.test": True, "cache.test": True, "other.test": False}


def test_a_certificate_of_the_task_is_shown_to_its_registry_only(tmp_path: Path) -> None:
    (tmp_path / "client.pem").write_text("a certificate and its key")
    options = RegistryOptions.of({"client_cert": str(tmp_path / "client.pem")}, OWN)
    for image, shown in ((OWN, True), (OTHER, False)):
        with engine_access(options, image) as access:
            assert bool(access.certificates) is shown


def test_what_a_task_without_a_registry_says_is_for_its_base_images(server: ScriptedRegistry) -> None:
    options = RegistryOptions.of({"plain_http": True, "timeout": 7}, None)
    assert options.puller().digest(Reference.parse(f"{server.address}/base:1")) == digest(manifest())
    assert RegistryOptions.of({"plain_http": True, "timeout": 7}, OWN).access.to(OTHER.registry).timeout == 7
