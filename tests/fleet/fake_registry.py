# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake: a registry that knows one tag, counts who asks, and may be too busy for the first of them.

A real registry counts nothing and is never too busy for a test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class FakeRegistry:
    """:param digest: of the image for amd64, which an index names
    :param busy: how many requests get 429 first
    :param manifests: what else there is, by digest
    """

    def __init__(self, digest: str, busy: int = 0, manifests: Mapping[str, bytes] | None = None) -> None:
        self.requests: list[str] = []
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": digest,
                    "size": 2,
                    "platform": {"os": "linux", "architecture": "amd64"},
                }
            ],
        }
        default = json.dumps(index).encode()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.requests.append(f"{self.command} {self.path}")
                if len(fake.requests) <= busy:
                    self.send_response(429)
                    self.send_header("Retry-After", "1")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                asked = self.path.rpartition("/")[2]
                body = (manifests or {}).get(asked, default)
                self.send_response(404 if asked.startswith("sha256:") and body == default else 200)
                self.send_header("Content-Type", str(json.loads(body)["mediaType"]))
                self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
