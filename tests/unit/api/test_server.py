"""The wire: reason phrases, limits, keep-alive, TLS, redirects, the unix socket. Raw sockets, real TLS."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.api_echo import TABLE, Logins, make_logins, make_services
from support.api_site import Site, serve
from tarmac.faces.api import server
from tarmac.faces.api.declare import collect
from tarmac.faces.api.endpoints.cluster import cluster

JSON = "application/json;charset=UTF-8"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serve(await make_services(tmp_path), TABLE, tmp_path) as running:
        yield running


@pytest.fixture
async def logins(site: Site) -> Logins:
    return await make_logins(site)


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


async def test_silent_and_broken_connections_hurt_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.3)
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
