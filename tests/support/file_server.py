"""A web server on loopback for downloads: it sends files whole, or slowly, until it is told to go on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.serving import serving

HOST = "127.0.0.1"
PIECE = 1 << 20


class FileServer:
    """`/NAME` sends `files[NAME]`; `/slow/NAME` sends a third of it and then a piece now and then, until `go_on`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.go_on = threading.Event()
        self.waiting = threading.Event()
        self.base = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        slow, _, name = handler.path.strip("/").rpartition("/")
        body = self.files[name]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        at = len(body) // 3 if slow else len(body)
        with contextlib.suppress(OSError):  # the client went away
            handler.wfile.write(body[:at])
            while at < len(body) and not self.go_on.wait(0.1):
                self.waiting.set()
                handler.wfile.write(body[at : at + 1024])
                at += 1024
            handler.wfile.write(body[at:])


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    served = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    served.base = f"http://{HOST}:{server.server_address[1]}"
    with serving(server):
        try:
            yield served
        finally:
            served.go_on.set()
