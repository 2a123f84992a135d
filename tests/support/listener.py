"""An HTTP server on loopback that takes whatever it is sent, for what the daemon tells others."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from contextlib import contextmanager

from support.daemon import TestDaemon
from support.serving import serving


@contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and the list of the bodies that came."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield server.server_port, bodies


def tell(daemon: TestDaemon, port: int, field: str) -> None:
    """Notifications with a `match-field` go there, as the JSON of their titles."""
    body = "e3sganNvbiB0aXRsZSB9fQ=="  # {{ json title }}
    hook = {"name": "hook", "method": "post", "url": f"http://127.0.0.1:{port}/", "body": body}
    daemon.post("/cluster/notifications/endpoints/webhook", **hook, **{"allowed-hosts": "127.0.0.1"})
    rules = {"match-field": field, "target": "hook"}
    daemon.post("/cluster/notifications/matchers", name="told", **rules)
