"""A real ACME authority for tests: Pebble, on ports of loopback, that looks at names by a name server of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.certificates import make


@dataclass(frozen=True)
class Authority:
    """`directory`, the file `trust` for clients of its API, and the `port` on which it asks names."""

    directory: str
    trust: Path
    port: int
    management: str

    def root(self) -> str:
        """The certificate under which its certificates stand."""
        context = ssl.create_default_context(cafile=str(self.trust))
        with urllib.request.urlopen(f"{self.management}/roots/0", context=context, timeout=10) as reply:
            return str(reply.read().decode())

    def status(self, serial: int) -> str:
        """`Valid` or `Revoked`."""
        context = ssl.create_default_context(cafile=str(self.trust))
        url = f"{self.management}/cert-status-by-serial/{serial:x}"
        with urllib.request.urlopen(url, context=context, timeout=10) as reply:
            return str(json.load(reply)["Status"])


@contextlib.contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """Started, and ended afterwards. Every name leads to 127.0.0.1."""
    own = make("localhost")
    (folder / "api.pem").write_text(own.pem)
    (folder / "api.key").write_text(own.key_pem())
    api, management, asks, names, control = (free_port() for _ in range(5))
    config = {
        "listenAddress": f"127.0.0.1:{api}", "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(folder / "api.pem"), "privateKey": str(folder / "api.key"),
        "httpPort": asks, "tlsPort": free_port(), "ocspResponderURL": "", "externalAccountBindingRequired": False,
    }  # fmt: skip
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    resolver = [
        "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{names}",
        "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{control}",
    ]  # fmt: skip
    pebble = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{names}", "-strict"]
    # It refuses good nonces now and then, several in a row, too; clients try again once.
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (folder / "log").open("wb") as log:
        running = [
            subprocess.Popen(argv, stdout=log, stderr=log, env=environment, cwd=folder) for argv in (resolver, pebble)
        ]
        try:
            for port in (api, management):
                _wait(port, folder / "log")
            yield Authority(f"https://localhost:{api}/dir", folder / "api.pem", asks, f"https://localhost:{management}")
        finally:
            for process in running:
                process.kill()
                process.wait(10)


def _wait(port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
