# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The command line, with clap's manners: 2 for usage, 1 for everything else, one line on stderr."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from typing import Any, NoReturn

from . import COMPOSEFS_VERSION, VERSION, is_composefs
from .errors import BootcError, UsageError

# Where the backends differ by more than what `status` shows.
COMPOSEFS = {
    "change:upgrade": "composefs:upgrade",
    "change:switch": "composefs:switch",
    "change:rollback": "composefs:rollback",
    "change:edit": "composefs:edit",
    "kargs:command": "composefs:loader_entries",
    "overlay:command": "composefs:usr_overlay",
    "listing:images": "composefs:images",
    "listing:gc": "composefs:gc",
    "listing:delete": "composefs:delete_deployment",
    "softreboot:command": "composefs:prep_soft_reboot",
}
HELP = "For more information, try '--help'."


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if "invalid choice:" in message and "argument -" in message:
            option = message.split()[1].rstrip(":").split("/")[-1]
            value = message.split("'")[1]
            action = self._option_string_actions[option]
            possible = ", ".join(str(choice) for choice in action.choices or [])
            placeholder = option.lstrip("-").upper().replace("-", "_")
            message = f"invalid value '{value}' for '{option} <{placeholder}>'\n  [possible values: {possible}]"
            raise UsageError(f"error: {message}\n\n{HELP}")
        raise UsageError(f"error: {message}\n\nUsage: {self.prog} [OPTIONS]\n\n{HELP}")


def flags(parser: Parser, *names: str) -> None:
    for name in names:
        parser.add_argument(name, action="store_true")


def sub(verbs: Any, name: str, run: str, **options: Any) -> Parser:
    parser: Parser = verbs.add_parser(name, allow_abbrev=False, **options)
    parser.set_defaults(run=run, parser=parser)
    return parser


def build() -> Parser:
    top = Parser(prog="bootc", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"bootc {COMPOSEFS_VERSION if is_composefs() else VERSION}")
    verbs = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    parser = sub(verbs, "upgrade", "change:upgrade", aliases=["update"])
    flags(parser, "--quiet", "--check", "--apply", "--download-only", "--from-downloaded")
    parser.add_argument("--tag")
    for name, run in (("switch", "change:switch"), ("rollback", "change:rollback")):
        other = sub(verbs, name, run)
        flags(other, "--apply", "--quiet")
        other.add_argument("--soft-reboot", choices=["required", "auto"])
        if name == "switch":
            flags(other, "--enforce-container-sigpolicy", "--retain", "--no-signature-verification")
            other.add_argument("--transport", default="registry")
            other.add_argument("--progress-fd", type=int)
            other.add_argument("target")
    parser.add_argument("--soft-reboot", choices=["required", "auto"])
    parser.add_argument("--progress-fd", type=int)

    parser = sub(verbs, "edit", "change:edit")
    parser.add_argument("-f", "--filename", required=True)
    flags(parser, "--quiet")
    parser.set_defaults(progress_fd=None)

    parser = sub(verbs, "status", "status:command")
    flags(parser, "--json", "--booted")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--format", choices=["humanreadable", "yaml", "json"])
    parser.add_argument("--format-version", type=int, default=1)

    parser = sub(verbs, "usr-overlay", "overlay:command", aliases=["usroverlay"])
    flags(parser, "--read-only")

    inner = verbs.add_parser("loader-entries").add_subparsers(required=True, parser_class=Parser)
    parser = sub(inner, "set-options-for-source", "kargs:command")
    parser.add_argument("--source", required=True)
    parser.add_argument("--options")

    inner = verbs.add_parser("image").add_subparsers(required=True, parser_class=Parser)
    parser = sub(inner, "list", "listing:images")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--type", choices=["all", "logical", "host"], default="all")

    inner = verbs.add_parser("internals").add_subparsers(required=True, parser_class=Parser)
    sub(inner, "fsck", "listing:fsck")
    parser = sub(inner, "composefs-gc", "listing:gc")
    flags(parser, "--dry-run")
    parser = sub(inner, "prep-soft-reboot", "softreboot:command")
    flags(parser, "--reset", "--reboot")
    parser.add_argument("deployment", nargs="?")

    parser = sub(verbs, "delete-deployment", "listing:delete")
    parser.add_argument("id")

    inner = verbs.add_parser("container").add_subparsers(required=True, parser_class=Parser)
    parser = sub(inner, "lint", "lint:command")
    parser.add_argument("--rootfs", default="/")
    parser.add_argument("--skip", action="append", default=[])
    flags(parser, "--fatal-warnings", "--list", "--no-truncate")

    inner = verbs.add_parser("install").add_subparsers(required=True, parser_class=Parser)
    parser = sub(inner, "print-configuration", "installconfig:command")
    flags(parser, "--all")
    parser = sub(inner, "to-disk", "install:to_disk")
    install_options(parser)
    flags(parser, "--wipe", "--via-loopback")
    parser.add_argument("--filesystem", choices=["xfs", "ext4", "btrfs"])
    parser.add_argument("--block-setup", choices=["direct", "tpm2-luks"])
    parser.add_argument("--root-size")
    parser.add_argument("device")
    for name, run in (("to-filesystem", "install:to_filesystem"), ("to-existing-root", "install:to_existing_root")):
        parser = sub(inner, name, run)
        install_options(parser)
        flags(parser, "--acknowledge-destructive")
        parser.add_argument("--replace", choices=["wipe", "alongside"])
        if name == "to-filesystem":
            flags(parser, "--skip-finalize")
            parser.add_argument("--root-mount-spec")
            parser.add_argument("--boot-mount-spec")
            parser.add_argument("root_path")
        else:
            flags(parser, "--cleanup")
            parser.add_argument("root_path", nargs="?")
    return top


