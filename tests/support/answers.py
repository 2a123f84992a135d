"""Answers of the API in any form, and what every one of them must be: a result, or a well-formed refusal."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from dataclasses import dataclass

from support.daemon import TestDaemon, _UnixConnection
from tarmac.lib import places

ALLOWED = {200, 201, 204, 400, 401, 403, 404, 500, 501}
GOOD = {200, 201, 204}


@dataclass
class Answer:
    status: int
    reason: str
    body: bytes
    method: str = "GET"


def ask(
    daemon: TestDaemon, method: str, target: str, body: bytes, headers: dict[str, str], seconds: float = 60
) -> Answer:
    connection = _UnixConnection(str(places.api_socket(daemon.data)), seconds)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        with contextlib.suppress(BrokenPipeError):  # refused before the body was sent; the reply is there
            connection.endheaders(body or None)
        reply: http.client.HTTPResponse = connection.getresponse()
        return Answer(reply.status, reply.reason, _whole(reply, seconds), method)
    finally:
        connection.close()


def _whole(reply: http.client.HTTPResponse, seconds: float) -> bytes:
    """The body. A reply that goes on and on is an error, which no time limit of a socket notices: a stream that beats
    is never silent."""
    end, parts = time.monotonic() + seconds, []
    while part := reply.read1(1 << 16):
        assert time.monotonic() < end, f"the reply does not end: {part[:200]!r}"
        parts.append(part)
    return b"".join(parts)


def check(answer: Answer, what: object) -> None:
    assert answer.status in ALLOWED, (what, answer)
    assert answer.reason.isprintable()
    assert b"Traceback" not in answer.body
    if answer.status in (204, 401) or answer.method == "HEAD":
        return
    if not answer.body.startswith(b"{"):
        assert answer.body.startswith((b"<!doctype html>", b"\x89PNG", b"# HELP ")), (what, answer.body[:100])
        return
    reply = json.loads(answer.body)
    if answer.status in GOOD:
        assert "data" in reply
        return
    assert reply["data"] is None
    assert reply["message"].endswith("\n")
    error = reply["error"]
    assert set(error) >= {"code", "message", "cause", "evidence", "fixes"}
    assert error["code"] != "bug", (what, reply)
    errors = reply.get("errors", {})
    assert all(isinstance(text, str) for text in errors.values())
    if answer.status == 400 and reply["message"].startswith("Parameter verification failed"):
        assert errors, (what, reply)
