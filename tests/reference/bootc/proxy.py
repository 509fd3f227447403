# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""Images through skopeo's image proxy, as the real bootc reads them: manifest, configuration, and only the layers asked for."""

from __future__ import annotations

import array
import json
import os
import socket
import subprocess
from types import TracebackType
from typing import Any, BinaryIO

from .errors import BootcError

AUTH_FILES = ("/run/ostree/auth.json", "/etc/ostree/auth.json", "/usr/lib/ostree/auth.json")


def auth_options() -> list[str]:
    """The first of ostree's files; without one, anonymous: the locations that podman reads are not for the host."""
    for path in AUTH_FILES:
        if os.path.exists(path):
            return ["--authfile", path]
    return ["--no-creds"]


class Proxy:
    def __init__(self, url: str, *, trusted: bool = False) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = ["skopeo", *(["--insecure-policy"] if trusted else []), "experimental-image-proxy", "--sockfd", str(theirs.fileno())]
        if url.startswith("docker://"):
            command += auth_options()
        self._socket = ours
        self._child = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._call("Initialize")
        self._image = self._call("OpenImage", url)[0]

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._child.terminate()
        self._child.wait()

    def _call(self, method: str, *arguments: Any) -> tuple[Any, int | None, int]:
        self._send(method, *arguments)
        return self._receive(method)

    def _send(self, method: str, *arguments: Any) -> None:
        self._socket.sendall(json.dumps({"method": method, "args": list(arguments)}).encode())

    def _receive(self, method: str) -> tuple[Any, int | None, int]:
        descriptors = array.array("i")
        data, ancillary, _flags, _address = self._socket.recvmsg(1 << 16, socket.CMSG_LEN(4 * descriptors.itemsize))
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        if not data:
            raise BootcError(f"failed to invoke method {method}: the image proxy ended")
        reply = json.loads(data)
        if not reply["success"]:
            raise BootcError(f"failed to invoke method {method}: {reply['error']}")
        return reply["value"], (descriptors[0] if descriptors else None), reply["pipeid"]

    def _stream(self, method: str, *arguments: Any) -> tuple[Any, BinaryIO]:
        """Open a stream. skopeo closes its end only while FinishPipe is asked for, so that is asked before reading."""
        value, descriptor, pipe = self._call(method, self._image, *arguments)
        if descriptor is None:
            raise BootcError(f"failed to invoke method {method}: no stream came back")
        self._send("FinishPipe", pipe)
        return value, os.fdopen(descriptor, "rb")

    def _document(self, method: str) -> tuple[Any, bytes]:
        value, stream = self._stream(method)
        with stream:
            data = stream.read()
        self.finish()
        return value, data

    def manifest(self) -> tuple[str, dict[str, Any]]:
        """Digest and content of the manifest for this machine's platform."""
        digest, data = self._document("GetManifest")
        return digest, json.loads(data)

    def config(self) -> dict[str, Any]:
        return json.loads(self._document("GetFullConfig")[1])

    def blobs(self) -> list[tuple[str, int]]:
        """Digest and size of each layer as `blob` wants them: a containers-storage does not have those of the manifest."""
        return [(layer["digest"], layer["size"]) for layer in self._call("GetLayerInfo", self._image)[0]]

    def blob(self, digest: str, size: int) -> BinaryIO:
        """The stream is read to its end, then comes `finish`."""
        return self._stream("GetBlob", digest, size)[1]

    def finish(self) -> None:
        """Waits until skopeo has verified the blob's digest."""
        self._receive("FinishPipe")
