"""Clients that are too many, too slow or half gone, against a whole daemon over TLS: it keeps its memory bounded, and
serves the others meanwhile. The limits themselves, with short times: `tests/unit/api/test_crowds.py`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import BASE, TestDaemon, eventually, test_daemon
from support.event_client import follow
from support.faults import CPU_STOPPED

CROWD = 1000
MIB = 1 << 20


class Caller:
    """Calls over HTTPS with a token, from an address of its own."""

    def __init__(self, daemon: TestDaemon, userid: str, address: str) -> None:
        with contextlib.suppress(Exception):
            daemon.post("/access/users", userid=userid)
        daemon.put("/access/acl", path="/", users=userid, roles="Administrator")
        made = daemon.post(f"/access/users/{userid}/token/crowd", privsep=0)
        self.headers = {"Authorization": f"PVEAPIToken={made['full-tokenid']}={made['value']}"}
        self._port = daemon.port
        self._address = address
        self._context = ssl._create_unverified_context()

    def open(self) -> ssl.SSLSocket:
        bare = socket.create_connection(("127.0.0.1", self._port), 60, source_address=(self._address, 0))
        return self._context.wrap_socket(bare)

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
        with self.open() as secure:
            self.send(secure, method, path, len(body), **headers)
            with contextlib.suppress(ConnectionError):
                secure.sendall(body)
            reply = http.client.HTTPResponse(secure, method=method)
            reply.begin()
            return reply.status, json.loads(reply.read() or b"{}")

    def send(self, secure: ssl.SSLSocket, method: str, path: str, length: int, **headers: str) -> None:
        lines = [f"{method} {BASE}{path} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines += [f"{name}: {value}" for name, value in given.items()]
        secure.sendall("\r\n".join([*lines, "", ""]).encode())


@pytest.fixture(scope="module")
def house() -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def crowd(house: TestDaemon) -> Caller:
    return Caller(house, "crowd@pve", "127.0.0.2")


@pytest.fixture(scope="module")
def other(house: TestDaemon) -> Caller:
    return Caller(house, "other@pve", "127.0.0.3")


def resident(daemon: TestDaemon) -> int:
    """Bytes of memory that the daemon has."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def open_files(daemon: TestDaemon) -> int:
    assert daemon.process is not None
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def test_a_thousand_connections(house: TestDaemon, crowd: Caller, other: Caller) -> None:
    """A third of them says nothing, a third is in the midst of a head, a third waits between two requests."""
    before, files = resident(house), open_files(house)
    context = ssl._create_unverified_context()
    opened: list[socket.socket] = []
    try:
        for number in range(CROWD):
            bare = socket.create_connection(("127.0.0.1", house.port), 60, source_address=("127.0.0.2", 0))
            opened.append(bare)
            if number % 3:
                opened[-1] = secure = context.wrap_socket(bare)
                crowd.send(secure, "GET", "/version", 0)
                if number % 3 == 1:
                    secure.sendall(b"GET /api2/json/ver")
            if number % 100 == 0:
                assert other.call("GET", "/nodes")[0] == 200
        assert resident(house) - before < 150 * MIB
        assert open_files(house) - files < CROWD
        assert other.call("GET", "/nodes")[0] == 200
        assert crowd.call("GET", "/nodes")[0] == 200, "others behind the same address are served, too"
    finally:
        for one in opened:
            one.close()
    eventually(lambda: open_files(house) - files < 10)


def parts(house: TestDaemon) -> list[Path]:
    return list((house.data / "storage").rglob(".*.part"))


def test_half_open_uploads(house: TestDaemon, crowd: Caller, other: Caller) -> None:
    """They hold a place each, of which one user has so many; another user's upload is taken; a broken one is gone."""
    before = resident(house)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n--b\r\nContent-Disposition: form-data; '
    )
    form += b'name="filename"; filename="%s.iso"\r\n\r\n'
    path, kind = "/nodes/n1/storage/local/upload", {"Content_Type": "multipart/form-data; boundary=b"}
    with contextlib.ExitStack() as stack:
        for number in range(16):
            half = stack.enter_context(crowd.open())
            crowd.send(half, "POST", path, 10 * MIB, **kind)
            half.sendall(form % b"half%d" % number + b"x" * MIB)
        eventually(lambda: len(parts(house)) == 16)
        whole = form % b"more" + b"x\r\n--b--\r\n"
        status, reply = crowd.call("POST", path, whole, **kind)
        assert (status, reply["error"]["code"]) == (500, "too-many-uploads")
        status, reply = other.call("POST", path, whole, **kind)
        assert status == 200 and house.wait_task(reply["data"])["exitstatus"] == "OK"
        assert resident(house) - before < 100 * MIB
    eventually(lambda: parts(house) == [])


def test_bodies_beyond_all_measure(house: TestDaemon, crowd: Caller) -> None:
    """Refused by what is announced, before anything of it is read."""
    before = resident(house)
    nobody = copy.copy(crowd)
    nobody.headers = {}
    for caller, path, size in [(crowd, "/pools", 10**15), (nobody, "/access/ticket", 100_000)]:
        with caller.open() as secure:
            caller.send(secure, "POST", path, size, Content_Type="application/json")
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            assert answer.status == 501 and b"too large" in answer.read()
    huge = {"size": 10**15, "content": "iso", "filename": "huge.iso"}
    form = "&".join(f"{key}={value}" for key, value in huge.items()).encode()
    status, reply = crowd.call(
        "POST", "/nodes/n1/storage/local/uploads", form, Content_Type="application/x-www-form-urlencoded"
    )
    assert (status, reply["error"]["code"]) == (500, "storage-reserve")
    assert resident(house) - before < 20 * MIB


async def test_followers_that_never_read(house: TestDaemon, crowd: Caller) -> None:
    """A hundred of them, and much happens: nothing is queued for them, and one who reads sees all of it."""
    with contextlib.suppress(Exception):
        house.task("POST", house.qemu, vmid=100, **CPU_STOPPED)
    with contextlib.ExitStack() as stack:
        for number in range(100):
            deaf = stack.enter_context(crowd.open())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
            upgrade |= {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
            crowd.send(deaf, "GET", "/events?watch=*", 0, **(upgrade if number % 2 else {}))
        before = resident(house)
        async with follow(port=house.port, headers=crowd.headers) as reader:
            await reader.ready()
            for turn in range(100):
                await asyncio.to_thread(house.put, f"{house.qemu}/100/config", name=f"turn-{turn}", tags="x" * 100)
            await reader.until_true(lambda: reader.rows["qemu/100"].get("name") == "turn-99")
        assert resident(house) - before < 50 * MIB
    log = house.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") :][:4000]
