# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The project's own lints, by bootc's names where bootc has the same one. The container prints facts, Python judges."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from .._toml import parse_toml

Facts = Mapping[str, tuple[str, ...]]
Check = Callable[[Facts, Mapping[str, str]], "str | None"]

# A check tells some of what it found, not thousands of paths.
_MOST = 5

# "key<TAB>value" lines. A POSIX shell, find, head, readlink and base64 are needed. What the engine mounts is not the image's.
PROBE = r"""
say() { printf '%s\t%s\n' "$1" "$2"; }
each() { key=$1; while read -r path; do say "$key" "$path"; done; }
export LC_ALL=C
command -v bootc >/dev/null 2>&1 && say bootc there
for directory in /usr/lib/modules/*; do
  [ -e "$directory/vmlinuz" ] && say kernel "${directory##*/}"
  [ -s "$directory/initramfs.img" ] && say initramfs "${directory##*/}"
done
for file in /boot/EFI/Linux/*.efi; do [ -e "$file" ] && say uki "$file"; done
for directory in dev proc sys run tmp var sysroot; do [ -d "/$directory" ] && say directory "$directory"; done
say ostree "$(readlink /ostree)"
[ -d /usr/etc ] && find /usr/etc -mindepth 1 | head -n 1 | each usretc
if [ -d /var/run ] && [ ! -L /var/run ]; then say var_run directory; fi
for file in /usr/lib/ostree/prepare-root.conf /etc/ostree/prepare-root.conf; do
  [ -e "$file" ] && say prepare_root "$(tr '\n' ';' < "$file" | tr -d ' \t')"
done
for file in /usr/lib/bootc/kargs.d/*.toml; do [ -e "$file" ] && say kargs "$file=$(base64 < "$file" | tr -d '\n')"; done
for file in /usr/lib/bootc/install/*.toml; do [ -e "$file" ] && say install "$file"; done
command -v bootupctl >/dev/null 2>&1 && for file in /usr/lib/bootupd/updates/*.json; do [ -e "$file" ] && say bootupd "$file"; done
for file in /usr/lib/systemd/boot/efi/systemd-boot*.efi*; do [ -e "$file" ] && say systemd_boot "$file"; done
if [ -e /etc/selinux/config ]; then
  type=$(sed -n 's/^SELINUXTYPE=\([A-Za-z0-9_-]*\).*/\1/p' /etc/selinux/config | tail -n 1)
  say selinux "${type:-targeted}"
  for file in "/etc/selinux/${type:-targeted}"/policy/policy.*; do [ -e "$file" ] && say policy "$file"; done
fi
find /boot -mindepth 1 ! -path /boot/efi ! -path /boot/EFI ! -path '/boot/EFI/*' 2>/dev/null | head -n 6 | each boot
find /tmp -xdev -mindepth 1 2>/dev/null | head -n 6 | each tmp
find /var/log -xdev -type f -size +0 2>/dev/null | head -n 6 | each log
find /var -xdev -type f ! -path '/var/log/*' 2>/dev/null | head -n 6 | each var
find /usr /etc -name '*[!-~ ]*' 2>/dev/null | head -n 100 | each odd_name
say end end
"""


def read(text: str) -> Facts:
    """:param text: what C(PROBE) printed"""
    facts: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        key, _tab, value = line.partition("\t")
        facts[key] = (*facts.get(key, ()), value)
    return facts


