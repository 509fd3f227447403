# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Skopeo: images from place to place, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .._auth import Credentials
from .._runner import Runner
from .._scratch import private_directory
from ._arguments import Flag, arguments
from ._build import RegistryAccess
from ._cli import EngineFailed, fault_code


def copy(
    runner: Runner,
    source: str,
    destination: str,
    source_access: RegistryAccess,
    destination_access: RegistryAccess,
    platform: str | None,
    preserve: bool,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Copy an image; skopeo 1.9 or later.

    :param platform: only this one of an index; C(None) for everything
    :param preserve: fail rather than change a digest
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
    argv += [*arguments(_flags("src"), source_access), *arguments(_flags("dest"), destination_access), "--", source, destination]
    done = runner.run(argv, check=False, on_line=on_line)
    if done.rc != 0:
        words = done.stderr.strip().splitlines() or [f"return code {done.rc}"]
        raise EngineFailed(
            f"skopeo could not copy {source} to {destination}: {words[-1]}",
            error=fault_code(done.stderr),
            rc=done.rc,
            stderr=done.last_words,
        )


def login(
    runner: Runner, namespace: str, credentials: Credentials, certificates: Path | None, validate_certs: bool, timeout: float
) -> None:
    """Try credentials at a registry; nothing of it is kept.

    :raises EngineFailed: the registry does not accept them, or cannot be asked
    :raises CommandMissing: there is no skopeo
    """
    with private_directory() as directory:
        argv = ["skopeo", "login", f"--authfile={directory / 'auth.json'}", f"--username={credentials.username}", "--password-stdin"]
        argv += [] if validate_certs else ["--tls-verify=false"]
        argv += [f"--cert-dir={certificates}"] if certificates else []
        done = runner.run([*argv, "--", namespace], stdin=credentials.password, check=False, timeout=timeout)
    if done.rc != 0:
        words = done.last_words.splitlines() or [f"return code {done.rc}"]
        raise EngineFailed(
            f"The credentials for {namespace} could not be tried or are wrong: {words[-1]}",
            error=fault_code(done.stderr),
            hint="Check the user name and the password or token.",
            stderr=done.last_words,
        )


def _flags(side: str) -> tuple[Flag, ...]:
    return (
        Flag("auth_file", f"--{side}-authfile"),
        Flag("certificates", f"--{side}-cert-dir"),
        Flag("tls_verify", f"--{side}-tls-verify", joined=True),
    )