def install_options(parser: Parser) -> None:
    """What every kind of installation knows."""
    flags(
        parser,
        "--generic-image",
        "--skip-fetch-check",
        "--run-fetch-check",
        "--disable-selinux",
        "--enforce-container-sigpolicy",
        "--target-no-signature-verification",
        "--bootupd-skip-boot-uuid",
        "--composefs-backend",
        "--allow-missing-verity",
    )
    parser.add_argument("--bootloader", choices=["grub", "grub-cc", "systemd", "none"])
    parser.add_argument("--bound-images", choices=["stored", "skip", "pull"])
    for option in ("--root-ssh-authorized-keys", "--target-imgref", "--source-imgref", "--stateroot"):
        parser.add_argument(option)
    parser.add_argument("--target-transport", default="registry")
    parser.add_argument("--karg", action="append", default=[])
    parser.add_argument("--karg-delete", action="append", default=[])


def refuse_conflicts(options: argparse.Namespace) -> None:
    pairs = [
        ("check", "apply"),
        ("check", "soft_reboot"),
        ("check", "download_only"),
        ("check", "from_downloaded"),
        ("download_only", "apply"),
        ("download_only", "from_downloaded"),
    ]
    for one, other in pairs:
        if getattr(options, one, None) and getattr(options, other, None):
            names = ["--" + name.replace("_", "-") for name in (one, other)]
            usage = f"Usage: {options.parser.prog} {names[0]}"
            raise UsageError(f"error: the argument '{names[0]}' cannot be used with '{names[1]}'\n\n{usage}\n\n{HELP}")


def main(arguments: list[str] | None = None) -> int:
    try:
        options, unknown = build().parse_known_args(arguments)
        if unknown:
            raise UsageError(f"error: unexpected argument '{unknown[0]}' found\n\nUsage: {options.parser.prog} [OPTIONS]\n\n{HELP}")
        refuse_conflicts(options)
        run = COMPOSEFS.get(options.run, options.run) if is_composefs() else options.run
        module, _colon, function = run.partition(":")
        # Only what a verb needs is loaded: start-up is most of the time of `status`.
        getattr(importlib.import_module(f"bootc.{module}"), function)(options)
        sys.stdout.flush()
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except BootcError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to be written at the exit
        verb = options.parser.prog.partition(" ")[2].capitalize()
        print(f"error: {verb}: Writing to stdout: Broken pipe (os error {error.errno})", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"error: {error.cmd[0]} ended with {error.returncode}", file=sys.stderr)
        return 1
    return 0
