"""An authority's address is whatever somebody gave: what answers there ends, or is ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.serving import serving
from tarmac.drivers.acme import client
from tarmac.model.errors import Unavailable

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server whose replies have a body that `answer` writes; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                answer(self)
            except OSError:
                pass  # the client has had enough

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/directory"


def test_what_an_authority_says_of_itself() -> None:
    with answering(lambda h: h.wfile.write(b'{"meta": {"termsOfService": "http://x/"}}') and None) as address:
        assert client.meta(address) == {"termsOfService": "http://x/"}


def test_an_answer_without_end_is_cut_off() -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        while True:
            handler.wfile.write(b"[" * 65536)

    with answering(endless) as address, pytest.raises(Unavailable) as refused:
        client.meta(address)
    assert "did not end within 1024 KiB" in refused.value.evidence


def test_an_answer_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        while not over.wait(0.01):
            handler.wfile.write(b" ")

    try:
        with answering(drip) as address, pytest.raises(Unavailable) as refused:
            client.meta(address)
    finally:
        over.set()
    assert "did not end within 0.2 s" in refused.value.evidence
