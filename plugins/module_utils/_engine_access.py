# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a task says of a registry to what an engine is told of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ._engine import Engine, RegistryAccess
from ._reference import Reference
from ._registry import Access, RegistryOptions, certificate_directories
from ._scratch import private_directory


@contextmanager
def engine_access(options: RegistryOptions, reference: Reference) -> Iterator[RegistryAccess]:
    """Files for the engine while it works: credentials and certificates, removed whatever happens."""
    registry = reference.registry
    access, found = options.access.to(registry), options.credentials(reference)
    insecure = access.plain_http or not access.validate_certs
    with options.engine_auth_file(registry, found) as auth_file, private_directory() as directory:
        yield RegistryAccess(auth_file, _certificates(access, registry, directory), insecure, {registry: found} if found else {})


@contextmanager
def access_to_each(options: RegistryOptions, references: Sequence[Reference]) -> Iterator[RegistryAccess]:
    """As C(engine_access) to the first one's registry, with credentials for those of the others; nothing where there are none."""
    if not references:
        yield RegistryAccess()
        return
    first = references[0]
    # Those of the first one's registry are found there.
    others = {one.registry: options.credentials(one) for one in reversed(references) if one.registry != first.registry}
    with engine_access(options, first) as access:
        found = {registry: credentials for registry, credentials in others.items() if credentials}
        yield replace(access, credentials={**found, **access.credentials})


def pull_image(engine: Engine, reference: Reference, options: RegistryOptions, platform: str) -> str:
    """:returns: the id that the image has in local storage"""
    with engine_access(options, reference) as access:
        return engine.pull(reference, access, platform)


def _certificates(access: Access, registry: str, directory: Path) -> Path | None:
    """A directory for C(--cert-dir): what the task gives, and what is trusted for the registry anyway, which it would hide."""
    if not (access.ca_path or access.client_cert):
        return None
    given = Path(access.ca_path) if access.ca_path else None
    for source in (*certificate_directories(registry), *([given] if given else [])):
        for file in source.iterdir() if source.is_dir() else ():
            if file.suffix in (".crt", ".cert", ".key"):
                shutil.copy(file, directory / file.name)
    if given and given.is_file():
        shutil.copy(given, directory / "imagemode-ca.crt")
    if access.client_cert:
        shutil.copy(access.client_cert, directory / "imagemode-client.cert")
        shutil.copy(access.client_key or access.client_cert, directory / "imagemode-client.key")
    return directory
