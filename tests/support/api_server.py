"""A small real HTTP server on a unix socket, where a daemon's would be: it answers as the test tells it to, and keeps
what it was asked."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

UPID = "UPID:pve1:00001234:0000ABCD:6740F00D:qmstart:100:root@pam:"
_UNKNOWN = object()
NODE = [{"type": "node", "id": "node/pve1", "name": "pve1", "local": 1, "online": 1}]


@dataclass
class Asked:
    """One request as the server got it; `params` from query and form."""

    method: str
    path: str
    params: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """A reply that is not just data."""

    data: Any = None
    status: int = 200
    reason: str = "OK"
    extra: dict[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Daemon:
    """`answer(method, path, what)`: `what` is data, a Reply, or a function of the request that gives one of them;
    a list of Replies is given one after another, the last one for ever."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.asked: list[Asked] = []
        self._answers: dict[tuple[str, str], Any] = {}
        self.answer("GET", "/cluster/status", NODE)

    def answer(self, method: str, path: str, what: Any) -> None:
        self._answers[method, path] = what

    def of(self, method: str, path: str) -> list[Asked]:
        """The requests of this method and path."""
        return [one for one in self.asked if (one.method, one.path) == (method, path)]

    def task(self, upid: str = UPID, *statuses: dict[str, Any], lines: tuple[str, ...] = ("TASK OK",)) -> None:
        """A task whose status is each of `statuses` in turn (default: ended well)."""
        base = f"/nodes/{upid.split(':')[1]}/tasks/{upid}"
        ended = {"status": "stopped", "exitstatus": "OK", "upid": upid}
        self.answer("GET", f"{base}/status", [Reply({"upid": upid, **one}) for one in statuses] or ended)
        self.answer("GET", f"{base}/log", lambda asked: _lines(asked, lines))

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        what = self._answers.get((asked.method, asked.path), _UNKNOWN)
        if what is _UNKNOWN:
            text = f"Method '{asked.method} {asked.path}' not implemented"
            return Reply(status=501, reason=text, extra={"message": text})
        if isinstance(what, list) and what and isinstance(what[0], Reply):
            what = what.pop(0) if len(what) > 1 else what[0]
        if isinstance(what, Callable):  # type: ignore[arg-type]
            what = what(asked)
        return what if isinstance(what, Reply) else Reply(what)


def _lines(asked: Asked, lines: tuple[str, ...]) -> list[dict[str, Any]]:
    start = int(asked.params.get("start", ["0"])[0])
    return [{"n": n, "t": text} for n, text in enumerate(lines, 1) if n > start]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon: Daemon

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = body.decode() if "urlencoded" in self.headers.get("Content-Type", "") else ""
        params = {**parse_qs(url.query, keep_blank_values=True), **parse_qs(form, keep_blank_values=True)}
        path = unquote(url.path).removeprefix("/api2/json")
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.daemon.reply(Asked(self.command, path, params, headers, body))
        raw = reply.raw if reply.raw is not None else json.dumps({"data": reply.data, **reply.extra}).encode()
        self.send_response(reply.status, reply.reason)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" in reply.headers:
            raw = b"".join(b"%x\r\n%s\r\n" % (len(raw[i : i + 7]), raw[i : i + 7]) for i in range(0, len(raw), 7))
            raw += b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
