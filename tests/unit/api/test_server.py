"""The wire: reason phrases, limits, keep-alive, TLS, redirects, the unix socket. Raw sockets, real TLS."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.api_site import Site, serve
from tarmac.drivers.store.memory import MemoryStore
from tarmac.faces.api.declare import (
    LIST,
    OBJECT,
    TEXT,
    Allow,
    Call,
    Encoded,
    NoParams,
    Paged,
    collect,
    get,
    post,
    put,
)
from tarmac.faces.api.endpoints.cluster import cluster
from tarmac.lib.signing import Signer
from tarmac.model.errors import Fix, HostFailure, NotFound
from tarmac.model.settings import setting
from tarmac.model.users import User
from tarmac.services.access.access import Access
from tarmac.services.access.directory import Directory
from tarmac.services.access.tickets import Tickets
from tarmac.services.access.tokens import Tokens
from tarmac.services.registry import Services

JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, kw_only=True)
class Echo:
    text: str = setting("", help="t")
    password: str | None = setting(None, secret=True, help="p")


@get("/fail", params=Echo, allow=Allow.everybody, help="Fail with the text.")
async def fail(call: Call, p: Echo) -> None:
    raise NotFound(p.text, cause="asked to", evidence="it was", fixes=[Fix(text="do not", action="GET /ok")])


@get("/bug", allow=Allow.everybody, help="A bug.")
async def bug(call: Call, p: NoParams) -> None:
    raise ZeroDivisionError("the secret of the house")


@get("/ok", allow=Allow.everybody, returns=OBJECT, help="Fine.")
async def ok(call: Call, p: NoParams) -> dict[str, Any]:
    return {"yes": True}


@get("/empty", allow=Allow.everybody, returns=LIST, help="An empty list.")
async def empty(call: Call, p: NoParams) -> None:
    return None


@get("/paged", allow=Allow.everybody, returns=LIST, help="A page.")
async def paged(call: Call, p: NoParams) -> Paged:
    return Paged([1, 2], 17)


@get("/encoded", allow=Allow.everybody, returns=LIST, help="JSON already.")
async def encoded(call: Call, p: NoParams) -> Encoded:
    return Encoded([b'[{"a"', b":1}]"])


@get("/big", allow=Allow.everybody, returns=TEXT, help="Much.")
async def big(call: Call, p: NoParams) -> str:
    return "x" * 200_000


@post("/echo", params=Echo, allow=Allow.login, returns=TEXT, help="Echo.")
async def echo(call: Call, p: Echo) -> str:
    return f"{call.user}:{p.text}"


@put("/host", allow=Allow("/", "Sys.Modify"), help="A failing change.")
async def host(call: Call, p: NoParams) -> None:
    raise HostFailure("the host said no")


@post("/people", allow=Allow.login, tokens=False, help="Not for tokens.")
async def people(call: Call, p: NoParams) -> None: ...


HANDLERS = (fail, bug, ok, empty, paged, encoded, big, echo, host, people)
TABLE = tuple(f.__tarmac_endpoint__ for f in HANDLERS)  # type: ignore[attr-defined]


@dataclass(slots=True)
class Logins:
    """What a client may present: `{ticket}`, `{quoted}`, `{csrf}` and `{token}` in a test's headers."""

    ticket: str
    csrf: str
    token: str

    def fill(self, text: str) -> str:
        quoted = quote(self.ticket, safe="")
        return text.format(ticket=self.ticket, quoted=quoted, csrf=self.csrf, token=self.token)


async def make_services(tmp_path: Path) -> Services:
    """Who may log in and what they may do, as in the daemon; `joe@pve` has no rights and a token `t`."""
    directory = Directory(MemoryStore())
    await directory.load()
    await directory.commit({("user", "joe@pve"): User(userid="joe@pve")}, by="root@pam", what="test")
    signer = Signer(tmp_path / "keys")
    await signer.load()
    return Services(
        node="pve",
        version="0",
        access=Access(directory),
        tickets=Tickets(directory, signer),
        tokens=Tokens(directory),
    )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serve(await make_services(tmp_path), TABLE, tmp_path) as running:
        yield running


@pytest.fixture
async def logins(site: Site) -> Logins:
    services = site.api.services
    made = await services.tokens.create("joe@pve", "api", by="root@pam")
    return Logins(
        ticket=await services.tickets.issue("joe@pve"),
        csrf=services.tickets.csrf("joe@pve"),
        token=f"{made['full-tokenid']}={made['value']}",
    )


