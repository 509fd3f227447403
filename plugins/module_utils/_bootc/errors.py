# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong with bootc, as stable codes; and how its error text is told apart."""

from __future__ import annotations

import re

from .._errors import ImageModeError


class BootcError(ImageModeError):
    """A bootc command failed; C(error) is the class of the failure."""

    error = "bootc_failed"


class StatusInvalid(BootcError):
    """`bootc status` printed something that is not a status document of version 1."""

    error = "bootc_status_invalid"


class NotManaged(BootcError):
    """The host does not run a bootc image."""

    error = "host_not_managed"


class Unsupported(BootcError):
    """This bootc, or its backend, cannot do what was asked."""

    error = "bootc_unsupported"


class Refused(BootcError):
    """What was asked does not fit the state of the host; nothing was run."""

    error = "bootc_refused"


class DigestMismatch(BootcError):
    """The image that the host got or would get is not the one with the digest that was asked for."""

    error = "digest_mismatch"


INSTALL_FIRST = (
    "Install a machine with bootc_install (or the role bare_metal), or take this one over with bootc_install_existing_root "
    "(or the role takeover)."
)

# (code, pattern in stderr, hint), the first that matches decides.
# Sources: recordings/*.jsonl (bootc 1.16.9), contract.md 4.6 (error catalogue), containers/image's own messages.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    ("not_root", r"must be executed as the root user|requires full root privileges", "Run the task with 'become: true'."),
    ("container_detected", r"Detected container; this command requires a booted host", "Run the task on the host, not in a container."),
    (
        "host_not_managed",
        r"System not booted via bootc|not booted via (?:libostree|ostree)|No image source specified",
        INSTALL_FIRST,
    ),
    ("host_layered", r"local rpm-ostree modifications", "Run 'rpm-ostree reset' on the host, or switch it to an image with bootc_switch."),
    (
        "host_read_only",
        r"read-only block device|Remounting /sysroot read-write: Permission denied",
        "This is a live system; install it to a disk first.",
    ),
    (
        "signature_policy_invalid",
        r"invalid policy in|parsing signature storage configuration|defined both in",
        "Look at the host's /etc/containers/policy.json and /etc/containers/registries.d/.",
    ),
    (
        "signature_refused",
        r"Source image rejected|refusing usage|[Ss]ignature.*(?:required|invalid|rejected|accepted)|no signature exists"
        r"|rejected by policy|Invalid GPG signature",
        "Check the host's /etc/containers/policy.json and the image's signature.",
    ),
    (
        "architecture_mismatch",
        r"has architecture .*expected|no image found in (?:image index|manifest list) for architecture",
        "Publish the image for this host's architecture.",
    ),
    (
        "image_not_bootable",
        # The last two are composefs's, of an image without /usr, or without what a kernel needs (bootc 1.16.9).
        r"does not have (?:ostree\.bootable|containers\.bootc) label|No boot entries"
        r"|Directory entry \S+ does not exist|initramfs not found",
        "The image is not a bootable container; build it from a bootc base image.",
    ),
    (
        "bootc_refused",
        r"same fs-verity digest as the existing",
        "A deployment of this host holds the same files under another digest; the composefs backend cannot hold them twice.",
    ),
    (
        "bootc_refused",
        r"Deployment is already in unlocked state",
        "There is an overlay on /usr already; reboot to be rid of it (bootc_reboot with 'force: true').",
    ),
    (
        "disk_full",
        # The third is libostree's (throw_min_free_space_error); skopeo and Podman begin theirs with a small letter, as Go does.
        r"Insufficient free space|[Nn]o space left on device|min-free-space-(?:percent|size) .*would be exceeded",
        "Free space on the host's root file system, for example with 'podman system prune'.",
    ),
    ("etc_conflict", r"Merge conflicts found in etc", "Move the conflicting files in /etc out of the way; the host's stderr names them."),
    (
        "image_missing",
        r"manifest unknown|name unknown|repository name not known|NAME_UNKNOWN"
        r"|No such file or directory.*oci|reading manifest \S+ in \S+: .*not found",
        "Check the image's name, tag or digest; push it first.",
    ),
    (
        "proxy_failed",
        r"proxyconnect tcp|Proxy Authentication Required",
        "Correct HTTPS_PROXY in the task's environment, or name the registry in NO_PROXY there.",
    ),
    (
        "registry_unauthorized",
        r"unauthorized|authentication required|40[13] \(?(?:Unauthorized|Forbidden)|denied: |requested access to the resource is denied",
        "bootc reads /run/ostree/auth.json, /etc/ostree/auth.json and /usr/lib/ostree/auth.json only; bootc_auth puts credentials there. "
        "Some registries say the same of an image that does not exist: look at its name, too.",
    ),
    (
        "registry_tls",
        r"x509:|certificate|server gave HTTP response to HTTPS client|tls: ",
        "Put the registry's CA into /etc/containers/certs.d/REGISTRY/, or mark it insecure in /etc/containers/registries.conf.d/.",
    ),
    ("registry_rate_limited", r"toomanyrequests|429 \(?Too Many", "Wait, log in to the registry, or use a mirror."),
    (
        "registry_unavailable",
        r"unexpected HTTP status:? 5\d\d|invalid status code from registry 5\d\d",
        "The registry has a fault of its own, or what stands before it has; run the task again later.",
    ),
    (
        "registry_unreachable",
        r"connection refused|no such host|i/o timeout|network is unreachable|no route to host"
        r"|pinging container registry|connection reset by peer|unexpected EOF"
        r"|TLS handshake timeout|context deadline exceeded|Client\.Timeout exceeded",
        "Check from the host that the registry can be reached: name, port, proxy, firewall.",
    ),
    (
        "reference_invalid",
        r"invalid reference format|[Ii]nvalid transport|Unknown transport",
        "Write the image as registry/repository:tag or registry/repository@sha256:….",
    ),
    (
        "soft_reboot_unavailable",
        # bootc_composefs/soft_reboot.rs, and libostree's ostree_sysroot_deployment_set_soft_reboot.
        r"not soft-reboot capable|Cannot soft-reboot to|System does not support soft reboots|soft reboot not supported",
        "Use 'soft_reboot: auto' to fall back to a full reboot.",
    ),
    ("no_staged_deployment", r"No staged deployment found", "Download first: bootc_upgrade with 'download_only: true'."),
    (
        "no_rollback_deployment",
        r"No rollback available|Rollback is not container image based",
        "There is no earlier deployment on this host to go back to.",
    ),
    (
        "bootc_locked",
        r"sysroot lock|Resource temporarily unavailable|already in progress",
        "Another bootc or rpm-ostree is at work on this host; wait until it has finished.",
    ),
    (
        "bootc_unsupported",
        r"unexpected argument|unrecognized subcommand|not yet supported",
        "This bootc does not know the command; update the image's bootc.",
    ),
)


