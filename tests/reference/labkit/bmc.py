# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A BMC: sushy-tools' emulator, behind a proxy that has TLS and the manners of real BMCs."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import store
from .say import LabError, run

USER = "operator"
Fault = Callable[["Request"], "int | None"]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: dict[str, Any]


def busy(times: int) -> Fault:
    """Answers 503 so many times."""
    left = [times]

    def fault(_request: Request) -> int | None:
        left[0] -= 1
        return 503 if left[0] >= 0 else None

    return fault


def forgets_boot_order(times: int) -> Fault:
    """Agrees to boot from something, and forgets it, so many times."""
    left = [times]

    def fault(request: Request) -> int | None:
        if request.method != "PATCH" or "Boot" not in request.body:
            return None
        left[0] -= 1
        return 204 if left[0] >= 0 else None

    return fault


def loses_media(request: Request) -> int | None:
    """Agrees to insert a medium, and does not."""
    return 204 if request.path.endswith("VirtualMedia.InsertMedia") else None


class Bmc:
    """An emulator and the proxy in front of it.

    :param folder: for certificate, logs and state
    :param config: the emulator's own settings, as Python
    :param python: one that has sushy-tools
    :ivar host: as C(bare_metal_bmc_host) takes it
    :ivar faults: asked in their order what to answer instead of the emulator; C(None) is the emulator's own answer
    :ivar requests: all that were made
    :ivar words: text of an answer → what is said instead
    """

    def __init__(
        self, folder: Path, password: str, config: dict[str, Any], address: str = "127.0.0.1", python: str = sys.executable
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.faults, self.requests = folder, list[Fault](), list[Request]()
        self.words: dict[str, str] = {}
        inner = _free_port()
        (folder / "htpasswd").write_text(run(["htpasswd", "-niB", USER], input=f"{password}\n").stdout.strip() + "\n")
        lines = {"SUSHY_EMULATOR_AUTH_FILE": str(folder / "htpasswd"), "SUSHY_EMULATOR_STATE_DIR": str(folder), **config}
        (folder / "emulator.conf").write_text("".join(f"{name} = {value!r}\n" for name, value in lines.items()))
        self.ca = folder / "ca.crt"
        if not self.ca.exists():
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
                 "-subj", "/CN=bmc", "-addext", f"subjectAltName=IP:{address}",
                 "-keyout", folder / "key.pem", "-out", self.ca])  # fmt: skip
        with (folder / "emulator.log").open("ab") as log:
            self._emulator = subprocess.Popen(
                [
                    python,
                    str(store.REFERENCE / "redfish_emulator.py"),
                    "--config",
                    str(folder / "emulator.conf"),
                    "--interface",
                    "127.0.0.1",
                    "--port",
                    str(inner),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ,
            )
        self._proxy = _proxy(self, address, inner)
        self.host = f"{address}:{self._proxy.server_address[1]}"
        self._await(inner)

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if self._emulator.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"the Redfish emulator does not run; see {self.folder / 'emulator.log'}")
            time.sleep(0.2)
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()

    def changes(self) -> list[str]:
        """ "METHOD PATH" of the requests that were to change something."""
        return [f"{request.method} {request.path}" for request in self.requests if request.method not in ("GET", "HEAD")]

    def stop(self) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()
        self._emulator.terminate()
        self._emulator.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _proxy(bmc: Bmc, address: str, inner: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                body = json.loads(content or b"{}")
            except ValueError:
                body = {}
            request = Request(self.command, self.path, body if isinstance(body, dict) else {})
            bmc.requests.append(request)
            instead = next((status for status in (fault(request) for fault in bmc.faults) if status is not None), None)
            if instead is not None:
                self._send(instead, b'{"error": {"message": "busy"}}' if instead >= 400 else b"", {})
                return
            connection = http.client.HTTPConnection("127.0.0.1", inner, timeout=300)
            passed = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "content-length")}
            connection.request(self.command, self.path, content or None, passed)
            answer = connection.getresponse()
            said = answer.read()
            for word, instead_of_it in bmc.words.items():
                said = said.replace(word.encode(), instead_of_it.encode())
            self._send(answer.status, said, dict(answer.getheaders()))
            connection.close()

        def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name in ("Content-Type", "ETag", "Allow", "WWW-Authenticate", "Location"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = do_PUT = _answer  # noqa: N815

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bmc.ca, bmc.folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server
