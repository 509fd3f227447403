# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reboot a bootc host into what is pending, and prove by digest that it came up on it.

The reboot itself is M(ansible.builtin.reboot)'s: waiting, reconnecting and time limits are done well there.
This action decides whether to reboot and how, and does not believe that it worked.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.imagemode.bootc.plugins.module_utils._bootc.errors import INSTALL_FIRST
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import is_digest
from ansible_collections.imagemode.bootc.plugins.plugin_utils.controller_action import checked

# A soft reboot keeps the boot ID (recording ostree, after-soft-reboot) and counts up instead.
BOOT_COMMAND = "cat /proc/sys/kernel/random/boot_id; systemctl show --property=SoftRebootsCount --value 2>/dev/null || true"
# bootc has to prepare /run/nextroot; without it systemd would start the same deployment again. After a soft reboot
# the empty directory stays.
NEXT_ROOT = "mountpoint -q /run/nextroot"
PREPARE = "bootc upgrade --from-downloaded --soft-reboot=required"
PREPARE_COMPOSEFS = "bootc internals prep-soft-reboot {identity}"
# There may be several, one on the other. bootc knows --reset since 1.13.0.
FORGET = (
    "if mountpoint -q /run/nextroot; then {reset} >/dev/null 2>&1; "
    "while mountpoint -q /run/nextroot; do umount --recursive --lazy /run/nextroot || exit 1; done; fi"
)
FINALIZERS = {"ostree": "ostree-finalize-staged.service", "composefs": "bootc-finalize-staged.service"}
RESETS = {"ostree": "ostree admin prepare-soft-reboot --reset", "composefs": "bootc internals prep-soft-reboot --reset"}
# Ends when everything has been started, or something wants the host to go down again.
SETTLED = "timeout 60 systemctl is-system-running --wait || true"
SETTLE_SECONDS = 5
BELIEVED_SECONDS = 30
# A host that goes down may leave a connection half open, and ssh would wait for it forever.
KEEPALIVE = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"
UNKNOWN = "an image whose digest bootc does not know"
SLOW = "Look at the host's console; raise 'reboot_timeout' if it is only slow."

ARGUMENTS: dict[str, Any] = {
    "digest": {"type": "str"},
    "soft": {"type": "str", "choices": ["never", "auto", "required"], "default": "never"},
    "force": {"type": "bool", "default": False},
    "reboot_timeout": {"type": "int", "default": 600},
    "connect_timeout": {"type": "int"},
    "post_reboot_delay": {"type": "int", "default": 0},
    "test_command": {"type": "str"},
    "msg": {"type": "str", "default": "Reboot initiated by Ansible to boot another image"},
}


