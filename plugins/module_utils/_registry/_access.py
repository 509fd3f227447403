# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How registries are reached: TLS, certificates, time limits."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from .._errors import OptionError
from .._reference import DEFAULT_REGISTRY

# Docker Hub's name is not the host of its API.
_HOSTS = {DEFAULT_REGISTRY: "registry-1.docker.io"}


@dataclass(frozen=True)
class Access:
    """How a registry is reached.

    :ivar validate_certs: whether a certificate must be trusted and name the host
    :ivar plain_http: speak HTTP, without TLS; never tried unless asked for
    :ivar ca_path: a file with CA certificates, or a directory as containers-certs.d(5) has it
    :ivar client_cert: a PEM file with the certificate that the registry wants to see
    :ivar client_key: its key, if it is not in the same file
    :ivar timeout: seconds for a connection, and for each wait for data
    :ivar retries: how often a request is repeated after 429, 5xx or a broken connection
    :ivar registries: whom all but I(timeout) and I(retries) is for; empty, it is for every registry
    """

    validate_certs: bool = True
    plain_http: bool = False
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    timeout: float = 30.0
    retries: int = 3
    registries: tuple[str, ...] = ()

    def to(self, registry: str) -> Access:
        """:returns: how this registry is reached: what one needs that speaks no TLS would give away the password of another"""
        if self.covers(registry):
            return self
        return Access(timeout=self.timeout, retries=self.retries, registries=self.registries)

    def covers(self, registry: str) -> bool:
        """:returns: whether what the task says is for this registry"""
        return not self.registries or registry in self.registries

    def base(self, registry: str) -> str:
        """:returns: the address of the registry's API: scheme and host"""
        return f"{'http' if self.plain_http else 'https'}://{_HOSTS.get(registry, registry)}"

    def tls(self, registry: str) -> ssl.SSLContext:
        """:returns: the machine's trust, plus what containers trust for this registry, plus I(ca_path), with the client's certificate
        :raises OptionError: a file cannot be read as what it is given for
        """
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for directory in certificate_directories(registry):
            for authority in sorted(directory.glob("*.crt")) if self.validate_certs else ():
                _trust(context, authority, f"'{authority}'")
            for certificate in sorted(directory.glob("*.cert")):
                _identify(context, certificate, certificate.with_suffix(".key"))
        if self.ca_path and self.validate_certs:
            path = Path(self.ca_path)
            files = sorted(path.glob("*.crt")) if path.is_dir() else [path]
            if not files:
                raise OptionError(
                    f"'ca_path' names the directory '{path}', which holds no *.crt file.", hint="Name a file, or put it there as *.crt."
                )
            for file in files:
                _trust(context, file, f"'ca_path' names '{file}', which")
        if self.client_cert:
            _identify(context, Path(self.client_cert), Path(self.client_key or self.client_cert))
        return context


def certificate_directories(registry: str) -> tuple[Path, ...]:
    """:returns: the directories of containers-certs.d(5) that there are for this registry"""
    home = Path(os.path.expanduser("~"))
    parents = (home / ".config/containers/certs.d", Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))
    return tuple(parent / registry for parent in parents if os.access(parent / registry, os.R_OK | os.X_OK))


def _identify(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise OptionError(
            f"'{certificate}' with '{key}' cannot be used as a client certificate: {error}.",
            hint="Give the certificate and its key as PEM files, the key without a passphrase.",
        ) from None


def _no_passphrase() -> str:
    """Without this, OpenSSL would ask on the terminal."""
    raise ValueError("the key has a passphrase")


def _trust(context: ssl.SSLContext, file: Path, what: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        raise OptionError(
            f"{what} cannot be read as CA certificates: {error}.",
            hint="Give a PEM file, or a directory with *.crt files. One of the machine's own has to be repaired or removed.",
        ) from None
