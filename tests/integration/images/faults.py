# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands between an engine and a real registry on a bad day: answers that say "later", and connections that are cut."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Fault:
    """What happens to requests of this method whose path matches, as often as I(times) says.

    :ivar status: the answer; 0 cuts the connection in the middle of the body
    :ivar hold: wait with the body half read until this is set; then the connection is cut
    """

    method: str
    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    hold: threading.Event | None = None
    met: threading.Event = field(default_factory=threading.Event)


class BadDay:
    """:ivar requests: method, path and time of each request"""

    def __init__(self, registry: str, *faults: Fault) -> None:
        self.requests: list[tuple[str, str, float]] = []
        self._registry, self._faults = registry, list(faults)
        self._lock = threading.Lock()

    def fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests.append((method, path, time.monotonic()))
            for fault in self._faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    fault.met.set()
                    return fault
        return None

    @contextmanager
    def standing(self) -> Iterator[str]:
        """:returns: its address, in place of the registry's"""
        day = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str) -> object:
                if name.startswith("do_"):
                    return self._any
                raise AttributeError(name)

            def _any(self) -> None:
                fault = day.fault(self.command, self.path)
                if fault and not fault.status:
                    self._some(1000)
                    if fault.hold:
                        fault.hold.wait(60)
                    self.close_connection = True
                    self.connection.close()
                    return
                body = b"".join(self._body())
                if fault:
                    self._answer(fault.status, fault.headers, b"")
                    return
                upstream = http.client.HTTPConnection(day._registry, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
                upstream.request(self.command, self.path, body or None, {**headers, "Content-Length": str(len(body))})
                answer = upstream.getresponse()
                content = answer.read()
                named = {name: value for name, value in answer.getheaders() if name.lower() not in ("transfer-encoding", "connection")}
                self._answer(answer.status, named, content)
                upstream.close()

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def _some(self, size: int) -> None:
                self.rfile.read1(size)

            def _body(self) -> Iterator[bytes]:
                if self.headers.get("transfer-encoding") == "chunked":
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        yield self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    yield self.rfile.read(int(self.headers.get("content-length") or 0))

            def log_message(self, *_words: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
