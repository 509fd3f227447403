# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How programs made with go-containerregistry (cosign, syft) reach a registry: by their environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._auth import merged, write_auth_file
from ._reference import Reference
from ._registry import RegistryOptions, certificate_directories
from ._scratch import private_directory


@contextmanager
def go_environment(options: RegistryOptions, reference: Reference) -> Iterator[dict[str, str]]:
    """Variables that name files with credentials and authorities; what holds a secret is removed whatever happens."""
    credentials = options.credentials(reference)
    document = merged(options.files, {reference.registry: credentials} if credentials else {})
    # It has been asked already; these programs end with an error where it is not installed.
    document.pop("credsStore", None)
    with private_directory() as directory:
        write_auth_file(directory / "config.json", document)
        environment = {"DOCKER_CONFIG": str(directory)}
        authorities = _authorities(options, reference.registry)
        if authorities:
            # Go's TLS adds what is in these directories to the system's bundle.
            (directory / "ca").mkdir()
            for number, authority in enumerate(authorities):
                (directory / "ca" / f"{number}.crt").write_bytes(authority.read_bytes())
            environment["SSL_CERT_DIR"] = str(directory / "ca")
        yield environment


def client_certificate(options: RegistryOptions, registry: str) -> tuple[str, str] | None:
    """:returns: the paths of a certificate and its key, of the task or of the machine's directories for this registry"""
    if options.access.client_cert:
        return options.access.client_cert, options.access.client_key or options.access.client_cert
    for directory in certificate_directories(registry):
        for certificate in sorted(directory.glob("*.cert")):
            return str(certificate), str(certificate.with_suffix(".key"))
    return None


def _authorities(options: RegistryOptions, registry: str) -> list[Path]:
    places = [*certificate_directories(registry), *([Path(options.access.ca_path)] if options.access.ca_path else [])]
    return [file for place in places for file in (sorted(place.glob("*.crt")) if place.is_dir() else [place])]
