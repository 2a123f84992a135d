"""Who asks: tickets, tokens, the local root; what is refused to them, and how. Raw sockets, real TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.api_echo import TABLE, Logins, make_logins, make_services
from support.api_site import Site, serve


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serve(await make_services(tmp_path), TABLE, tmp_path) as running:
        yield running


@pytest.fixture
async def logins(site: Site) -> Logins:
    return await make_logins(site)


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "No ticket"),
        ({"Cookie": "PVEAuthCookie={ticket}", "CSRFPreventionToken": "{csrf}"}, 200, "OK"),
        ({"Cookie": "PVEAuthCookie={quoted}", "CSRFPreventionToken": "{csrf}"}, 200, "OK"),
        ({"Cookie": "a=b; PVEAuthCookie={ticket}; c=d", "CSRFPreventionToken": "{csrf}"}, 200, "OK"),
        ({"Authorization": "PVEAuthCookie={ticket}", "CSRFPreventionToken": "{csrf}"}, 200, "OK"),
        ({"Cookie": "PVEAuthCookie={ticket}"}, 401, "Permission denied - invalid csrf"),
        (
            {"Cookie": "PVEAuthCookie={ticket}", "CSRFPreventionToken": "x"},
            401,
            "Permission denied - invalid csrf token",
        ),
        ({"Cookie": "PVEAuthCookie=old"}, 401, "permission denied - invalid PVE ticket"),
        ({"Cookie": "PVEAuthCookie=old", "Authorization": "PVEAPIToken={token}"}, 401, "permission denied - invalid"),
        ({"Authorization": "PVEAPIToken={token}"}, 200, "OK"),
        ({"Authorization": "PVEAPIToken {token}"}, 200, "OK"),
        ({"Authorization": "PVEAPIToken={token}0"}, 401, "Authentication failed!"),
        ({"Authorization": "Basic xyz"}, 401, "No ticket"),
    ],
)
async def test_who_asks(site: Site, logins: Logins, headers: dict[str, str], status: int, reason: str) -> None:
    async with site.connect() as c:
        filled = {name: logins.fill(value) for name, value in headers.items()}
        reply = await c.ask("POST", "/api2/json/echo", b"text=hi", **filled)
        assert reply.status == status
        assert reply.reason.startswith(reason)
        assert reply.json == {"data": "joe@pve:hi"} if status == 200 else reply.body == b""


async def test_tokens_are_refused_where_only_a_login_will_do(site: Site, logins: Logins) -> None:
    async with site.connect() as c:
        reply = await c.ask("POST", "/api2/json/people", Authorization=f"PVEAPIToken={logins.token}")
        assert reply.status == 403


async def test_refused_logins_wait_and_hold_nobody_else(tmp_path: Path) -> None:
    services = await make_services(tmp_path)
    loop = asyncio.get_running_loop()
    async with serve(services, TABLE, tmp_path, delay=0.3) as site, site.connect() as one:
        begun = loop.time()
        assert (await one.ask("POST", "/api2/json/echo")).status == 401
        assert loop.time() - begun >= 0.3
    async with serve(services, TABLE, tmp_path, delay=60) as site, site.connect() as one, site.connect() as two:
        await one.send(b"POST /api2/json/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await two.ask("GET", "/api2/json/ok")).status == 200
        assert not one.reader._buffer, "it has not been answered yet"  # type: ignore[attr-defined]


async def test_rights_are_checked(site: Site, logins: Logins) -> None:
    async with site.connect() as c:
        reply = await c.ask("PUT", "/api2/json/host", Authorization=f"PVEAPIToken={logins.token}")
        assert (reply.status, reply.reason) == (403, "Permission check failed (/, Sys.Modify)")


async def test_local_root_needs_no_ticket(site: Site) -> None:
    assert (site.unix.stat().st_mode & 0o777) == 0o600
    assert (await site.ask("POST", "/echo", b"text=x")).json == {"data": "root@pam:x"}


async def test_another_local_user_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from tarmac.faces.api import auth

    monkeypatch.setattr(auth, "_PEERCRED", _Foreign)
    reply = await site.ask("POST", "/echo", b"text=x")
    assert reply.status == 403


class _Foreign:
    size = 12

    @staticmethod
    def unpack(raw: bytes) -> tuple[int, int, int]:
        return 1, 100_123, 100_123
