# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bills of materials: read from a file, or made by syft of what is in the registry."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

from ._engine import fault_code, fault_hint, last_line
from ._errors import ImageModeError
from ._go_access import client_certificate, go_environment
from ._reference import Reference
from ._registry import RegistryOptions
from ._runner import CommandMissing, Runner
from ._scratch import scratch_directory

SPDX, CYCLONEDX = "application/spdx+json", "application/vnd.cyclonedx+json"
# What syft calls a form, and the media type of a document in it.
FORMS = MappingProxyType({"spdx-json": SPDX, "cyclonedx-json": CYCLONEDX})
_TOOL = "syft"


class SbomInvalid(ImageModeError):
    """A document is neither SPDX nor CycloneDX in JSON."""

    error = "sbom_invalid"


class SbomFailed(ImageModeError):
    """No document could be made of the image."""

    error = "sbom_failed"


def read(path: str) -> tuple[bytes, str]:
    """:returns: the document as it is, and its media type
    :raises SbomInvalid: it is none
    """
    hint = "Give SPDX or CycloneDX in JSON."
    try:
        content = Path(path).read_bytes()
        document = json.loads(content)
    except (OSError, ValueError) as error:
        raise SbomInvalid(f"'{path}' cannot be read as JSON: {error}.", hint=hint) from None
    if isinstance(document, dict) and ("spdxVersion" in document or "spdx" in str(document.get("@context", ""))):
        return content, SPDX
    if isinstance(document, dict) and document.get("bomFormat") == "CycloneDX":
        return content, CYCLONEDX
    raise SbomInvalid(f"'{path}' is neither SPDX nor CycloneDX.", hint=hint)


def require_tool(runner: Runner) -> None:
    """:raises CommandMissing: syft is not installed"""
    if not runner.find(_TOOL):
        raise CommandMissing(
            f"'generate' needs {_TOOL}, which is not installed on this machine, or not on its PATH.",
            hint=f"Install {_TOOL} there, or make the document with another tool and give it with 'src'.",
            program=_TOOL,
        )


def generate(runner: Runner, options: RegistryOptions, reference: Reference, form: str) -> tuple[bytes, str]:
    """Let syft look at an image in its registry; 1.0 or later. Its layers are unpacked in the directory for temporary files.

    :param reference: with the digest of one platform's image
    :param form: one of C(FORMS)
    :returns: the document, and its media type
    :raises SbomFailed: with the registry client's code where the fault is known
    """
    access = options.access
    identity = client_certificate(options, reference.registry)
    credentials = options.credentials(reference) if identity else None
    settings = {
        "check-for-app-update": False,
        "registry": {
            "insecure-use-http": access.plain_http,
            "insecure-skip-tls-verify": not access.validate_certs,
            # Without a certificate the credentials are found as DOCKER_CONFIG has them, tokens too.
            "auth": [
                {
                    "authority": reference.registry,
                    "tls-cert": identity[0],
                    "tls-key": identity[1],
                    **({"username": credentials.username, "password": credentials.password} if credentials else {}),
                }
            ]
            if identity
            else [],
        },
    }
    with go_environment(options, reference) as environment, scratch_directory("sbom") as directory:
        config, made = directory / "syft.yaml", directory / "sbom.json"
        config.touch(0o600)
        config.write_text(json.dumps(settings))  # which is YAML, too
        words = [_TOOL, "scan", "--quiet", f"--config={config}", f"--output={form}={made}", f"registry:{reference}"]
        done = runner.run(words, check=False, environment={**environment, "TMPDIR": str(directory)})
        if done.rc != 0 or not made.exists():
            code = fault_code(done.stderr)
            raise SbomFailed(
                f"{_TOOL} could not look at {reference}: {last_line(done.last_words, done.rc) if done.rc else 'it made no document'}",
                error=code,
                hint=fault_hint(code),
                stderr=done.last_words,
            )
        return read(str(made))