class RebootRefused(Exception):
    """Why there is no reboot, or no success: fields of the failed result."""

    def __init__(self, error: str, msg: str, hint: str, **details: Any) -> None:
        super().__init__(msg)
        self.result = {"failed": True, "error": error, "msg": msg, "hint": hint, **details}


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_diff = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        result.update(changed=False, rebooted=False, rolled_back=False)
        started = time.monotonic()
        try:
            self._reboot(result, task_vars or {})
        except RebootRefused as refusal:
            result.update(refusal.result)
            if result["error"] == "host_not_back":
                # Ansible would try to remove it there, and report that instead.
                self._connection._shell.tmpdir = None
        result["elapsed"] = int(time.monotonic() - started)
        return result

    def _reboot(self, result: dict[str, Any], task_vars: dict[str, Any]) -> None:
        options = self._options()
        before = self._info(task_vars)
        result.update(before=before["host"], digest=before["digest"], soft=False)
        expected = self._expected(options, before)
        foretold = expected != _next(before["host"])["digest"]
        if not (before["reboot_required"] or options["force"] or foretold):
            return
        result.update(digest=expected, diff=_diff(before["digest"], expected))
        soft = not foretold and self._soft(options, before)
        result["soft"] = soft
        if self._task.check_mode:
            result.update(changed=True, rebooted=True)
            return
        if self._connection.transport == "local":
            raise RebootRefused(
                "option_invalid", "This task would reboot the control node.", "Run it on the host, over a connection other than local."
            )
        soft = result["soft"] = soft and self._prepare(options, before)
        if not soft and self._forget(before["backend"])["rc"] != 0:
            self._display.warning("/run/nextroot cannot be unmounted: systemd may reboot softly, and into another deployment.")
        self._keep_alive()
        boot = self._boot()
        reboot = self._builtin_reboot(options, soft, task_vars)
        result.update(changed=bool(reboot.get("rebooted")), rebooted=bool(reboot.get("rebooted")))
        if reboot.get("failed"):
            gone = reboot.get("rebooted")
            raise RebootRefused(
                "host_not_back" if gone else "reboot_failed",
                f"The host was to boot {expected or UNKNOWN}: {reboot.get('msg')}",
                SLOW if gone else "The host still runs. Look on it at what refuses: 'systemctl status', 'systemd-inhibit --list'.",
            )
        after, boot_after = self._settled(options["reboot_timeout"], task_vars)
        result.update(after=after["host"], digest=after["digest"], reboot_required=after["reboot_required"])
        result.update(diff=_diff(before["digest"], after["digest"]))
        result.update(boot_id=boot_after[0], soft_reboots_count=boot_after[1], boot_id_kept=boot[0] == boot_after[0])
        self._prove(expected, before, after)

    def _options(self) -> dict[str, Any]:
        try:
            options = checked(ARGUMENTS, self._task.args)
        except OptionError as error:
            raise RebootRefused(error.error, error.message, error.hint or "") from None
        if options["digest"] and not is_digest(options["digest"]):
            raise RebootRefused(
                "reference_invalid", f"'{options['digest']}' is not a digest.", "A digest is 'sha256:' and 64 hexadecimal digits."
            )
        return options

    def _expected(self, options: dict[str, Any], before: dict[str, Any]) -> str | None:
        """The digest that the host must come up with; C(None) if bootc does not know it.

        The asked digest is the platform manifest's; the one of an index is not known to the host.
        """
        next_digest: str | None = _next(before["host"])["digest"]
        asked = options["digest"]
        if asked and asked != next_digest and not _pinned_to(before["host"], asked):
            if self._task.check_mode:  # a task before this one may have foretold that it would be staged
                self._display.warning(f"The host would boot {next_digest} as it is now, not {asked}; nothing is staged in check mode.")
                return str(asked)
            raise RebootRefused(
                "digest_mismatch",
                f"The host would boot {next_digest or UNKNOWN}, not {asked}.",
                "Stage that image first with bootc_switch or bootc_upgrade; after a crash a staged deployment is gone.",
            )
        return next_digest

    def _soft(self, options: dict[str, Any], before: dict[str, Any]) -> bool:
        """Whether the reboot can be a soft one."""
        if options["soft"] == "never":
            return False
        capable = bool(before["soft_reboot_capable"] and before["capabilities"].get("soft_reboot"))
        if not capable and options["soft"] == "required":
            raise RebootRefused(
                "soft_reboot_unavailable",
                "The pending deployment cannot be reached by a soft reboot: its kernel differs, or bootc is older than 1.7.0.",
                "Use 'soft: auto' to fall back to a full reboot.",
            )
        return capable

    def _prepare(self, options: dict[str, Any], before: dict[str, Any]) -> bool:
        """Have the pending deployment at /run/nextroot. On ostree a stage is prepared now, a rollback only when it is queued."""
        pending, staged = _next(before["host"]), before["host"]["staged"]
        why = "bootc prepares what is staged already since 1.12.0" if pending == staged else "bootc_rollback did not prepare it"
        prepared: dict[str, Any] = {"rc": 0, "stderr": f"nothing is prepared, and {why}"}
        if before["backend"] == "composefs":
            # `bootc upgrade --from-downloaded` prepares only what it unlocks (bootc 1.16.9, bootc_composefs/update.rs).
            self._forget("composefs")
            prepared = self._command(PREPARE_COMPOSEFS.format(identity=pending["identity"]))
        elif pending == staged and before["capabilities"].get("from_downloaded"):
            # Also if something is there already: it may be another deployment, prepared earlier.
            self._forget("ostree")
            prepared = self._command(PREPARE)
        if prepared["rc"] == 0 and self._command(NEXT_ROOT)["rc"] == 0:
            return True
        if options["soft"] == "required":
            raise RebootRefused(
                "soft_reboot_unavailable",
                f"The soft reboot could not be prepared: {prepared['stderr'].strip()}",
                "Stage with 'soft_reboot: required', or use 'soft: auto' to fall back to a full reboot.",
            )
        return False

    def _forget(self, backend: str) -> dict[str, Any]:
        """Have nothing at /run/nextroot: while something is, `systemctl reboot` is a soft reboot, and into that (systemd 255)."""
        return self._command(FORGET.format(reset=RESETS[backend]))

    def _builtin_reboot(self, options: dict[str, Any], soft: bool, task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "boot_time_command": BOOT_COMMAND,
            "reboot_timeout": options["reboot_timeout"],
            "post_reboot_delay": options["post_reboot_delay"],
            "msg": options["msg"],
        }
        for name in ("connect_timeout", "test_command"):
            if options[name] is not None:
                arguments[name] = options[name]
        if soft:
            arguments["reboot_command"] = "systemctl soft-reboot"
        task = self._task.copy()
        task.args = arguments
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.reboot",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        result: dict[str, Any] = action.run(task_vars=task_vars)
        return result

    def _keep_alive(self) -> None:
        """Have ssh notice a dead connection, unless the user's own arguments say when it shall."""
        if self._connection.transport != "ssh":
            return
        options = {name: self._connection.get_option(name) or "" for name in ("ssh_args", "ssh_common_args", "ssh_extra_args")}
        if not any("ServerAliveInterval" in text for text in options.values()):
            self._connection.set_option("ssh_extra_args", f"{options['ssh_extra_args']} {KEEPALIVE}".strip())
            # A shared connection that is open already was made without.
            self._connection.reset()

    def _prove(self, expected: str | None, before: dict[str, Any], after: dict[str, Any]) -> None:
        """:raises RebootRefused: the host runs another deployment than the one that was pending"""
        pending, booted, came = (slot["identity"] for slot in (_next(before["host"]), before["host"]["booted"], after["host"]["booted"]))
        # Another bootc may tell another digest of the same deployment: on composefs, 1.16.4 and newer that of the manifest.
        if came is not None and came == pending:
            return
        # The same image may be pending with other kernel arguments.
        if expected and after["digest"] == expected and not pending != booted == came:
            return
        rolled_back = came == booted if came is not None else after["digest"] == before["digest"]
        raise RebootRefused(
            "rolled_back" if rolled_back else "digest_mismatch",
            f"The host was to boot {expected or UNKNOWN} and came up with {after['digest'] or UNKNOWN}"
            + (", the deployment it ran before." if rolled_back else "."),
            "On the host, 'journalctl -b -1 -p warning' shows what went wrong in the boot before this one, and "
            f"'journalctl -u {FINALIZERS[before['backend']]}' whether the next boot was prepared at all.",
            rolled_back=rolled_back,
        )

    def _settled(self, seconds: float, task_vars: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, int | None]]:
        """What the host says after its boot. One that goes down again is waited for: greenboot, for one, tries several boots."""
        deadline, refused_since = time.monotonic() + seconds, None
        while True:
            try:
                if str(self._command(SETTLED)["stdout"]).strip() != "stopping":
                    return self._info(task_vars), self._boot()
                why, refused_since = "it is shutting down", None
            except RebootRefused as refusal:  # bootc cannot read what is being unmounted; who goes on to say so is believed
                why, refused_since = str(refusal), refused_since or time.monotonic()
                if time.monotonic() - refused_since > BELIEVED_SECONDS:
                    raise
            except AnsibleError as error:  # no connection, or one that ended while the module was sent
                why, refused_since = str(error), None
                # The directory for modules may be lost with the boot.
                self._connection._shell.tmpdir = None
            if time.monotonic() >= deadline:
                raise RebootRefused(
                    "host_not_back",
                    f"The host came up and goes away again: {why}",
                    SLOW,
                )
            time.sleep(SETTLE_SECONDS)
            self._connection.reset()

    def _info(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The host's state, by the module. What it runs need not be an image: a classic ostree host is switched to its first."""
        info: dict[str, Any] = self._execute_module(module_name="imagemode.bootc.bootc_info", module_args={}, task_vars=task_vars)
        if info.get("failed"):
            raise RebootRefused(
                info.get("error", "bootc_failed"), f"The host's state could not be read: {info.get('msg')}", info.get("hint", "")
            )
        if info["backend"] is None:
            raise RebootRefused(
                "host_not_managed" if info["bootc_version"] else "bootc_missing",
                f"This host has no deployments to boot: it is of kind '{info['kind']}'.",
                INSTALL_FIRST,
            )
        return info

    def _boot(self) -> tuple[str, int | None]:
        """The boot ID, and how many soft reboots there were since that boot (systemd 254 and newer)."""
        lines = str(self._command(BOOT_COMMAND)["stdout"]).split()
        return (lines[0] if lines else "", int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else None)

    def _command(self, command: str) -> dict[str, Any]:
        result: dict[str, Any] = self._low_level_execute_command(command, sudoable=True)
        return result


def _next(host: dict[str, Any]) -> dict[str, Any]:
    """The deployment that boots next."""
    staged: dict[str, Any] | None = host["staged"]
    if staged and not staged["download_only"]:
        return staged
    following: dict[str, Any] = host["rollback"] if host["rollback_queued"] else host["booted"]
    return following


def _pinned_to(host: dict[str, Any], digest: str) -> bool:
    """Whether what boots next was named by this digest, which may be an index's."""
    return str(_next(host)["image"]).endswith(f"@{digest}")


def _diff(before: str | None, after: str | None) -> dict[str, str]:
    return {"before": f"booted: {before}\n", "after": f"booted: {after}\n"}
