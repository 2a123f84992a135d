"""The command line's own HTTP: a connection that failed half-way is not used for what comes next."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from support.api_server import Daemon
from tarmac.faces.cli.wire import Connection


def connection_to(daemon: Daemon) -> Connection:
    def connect() -> socket.socket:
        bare = socket.socket(socket.AF_UNIX)
        bare.connect(str(daemon.data_dir.parent / "api.sock"))
        return bare

    return Connection(connect, "localhost", timeout=20)


def test_a_body_whose_source_fails_leaves_no_half_request(daemon: Daemon) -> None:
    daemon.answer("GET", "/version", {"version": "9"})
    connection = connection_to(daemon)

    def chunks() -> Iterator[bytes]:
        yield b"name="
        raise ValueError("the file cannot be read")

    with pytest.raises(ValueError, match="cannot be read"):
        connection.request("POST", "/api2/json/pools", {}, chunks(), length=1000)
    reply = connection.request("GET", "/api2/json/version", {})
    assert (reply.status, reply.body) == (200, b'{"data": {"version": "9"}}')
    connection.close()
