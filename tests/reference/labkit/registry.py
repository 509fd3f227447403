# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""A registry on this machine's loopback address, reached as registry.test from the lab's namespace and machines."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from . import namespace, process, store
from .say import LabError, run

CONFIG = """version: 0.1
log: {{level: info, accesslog: {{disabled: false}}, fields: {{service: {name}}}}}
storage:
  filesystem: {{rootdirectory: "{data}"}}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
http:
  addr: {address}:{port}
  headers: {{X-Content-Type-Options: [nosniff]}}
"""


def _where(name: str) -> Path:
    return store.directory("registry", name)


def address(name: str) -> str:
    """As the lab's commands and machines reach it."""
    return f"registry.test:{namespace.PORTS[name]}"


def up(
    name: str,
    *,
    port: int | None = None,
    tls: bool = False,
    user: str | None = None,
    password: str | None = None,
    address: str = "127.0.0.1",
) -> dict[str, Any]:
    where, port = _where(name), port or namespace.PORTS.get(name)
    if port is None:
        raise LabError(f"which port has registry {name}? The lab's own are {', '.join(namespace.PORTS)}; others need --port")
    state = store.read(where / "registry.json")
    asked = {"port": port, "tls": tls, "user": user}
    if state and process.alive(state["process"]):
        if state["asked"] != asked:
            raise LabError(f"registry {name} is up with other options ({state['asked']}); `lab registry down --name {name}` first")
        return state
    if _answers(port):
        raise LabError(f"something else listens on port {port}, which registry {name} needs; end it first (`ss -tlnp`)")
    text = CONFIG.format(name=name, data=where / "data", port=port, address=address)
    if tls:
        key, certificate = where / "key.pem", where / "ca.crt"
        if not certificate.exists():
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
                 "-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test,DNS:localhost,IP:127.0.0.1",
                 "-keyout", key, "-out", certificate])  # fmt: skip
        text += f'  tls: {{certificate: "{certificate}", key: "{key}"}}\n'
    if user:
        line = run(["htpasswd", "-niB", user], input=f"{password or ''}\n").stdout.strip()
        (where / "htpasswd").write_text(line + "\n")
        text += f'auth:\n  htpasswd: {{realm: lab, path: "{where / "htpasswd"}"}}\n'
    (where / "config.yml").write_text(text)
    with (where / "access.log").open("ab") as log:
        child = subprocess.Popen(
            ["docker-registry", "serve", str(where / "config.yml")],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    deadline = time.monotonic() + 15
    while True:
        if child.poll() is not None:
            raise LabError(f"the registry ended at once; see {where / 'access.log'}")
        if _answers(port):
            break
        if time.monotonic() > deadline:
            child.kill()
            raise LabError(f"the registry does not listen on port {port}; see {where / 'access.log'}")
        time.sleep(0.1)
    state = {
        "process": process.identity(child.pid),
        "asked": asked,
        "address": f"registry.test:{port}",
        "log": str(where / "access.log"),
        "data": str(where / "data"),
        "ca": str(where / "ca.crt") if tls else None,
    }
    store.write(where / "registry.json", state)
    return state


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def down(name: str) -> None:
    where = _where(name)
    state = store.read(where / "registry.json")
    if state:
        process.stop(state["process"])
        (where / "registry.json").unlink()


def remove(name: str) -> None:
    """Stop it, and its images are gone."""
    down(name)
    shutil.rmtree(_where(name), ignore_errors=True)


def names() -> list[str]:
    return sorted(path.parent.name for path in (store.CACHE / "registry").glob("*/registry.json"))
