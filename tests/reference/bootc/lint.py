# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""`container lint`: those of the checks that mean something for an image without SELinux, by their real names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import tomllib

from .errors import BootcError

Check = Callable[[Path], "str | None"]


def kernel(root: Path) -> str | None:
    found = [path for path in root.glob("usr/lib/modules/*") if (path / "vmlinuz").exists()]
    if len(found) > 1:
        return f"Found multiple subdirectories in usr/lib/modules: {', '.join(path.name for path in found)}"
    return None


def etc_usretc(root: Path) -> str | None:
    if (root / "usr/etc").is_dir() and any((root / "usr/etc").iterdir()) and (root / "etc").is_dir():
        return "Found /usr/etc - this is a bootc implementation detail and not supported to use in containers"
    return None


def var_run(root: Path) -> str | None:
    path = root / "var/run"
    return "Not a symlink: var/run" if path.is_dir() and not path.is_symlink() else None


def bootc_kargs(root: Path) -> str | None:
    for path in sorted(root.glob("usr/lib/bootc/kargs.d/*.toml")):
        try:
            if not isinstance(tomllib.loads(path.read_text()).get("kargs", []), list):
                return f"Parsing {path.name}: kargs is not a list"
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            return f"Parsing {path.name}: {error}"
    return None


def baseimage_root(root: Path) -> str | None:
    if not (root / "sysroot").is_dir():
        return "Missing /sysroot"
    link = root / "ostree"
    return None if link.is_symlink() and os.readlink(link) == "sysroot/ostree" else "Missing ostree -> sysroot/ostree link"


def api_base_directories(root: Path) -> str | None:
    missing = [name for name in ("dev", "proc", "sys", "run", "tmp", "var") if not (root / name).is_dir()]
    return f"Missing API filesystem base directory: /{missing[0]}" if missing else None


def utf8(root: Path) -> str | None:
    for top, directories, files in os.walk(os.fsencode(root / "usr")):
        for name in directories + files:
            try:
                name.decode()
            except UnicodeDecodeError:
                return f"/{os.path.relpath(top, os.fsencode(root)).decode(errors='replace')}: Found non-utf8 filename"
    return None


def nonempty_boot(root: Path) -> str | None:
    found = sorted(path.name for path in (root / "boot").glob("*") if path.name not in ("efi", "EFI"))
    return f"Found non-empty /boot: {found[0]}" if found else None


def nonempty_run_tmp(root: Path) -> str | None:
    mounted = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()} if root == Path("/") else set()
    for top in ("run", "tmp"):
        for path in sorted((root / top).glob("*")):
            if f"/{top}" not in mounted and str(path) not in mounted and path.name not in (".containerenv", "secrets", "systemd", "lock"):
                return f"Found content in /{top}: {path.name}"
    return None


def var_log(root: Path) -> str | None:
    found = [path for path in sorted((root / "var/log").rglob("*")) if path.is_file() and not path.is_symlink() and path.stat().st_size]
    return f"Found non-empty logfile: /{found[0].relative_to(root)}" if found else None


FATAL: dict[str, Check] = {
    "api-base-directories": api_base_directories,
    "baseimage-root": baseimage_root,
    "bootc-kargs": bootc_kargs,
    "etc-usretc": etc_usretc,
    "kernel": kernel,
    "utf8": utf8,
    "var-run": var_run,
}
WARNING: dict[str, Check] = {"nonempty-boot": nonempty_boot, "nonempty-run-tmp": nonempty_run_tmp, "var-log": var_log}


def command(options: Any) -> None:
    known = {**FATAL, **WARNING}
    if options.list:
        for name in sorted(known):
            print(f"- name: {name}\n  type: {'fatal' if name in FATAL else 'warning'}")
        return
    root = Path(options.rootfs)
    passed = skipped = fatal = warnings = 0
    for name, check in sorted(known.items()):
        if name in options.skip:
            skipped += 1
            continue
        said = check(root)
        if said is None:
            passed += 1
        elif name in FATAL:
            print(f"Failed lint: {name}: {said}")
            fatal += 1
        else:
            print(f"Lint warning: {name}: {said}\n")
            warnings += 1
    print(f"Checks passed: {passed}")
    if skipped:
        print(f"Checks skipped: {skipped}")
    if warnings:
        print(f"Warnings: {warnings}")
    failed = fatal + (warnings if options.fatal_warnings else 0)
    if failed:
        raise BootcError(f"Linting: Checks failed: {failed}")
