# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Skopeo: images from place to place, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .._auth import Credentials
from .._errors import OptionError
from .._runner import Runner
from .._scratch import private_directory
from ._arguments import Flag, arguments
from ._build import RegistryAccess
from ._cli import EngineFailed, fault_code, fault_hint
from ._said import last_line

# A login is for one who has credentials, and has no option for plain HTTP of its own.
_LOGIN_HINTS = {
    "registry_unauthorized": "Check the user name and the password or token.",
    "registry_tls": "Give its CA with 'ca_path'; 'validate_certs: false' trusts any certificate, and allows plain HTTP.",
}


def copy(
    runner: Runner,
    source: str,
    destination: str,
    source_access: RegistryAccess,
    destination_access: RegistryAccess,
    platform: str | None,
    preserve: bool,
    signatures: bool = True,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Copy an image; skopeo 1.9 or later.

    :param platform: only this one of an index; C(None) for everything
    :param preserve: fail rather than change a digest
    :param signatures: what the machine's registries.d finds of the image; where the destination takes none, skopeo refuses the image
    :raises EngineFailed: with the registry client's code where the fault is known
    :raises CommandMissing: there is no skopeo
    """
    chosen = ["--all"]
    if platform:
        os, architecture, variant = [*platform.split("/"), ""][:3]
        chosen = ["--multi-arch=system"]
        # These belong to skopeo itself, not to its verb.
        overrides = [f"--override-os={os}", f"--override-arch={architecture}", *([f"--override-variant={variant}"] if variant else [])]
    else:
        overrides = []
    argv = ["skopeo", *overrides, "copy", *chosen, *(["--preserve-digests"] if preserve else [])]
    argv += [] if signatures else ["--remove-signatures"]
    argv += [*arguments(_flags("src"), source_access), *arguments(_flags("dest"), destination_access), "--", source, destination]
    done = runner.run(argv, check=False, on_line=on_line)
    if done.rc != 0:
        code = fault_code(done.stderr)
        raise EngineFailed(
            f"skopeo could not copy {source} to {destination}: {runner.mask(last_line(done.stderr, done.rc))}",
            error=code,
            hint=fault_hint(code),
            rc=done.rc,
            stderr=done.last_words,
        )


def login(
    runner: Runner, namespace: str, credentials: Credentials, certificates: Path | None, validate_certs: bool, timeout: float
) -> None:
    """Try credentials at a registry; nothing of it is kept.

    :param certificates: a file with authorities, or a directory as containers-certs.d(5) has it
    :raises OptionError: it is not there
    :raises EngineFailed: the registry does not accept them, or cannot be asked
    :raises CommandMissing: there is no skopeo
    """
    with private_directory() as directory:
        argv = ["skopeo", "login", f"--authfile={directory / 'auth.json'}", f"--username={credentials.username}", "--password-stdin"]
        argv += [] if validate_certs else ["--tls-verify=false"]
        if certificates and certificates.is_file():
            shutil.copy(certificates, directory / "ca.crt")
            certificates = directory
        elif certificates and not certificates.is_dir():
            hint = "Give a PEM file, or a directory with *.crt files."
            raise OptionError(f"'ca_path' names '{certificates}', which is not there.", hint=hint)
        argv += [f"--cert-dir={certificates}"] if certificates else []
        done = runner.run([*argv, "--", namespace], stdin=credentials.password, check=False, timeout=timeout)
    if done.rc != 0:
        code = fault_code(done.stderr)
        what = "are not accepted" if code in ("registry_unauthorized", "registry_forbidden") else "could not be tried"
        raise EngineFailed(
            f"The credentials for {namespace} {what}: {runner.mask(last_line(done.last_words, done.rc))}",
            error=code,
            hint=_LOGIN_HINTS.get(code or "") or fault_hint(code),
            stderr=done.last_words,
        )


def _flags(side: str) -> tuple[Flag, ...]:
    return (
        Flag("auth_file", f"--{side}-authfile"),
        Flag("certificates", f"--{side}-cert-dir"),
        Flag("tls_verify", f"--{side}-tls-verify", joined=True),
    )