def classify(stderr: str) -> tuple[str, str | None]:
    """Tell what kind of failure bootc's or skopeo's error text means.

    :param stderr: standard error of the command
    :returns: stable code and hint; C(bootc_failed) and no hint if the text is not known
    """
    for code, pattern, hint in _CAUSES:
        if re.search(pattern, stderr):
            return code, hint
    return BootcError.error, None


def refusal(code: str, message: str, hint: str | None = None) -> BootcError:
    """:returns: the error for what bootc would refuse, with the code and the hint that its own text is classified as"""
    return BootcError(message, error=code, hint=hint or next(hint for known, _pattern, hint in _CAUSES if known == code))


def failure(command: str, rc: int, stderr: str) -> BootcError:
    """:returns: the typed error for a command that ended with a return code other than 0"""
    code, hint = classify(stderr)
    lines = readable(stderr)
    errors = [line for line in lines if line.startswith(("error: ", "ERROR "))]
    said = (errors or lines or ["it said nothing"])[-1 if errors else 0]
    return BootcError(f"'{command}' failed: {said}", error=code, hint=hint, rc=rc, cmd=command, stderr="\n".join(lines[-20:]))


def readable(stderr: str) -> list[str]:
    """:returns: the lines that are not empty; a program that failed is one line, as it was called and with what it said last

    bootc 1.16.9 shows such a call as C(Command {), its fields on some twenty lines, and C(}).
    """

    def call(shown: re.Match[str]) -> str:
        words = re.findall(r'^ {8}"(.*)",$', shown[0], re.MULTILINE) or re.findall(r'^ {4}program: "(.*)",$', shown[0], re.MULTILINE)
        earlier = stderr[: shown.start()].splitlines()[:-1]
        last = f" (before that: {earlier[-1].strip()})" if earlier else ""
        return f"'{' '.join(words)}'{last}"

    plain = re.sub(r"Command \{\n(?: .*\n)*\}", call, stderr)
    return [line for line in plain.splitlines() if line.strip()]
