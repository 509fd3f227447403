# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image opened as bootc opens it: through skopeo's image proxy, which checks the policy and fetches no layer.

Source: ostree-ext of bootc 1.16.9, ``container/mod.rs``, and skopeo 1.18, ``cmd/skopeo/proxy.go``.
"""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from typing import Any

from .._bootc.client import auth_file
from .._bootc.errors import BootcError, failure
from .._reference import without_tag
from ._files import PolicyFiles

_MESSAGE_BYTES = 1 << 16


@dataclass(frozen=True)
class Pulled:
    """What a pull would find.

    :ivar digest: of this machine's platform
    :ivar auth_file: the credentials that were used; C(None) for none
    """

    digest: str
    auth_file: str | None


def open_image(image: str, files: PolicyFiles | None = None, timeout: float = 120.0) -> Pulled:
    """Open an image in a registry with the host's credentials, mirrors, certificates and policy.

    :param files: another policy than the host's own
    :param timeout: seconds for each answer; 0 for no limit
    :raises BootcError: it cannot be pulled: C(signature_refused), C(registry_unauthorized), …
    """
    if not shutil.which("skopeo"):
        raise BootcError("There is no 'skopeo' on this host, which bootc pulls with.", error="command_missing", hint="Install skopeo.")
    credentials = auth_file()
    argv = ["skopeo", *([f"--policy={files.path}", f"--registries.d={files.registries_d}"] if files else []), "experimental-image-proxy"]
    argv += [f"--authfile={credentials}"] if credentials else ["--no-creds"]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.settimeout(timeout or None)
        with theirs:
            argv.append(f"--sockfd={theirs.fileno()}")
            child = subprocess.Popen(
                argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        try:
            call = _Calls(ours, child, " ".join(argv[:-1]))
            call("Initialize")
            opened = call("OpenImage", f"docker://{without_tag(image)}")
            # The manifest comes by a pipe, which is not read: its digest is the answer.
            return Pulled(str(call("GetManifest", opened)), credentials)
        finally:
            child.kill()
            child.communicate()


class _Calls:
    """Requests to the proxy, one at a time."""

    def __init__(self, connection: socket.socket, child: subprocess.Popen[str], command: str) -> None:
        self._connection, self._child, self._command = connection, child, command

    def __call__(self, method: str, *arguments: Any) -> Any:
        descriptors = array.array("i")
        try:
            self._connection.sendall(json.dumps({"method": method, "args": list(arguments)}).encode())
            data, ancillary, _flags, _address = self._connection.recvmsg(_MESSAGE_BYTES, socket.CMSG_LEN(descriptors.itemsize))
        except socket.timeout:
            raise BootcError(
                f"'{self._command}' did not answer in time to {method}.",
                error="command_timeout",
                hint="Look whether the registry answers from here; bootc_pull_check waits longer with its 'timeout'.",
            ) from None
        except OSError:
            data, ancillary = b"", []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        for descriptor in descriptors:
            os.close(descriptor)
        if not data:  # the proxy ended, and says why on its standard error: a policy that is none, for example
            self._child.wait(5)
            raise failure(self._command, self._child.returncode, self._child.stderr.read() if self._child.stderr else "")
        reply = json.loads(data)
        if not reply["success"]:
            raise failure(f"{self._command} {method} {' '.join(map(str, arguments))}", 1, reply["error"])
        return reply["value"]