def _kernel(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    kernels, ukis = facts.get("kernel", ()), facts.get("uki", ())
    if len(kernels) + len(ukis) != 1:
        return f"Exactly one kernel must be in /usr/lib/modules; there {_are((*kernels, *ukis))}."
    return None


def _initramfs(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    lacking = set(facts.get("kernel", ())) - set(facts.get("initramfs", ()))
    return f"There is no initramfs.img, or an empty one, beside the kernel {', '.join(sorted(lacking))}." if lacking else None


def _baseimage_root(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    if "sysroot" not in facts.get("directory", ()):
        return "There is no directory /sysroot."
    found = facts.get("ostree", ("",))[0]
    if found == "sysroot/ostree":
        return None
    return f"/ostree must be a link to 'sysroot/ostree'; it is {f'one to {found!r}' if found else 'none'}."


def _api_directories(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    lacking = [name for name in ("dev", "proc", "sys", "run", "tmp", "var") if name not in facts.get("directory", ())]
    return f"There is no directory /{', /'.join(lacking)}." if lacking else None


def _etc_usretc(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    return "/usr/etc is bootc's own on a machine, and must not be in an image beside /etc." if facts.get("usretc") else None


def _var_run(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    return "/var/run must be a link to /run, and is a directory." if facts.get("var_run") else None


def _prepare_root(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    if facts.get("prepare_root"):
        return None
    return "There is no /usr/lib/ostree/prepare-root.conf: the root file system is not set up at boot."


def _composefs(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    text = ";".join(("", *facts.get("prepare_root", ()), ""))
    # Whole lines: what is commented out is no setting.
    section = text.partition(";[composefs];")[2].partition(";[")[0].lower().split(";")
    wanted = any(f"enabled={value}" in section for value in ("yes", "true", "1", "signed", "verity", "maybe"))
    return None if wanted or not facts.get("prepare_root") else "composefs is not enabled in prepare-root.conf."


def _label(_facts: Facts, labels: Mapping[str, str]) -> str | None:
    if any(labels.get(name) for name in ("containers.bootc", "ostree.bootable")):
        return None
    return "The image has neither the label containers.bootc nor ostree.bootable."


def _kargs(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    for entry in facts.get("kargs", ()):
        path, _equals, encoded = entry.partition("=")
        try:
            document = parse_toml(base64.b64decode(encoded).decode(), f"the image's {path}")
        except ValueError as error:
            return f"{path} cannot be read: {error}"
        unknown = set(document) - {"kargs", "match-architectures"}
        if unknown:
            return f"{path} has the unknown key '{sorted(unknown)[0]}'."
        for name, value in document.items():
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                return f"{path}: '{name}' is not a list of texts."
    return None


def _bootloader(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    if facts.get("bootupd") or facts.get("systemd_boot"):
        return None
    return "There is no boot loader to install: neither bootupd with its files in /usr/lib/bootupd/updates nor systemd-boot."


def _selinux(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    if not facts.get("selinux") or facts.get("policy"):
        return None
    return f"/etc/selinux/config names the policy '{facts['selinux'][0]}', which is not in the image."


def _utf8(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    # What was no UTF-8 was read as the replacement character.
    wrong = [path for path in facts.get("odd_name", ()) if "\ufffd" in path]
    return f"Names are not UTF-8: {_some(wrong)}." if wrong else None


def _install(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    if facts.get("install"):
        return None
    return "There is no /usr/lib/bootc/install/*.toml: each installation must be told its root file system."


def _bootc(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    return None if facts.get("bootc") else "There is no bootc in the image: it cannot install itself, nor update a machine."


def _boot(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    return f"/boot is not empty, and a machine does not get what is in it: {_some(facts['boot'])}." if facts.get("boot") else None


def _tmp(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    return f"/tmp is not empty: {_some(facts['tmp'])}." if facts.get("tmp") else None


def _var_log(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    return f"There are logs of the build: {_some(facts['log'])}." if facts.get("log") else None


def _var(facts: Facts, _labels: Mapping[str, str]) -> str | None:
    if not facts.get("var"):
        return None
    return f"There are files in /var, which a machine gets once and never again: {_some(facts['var'])}."


CHECKS: Mapping[str, tuple[str, Check]] = {
    "api-base-directories": ("fatal", _api_directories),
    "baseimage-root": ("fatal", _baseimage_root),
    "bootc-kargs": ("fatal", _kargs),
    "boot-loader": ("fatal", _bootloader),
    "etc-usretc": ("fatal", _etc_usretc),
    "initramfs": ("fatal", _initramfs),
    "kernel": ("fatal", _kernel),
    "label": ("fatal", _label),
    "prepare-root": ("fatal", _prepare_root),
    "selinux-policy": ("fatal", _selinux),
    "utf8": ("fatal", _utf8),
    "var-run": ("fatal", _var_run),
    "baseimage-composefs": ("warning", _composefs),
    "bootc": ("warning", _bootc),
    "install-config": ("warning", _install),
    "nonempty-boot": ("warning", _boot),
    "nonempty-run-tmp": ("warning", _tmp),
    "var-log": ("warning", _var_log),
    "var-tmpfiles": ("warning", _var),
}


def _are(found: tuple[str, ...]) -> str:
    return f"are {', '.join(found)}" if found else "is none"


def _some(paths: tuple[str, ...] | list[str]) -> str:
    return ", ".join(paths[:_MOST]) + (", …" if len(paths) > _MOST else "")