async def test_an_errors_first_line_is_the_reason_phrase(site: Site) -> None:
    async with site.connect() as c:
        reply = await c.ask("GET", "/api2/json/fail?text=Configuration+file+'x'+does+not+exist%0D%0AEvil:+1")
        assert (reply.status, reply.reason) == (500, "Configuration file 'x' does not exist")
        assert "evil" not in reply.headers
        assert reply.headers["content-type"] == JSON
        assert reply.json["message"] == "Configuration file 'x' does not exist\r\nEvil: 1\n"
        assert reply.json["error"]["fixes"][0]["action"] == "GET /ok"
        assert await c.ended()


async def test_a_bug_gives_an_id_and_no_traceback(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        async with site.connect() as c:
            reply = await c.ask("GET", "/api2/json/bug")
    assert reply.status == 500
    assert b"secret of the house" not in reply.body
    number = reply.json["error"]["message"].rpartition(" ")[2]
    assert number in reply.reason
    assert [r for r in caplog.records if getattr(r, "bug", None) == number and r.exc_info]


async def test_keep_alive_and_pipelining(site: Site) -> None:
    async with site.connect() as c:
        one = b"GET /api2/json/ok HTTP/1.1\r\nHost: x\r\n\r\n"
        await c.send(one * 3)
        for _ in range(3):
            assert (await c.reply()).json == {"data": {"yes": 1}}
        assert (await c.ask("GET", "/api2/json/ok/")).status == 200


async def test_forms_of_data(site: Site) -> None:
    async with site.connect() as c:
        assert (await c.ask("GET", "/api2/json/empty")).body == b'{"data":[]}'
        assert (await c.ask("GET", "/api2/json/paged")).json == {"data": [1, 2], "total": 17}
        assert (await c.ask("GET", "/api2/json/encoded")).json == {"data": [{"a": 1}]}
        assert (await c.ask("GET", "/api2/extjs/ok")).json == {"data": {"yes": 1}, "success": 1}
        reply = await c.ask("GET", "/api2/extjs/fail?text=gone")
        assert (reply.status, reply.json["success"], reply.json["message"]) == (200, 0, "gone\n")


async def test_large_replies_are_compressed_when_asked(site: Site) -> None:
    async with site.connect() as c:
        reply = await c.ask("GET", "/api2/json/big", Accept_Encoding="gzip, deflate")
        assert reply.headers["content-encoding"] == "gzip"
        assert len(gzip.decompress(reply.body)) > 200_000
        assert "content-encoding" not in (await c.ask("GET", "/api2/json/big")).headers
        assert "content-encoding" not in (await c.ask("GET", "/api2/json/ok", Accept_Encoding="gzip")).headers


@pytest.mark.parametrize(
    ("head", "body", "status", "says"),
    [
        ("POST /api2/json/echo HTTP/1.1\r\nTransfer-Encoding: chunked", b"5\r\ntext=\r\n0\r\n\r\n", 501, "chunked"),
        ("POST /api2/json/echo HTTP/1.1\r\nContent-Length: 600000", b"", 501, "too large"),
        ("DELETE /api2/json/ok HTTP/1.1\r\nContent-Length: 1", b"x", 501, "not implemented"),
        ("GET /api2/json/ok HTTP/1.1\r\nContent-Length: 1", b"x", 501, "Unexpected content"),
        ("PATCH /api2/json/ok HTTP/1.1", b"", 501, "not implemented"),
        ("GET /api2/json/nowhere HTTP/1.1", b"", 501, "Method 'GET /nowhere' not implemented"),
        ("GET /api2/json/ok?bogus=1 HTTP/1.1", b"", 400, "Parameter verification failed."),
        ("GET /api2/json/%ff HTTP/1.1", b"", 400, "UTF-8"),
        ("GET /elsewhere HTTP/1.1", b"", 404, "no such file"),
        ("GET /api2/jsonx HTTP/1.1", b"", 404, "no such file"),
        ("G(T /api2/json/ok HTTP/1.1", b"", 400, "bad request"),
        ("\x01\x02\x03", b"", 400, "bad request"),
        ("GET /api2/json/ok HTTP/1.1\r\n" + "\r\n".join(f"X{i}: y" for i in range(70)), b"", 400, ""),
        ("GET /api2/json/ok HTTP/1.1\r\n" + "\r\n".join(f"X{i}: {'y' * 2000}" for i in range(5)), b"", 400, "header"),
        (f"GET /api2/json/ok HTTP/1.1\r\nX: {'y' * 9000}", b"", 400, ""),
        (f"GET /api2/json/{'y' * 9000} HTTP/1.1", b"", 400, ""),
    ],
)
async def test_what_is_refused(site: Site, logins: Logins, head: str, body: bytes, status: int, says: str) -> None:
    async with site.connect() as c:
        text = f"{head}\r\nHost: x\r\nAuthorization: PVEAPIToken={logins.token}\r\n\r\n"
        await c.send(text.encode("latin-1") + body)
        reply = await c.reply()
        assert reply.status == status
        assert says in reply.reason
        assert reply.json["data"] is None
        assert await c.ended()


async def test_unknown_paths_are_admitted_only_to_who_is_logged_in(site: Site) -> None:
    async with site.connect() as c:
        reply = await c.ask("GET", "/api2/json/nowhere")
        assert (reply.status, reply.reason, reply.body) == (401, "No ticket", b"")


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
    async with serve(services, TABLE, tmp_path, delay=0.3) as site, site.connect() as one, site.connect() as two:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as group:
            refused = group.create_task(one.ask("POST", "/api2/json/echo"))
            assert (await two.ask("GET", "/api2/json/ok")).status == 200
            assert loop.time() - begun < 0.25
        assert refused.result().status == 401
        assert loop.time() - begun >= 0.3


async def test_rights_are_checked(site: Site, logins: Logins) -> None:
    async with site.connect() as c:
        reply = await c.ask("PUT", "/api2/json/host", Authorization=f"PVEAPIToken={logins.token}")
        assert (reply.status, reply.reason) == (403, "Permission check failed (/, Sys.Modify)")


async def test_dryrun_answers_a_plan_and_does_nothing(site: Site) -> None:
    assert (await site.ask("PUT", "/host")).status == 500
    reply = await site.ask("PUT", "/host", b"dryrun=1")
    assert reply.json["data"]["steps"] == [{"step": "PUT /host", "title": "A failing change"}]


async def test_changes_are_logged_without_secrets(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await site.ask("POST", "/echo", b"text=hi&password=very-hidden")
        await site.ask("GET", "/ok")
    lines = [r for r in caplog.records if r.message == "request"]
    assert [(r.path, r.status, r.user) for r in lines] == [("/api2/json/echo", 200, "root@pam")]  # type: ignore[attr-defined]
    assert lines[0].parameters == {"text": "hi", "password": "**********"}  # type: ignore[attr-defined]
    assert "very-hidden" not in caplog.text


async def test_a_client_that_waits_to_send_is_invited(site: Site) -> None:
    async with site.connect_unix() as c:
        await c.send(b"POST /api2/json/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n")
        assert await c.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await c.send(b"text=a")
        assert (await c.reply()).json == {"data": "root@pam:a"}


async def test_tls_versions_and_alpn(site: Site) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(site.pki.certificate))
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with site.connect(tls=context) as c:
            assert c.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            assert (await c.ask("GET", "/api2/json/ok")).status == 200


async def test_old_tls_is_refused(site: Site) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.options &= ~ssl.OP_NO_TLSv1_1
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with site.connect(tls=context):
            pass


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)])
async def test_plain_http_is_sent_to_https(site: Site, method: str, status: int) -> None:
    async with site.connect(tls=None) as c:
        reply = await c.ask(method, "/api2/json/ok?x=1")
        assert reply.status == status
        assert reply.headers["location"] == "https://localhost/api2/json/ok?x=1"


