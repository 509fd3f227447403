# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk image made by osbuild's image-builder: from its program, or from its container (bootc-image-builder, too)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .._errors import ImageModeError, OptionError
from .._install.image import Request
from .._runner import Runner

# What this collection calls a format → what image-builder calls it. Those after the first three are its own.
TYPES = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "ami": "ami",
    "gce": "gce",
    "vhd": "vhd",
    "iso": "bootc-installer",
    "anaconda-iso": "anaconda-iso",
}
# osbuild/images of June 2026, OstreeCustomFilesPolicies: files may be below /etc, but for these, and nowhere in /var.
_NOT_IN_ETC = ("etc/fstab", "etc/shadow", "etc/passwd", "etc/group")
ONLY_HERE = ("ami", "gce", "vhd", "iso", "anaconda-iso")


def command(image: str, kind: str, filesystem: str | None, blueprint: Path, output: Path, container: str | None) -> list[str]:
    """:param kind: image-builder's name of the type
    :param container: image of image-builder; C(None) for its program on this machine
    """
    old = container is not None and "bootc-image-builder" in container
    if old:
        words = ["--type", kind, *(["--rootfs", filesystem] if filesystem else []), image]
        return [*_podman(blueprint, output), "-v", f"{blueprint}:/config.toml:ro", str(container), *words]
    words = ["build", "--blueprint", str(blueprint), "--output-dir", str(output), "--bootc-ref", image]
    words += ["--bootc-default-fs", filesystem] if filesystem else []
    if container is None:
        return ["image-builder", *words, kind]
    words[2], words[4] = "/blueprint.toml", "/output"
    return [*_podman(blueprint, output), "-v", f"{blueprint}:/blueprint.toml:ro", container, *words, kind]


def _podman(blueprint: Path, output: Path) -> list[str]:
    return [
        "podman", "run", "--rm", "--privileged", "--pull=never", "--security-opt", "label=type:unconfined_t",
        "-v", f"{output}:/output", "-v", "/var/lib/containers/storage:/var/lib/containers/storage",
    ]  # fmt: skip


def blueprint(request: Request, size: int | None = None) -> str:
    """:param size: bytes that the root is to have at least. Of the disk itself image-builder cannot be asked (osbuild.org, Partitioning:
        "All sizes … are treated as minimum requirements").
    :returns: the TOML that asks for keys, kernel arguments, files and size
    :raises OptionError: something that image-builder cannot be asked for
    """
    cannot = {
        "root_size": request.root_size,
        "bootloader": request.bootloader,
        "stateroot": request.stateroot,
        "composefs_backend": request.composefs,
        "block_setup": request.block_setup,
        "bound_images": request.bound_images,
    }
    asked = sorted(name for name, value in cannot.items() if value)
    if asked:
        raise OptionError(f"image-builder cannot be asked for {', '.join(asked)}.", hint="Set another 'builder', or leave it out.")
    denied = [f"/{file.path}" for file in request.files if not file.path.startswith("etc/") or file.path in _NOT_IN_ETC]
    if denied:
        raise OptionError(
            f"image-builder puts files into /etc only, and not {', '.join(f'/{path}' for path in _NOT_IN_ETC)}: {', '.join(denied)}.",
            hint="Put them into the image (for /var with tmpfiles.d), or set another 'builder'.",
        )
    parts: list[str] = []
    if size is not None:
        parts.append(f'[[customizations.filesystem]]\nmountpoint = "/"\nminsize = {size}\n')
    if request.kernel_arguments:
        parts.append(f"[customizations.kernel]\nappend = {_toml(' '.join(request.kernel_arguments))}\n")
    if request.root_keys:
        keys = _toml("\n".join(request.root_keys))
        parts.append(f'[[customizations.user]]\nname = "root"\nkey = {keys}\n')
    for file in request.files:
        try:
            content = _toml(file.content.decode())
        except UnicodeDecodeError:
            raise OptionError(f"image-builder takes text only, and /{file.path} is none.", hint="Set another 'builder'.") from None
        owner = "".join(
            f"{key} = {int(value) if value.isdigit() else _toml(value)}\n" for key, value in (("user", file.owner), ("group", file.group))
        )
        parts.append(f'[[customizations.files]]\npath = "/{file.path}"\nmode = "{file.mode:04o}"\n{owner}data = {content}\n')
    return "\n".join(parts)


def require(request: Request, name: str, size: int | None) -> None:
    """:param name: of the format, one of this collection's
    :param size: bytes, if any was asked for
    :raises OptionError: something that image-builder cannot be asked for
    """
    if name == "iso":
        # image-builder-cli's doc/01-usage.md: --bootc-ref is Anaconda's image then, --bootc-installer-payload-ref the one to install.
        raise OptionError(
            "image-builder makes an 'iso' of an image of the installer (Anaconda) and the image to install; this module knows only one.",
            hint="Set 'format: anaconda-iso', use the role installer_media, or run by hand:"
            " image-builder build --bootc-ref INSTALLER --bootc-installer-payload-ref IMAGE bootc-installer.",
        )
    if name == "anaconda-iso" and size is not None:
        raise OptionError("An installer has no 'size' of a disk: it takes the disk that it finds.", hint="Leave 'size' out.")
    blueprint(request, size)


def _toml(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def build(
    runner: Runner, image: str, request: Request, size: int | None, kind: str, folder: Path, container: str | None, timeout: float
) -> dict[str, Any]:
    """:param size: bytes that the root is to have at least
    :param kind: one of C(TYPES), image-builder's name
    :returns: C(path) of the file that it made, and the C(command)
    :raises ImageModeError: C(image_builder_failed), or it made another number of files than one
    """
    text = blueprint(request, size)
    asked, output = folder / "blueprint.toml", folder / "output"
    output.mkdir()
    asked.touch(mode=0o600)
    asked.write_text(text)
    argv = command(image, kind, request.filesystem, asked, output, container)
    done = runner.run(argv, timeout=timeout, check=False)
    asked.unlink()
    # Beside the file there may be manifests and logs.
    made = [one for one in output.rglob("*") if one.is_file() and one.suffix not in (".json", ".log", ".txt")]
    if done.rc != 0 or len(made) != 1:
        names = ", ".join(one.name for one in made)
        what = f"ended with {done.rc}: {done.last_words}" if done.rc else f"made {len(made)} files, and one was expected: {names}"
        raise ImageModeError(
            f"'{done.command}' {what}",
            error="image_builder_failed",
            hint="The end of what it said is in 'stderr'. Its blueprint and its output directory are gone: to run the command by hand, "
            "leave the one out and name another for the other.",
            rc=done.rc,
            cmd=done.command,
            stderr=done.last_words,
        )
    return {"path": made[0], "command": argv}
