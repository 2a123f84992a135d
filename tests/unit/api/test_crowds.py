"""Slow, silent and many clients: each is ended by a limit, and others are served. Real sockets; short limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.api_site import Connection, Site, serve
from tarmac.faces.api import body, protocol, server
from tarmac.faces.api.crowd import Crowd, source_of
from tarmac.faces.api.declare import OBJECT, TEXT, Allow, Call, NoParams, get, post
from tarmac.services.registry import Services

BIG = 32 << 20


@get("/ok", allow=Allow.everybody, returns=OBJECT, help="Fine.")
async def ok(call: Call, p: NoParams) -> dict[str, int]:
    return {"yes": 1}


@get("/big", allow=Allow.everybody, returns=TEXT, help="More than the kernel takes for a reader that is away.")
async def big(call: Call, p: NoParams) -> str:
    return "x" * BIG


@post("/public", allow=Allow.everybody, returns=TEXT, help="A public change.")
async def public(call: Call, p: NoParams) -> str:
    return "done"


TABLE = tuple(f.__tarmac_endpoint__ for f in (ok, big, public))  # type: ignore[attr-defined]
ASK = b"GET /api2/json/ok HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(protocol, "MAX_OF_ONE_SOURCE", 8)
    monkeypatch.setattr(server, "MAX_OPENING_OF_ONE", 8)
    async with serve(Services(node="pve", version="0"), TABLE, tmp_path) as running:
        yield running


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads must come at once. Only for those that do not come: a busy machine is slow itself."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)


async def served(site: Site) -> None:
    async with asyncio.timeout(10), site.connect() as c:
        assert (await c.ask("GET", "/api2/json/ok")).status == 200


async def ended(c: Connection) -> bool:
    async with asyncio.timeout(10):
        return await c.ended()


@pytest.mark.parametrize("head", [b"", b"G", b"GET /api2/json/ok HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_end(site: Site, hasty: None, head: bytes) -> None:
    async with site.connect() as slow:
        await slow.send(head)
        assert await ended(slow)


async def test_a_head_that_drips(site: Site, hasty: None) -> None:
    """Each byte in time, the whole not."""
    async with site.connect() as slow:
        with contextlib.suppress(ConnectionError):
            for byte in ASK[:-2] * 20:
                await slow.send(bytes([byte]))
                await asyncio.sleep(0.01)
        assert await ended(slow)


async def test_a_second_head_that_does_not_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.connect() as slow:
        assert (await slow.ask("GET", "/api2/json/ok")).status == 200
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
        await slow.send(b"GET /api2/")
        assert await ended(slow)


async def test_who_is_idle_between_requests_may_stay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.connect() as calm:
        assert (await calm.ask("GET", "/api2/json/ok")).status == 200
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
        await asyncio.sleep(0.5)
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 20)
        assert (await calm.ask("GET", "/api2/json/ok")).status == 200


async def test_a_body_that_does_not_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.3)
    async with site.connect() as slow:
        await slow.send(b"POST /api2/json/public HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx=")
        reply = await slow.reply()
        assert (reply.status, reply.json["error"]["code"]) == (400, "body-late")
        assert await ended(slow)


async def test_a_body_of_somebody_unknown_is_small(site: Site) -> None:
    async with site.connect() as c:
        await c.send(b"POST /api2/json/public HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n")
        reply = await c.reply()
        assert (reply.status, reply.json["error"]["code"]) == (501, "body-too-large")


async def test_who_does_not_read_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.3)
    async with site.connect() as slow:
        await slow.send(ASK.replace(b"/ok", b"/big"))
        await served(site)
        await asyncio.sleep(1.5)
        with contextlib.suppress(ConnectionError):
            got = 0
            async with asyncio.timeout(10):
                while piece := await slow.reader.read(1 << 20):
                    got += len(piece)
            assert got < BIG


async def test_who_reads_slowly_gets_all_of_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 1.0)
    async with site.connect() as slow:
        await slow.send(ASK.replace(b"/ok", b"/big"))
        got, begun = 0, asyncio.get_running_loop().time()
        while got < BIG:
            piece = await slow.reader.read(1 << 20)
            assert piece, f"cut off after {got}"
            got += len(piece)
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - begun > 1.0, "longer than one may wait who reads nothing"


async def test_at_the_limit_the_oldest_that_is_idle_goes(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(site.connect()) for _ in range(8)]
        for one in crowd:
            assert (await one.ask("GET", "/api2/json/ok")).status == 200
        await served(site)
        assert await ended(crowd[0])
        assert (await crowd[7].ask("GET", "/api2/json/ok")).status == 200


async def test_a_crowd_that_says_nothing_keeps_nobody_out(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(40):
            await stack.enter_async_context(site.connect(tls=None))
        await served(site)


def test_a_crowd_counts_sources_apart() -> None:
    gone: list[str] = []

    def evict(one: str) -> bool:
        if one.startswith("idle"):
            gone.append(one)
            return True
        return False

    crowd: Crowd[str] = Crowd(most=4, most_of_one=2, evict=evict)
    assert crowd.enter("busy-1", "a") and crowd.enter("busy-2", "a")
    assert not crowd.enter("busy-3", "a")
    assert crowd.enter("idle-1", "b") and crowd.enter("idle-2", "b") and gone == []
    assert crowd.enter("idle-3", "b") and gone == ["idle-1"]
    crowd.leave("busy-1")
    assert crowd.enter("idle-4", "c") and len(crowd) == 4
    assert crowd.enter("new", "d") and gone == ["idle-1", "idle-2"]
    crowd.leave("nobody")
    for one in ("busy-2", "idle-3", "idle-4", "new"):
        crowd.leave(one)
    assert len(crowd) == 0


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("what", "what"),
    ],
)
def test_a_source_is_an_address_or_a_network(address: str, source: str) -> None:
    assert source_of(address) == source