async def test_a_foreign_host_header_is_not_repeated(site: Site) -> None:
    async with site.connect(tls=None) as c:
        await c.send(b"GET /x HTTP/1.1\r\nHost: a/b<script>\r\n\r\n")
        assert (await c.reply()).headers["location"] == f"https://127.0.0.1:{site.port}/x"


async def test_the_start_page_is_there(site: Site) -> None:
    async with site.connect() as c:
        reply = await c.ask("GET", "/")
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert reply.headers["x-content-type-options"] == "nosniff"


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


async def test_silent_and_broken_connections_hurt_nobody(site: Site) -> None:
    async with site.connect(tls=None) as silent, site.connect(tls=None) as broken:
        await broken.send(b"\x16\x03\x01 this is no handshake")
        assert await broken.ended()
        await silent.send(b"G")
        assert (await site.ask("GET", "/ok")).status == 200


async def test_closing_ends_idle_connections_quickly(tmp_path: Path) -> None:
    services = await make_services(tmp_path)
    loop = asyncio.get_running_loop()
    async with serve(services, TABLE, tmp_path) as site, site.connect() as idle:
        await idle.ask("GET", "/api2/json/ok")
        begun = loop.time()
    assert loop.time() - begun < 3
    assert not site.unix.exists()


def test_endpoint_modules_declare_something() -> None:
    assert collect(cluster)
