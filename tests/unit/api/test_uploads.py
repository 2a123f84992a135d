"""Uploads' forms as a stream: fields, file, and every way in which a form can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.api_site import Reply, Site, serve
from tarmac.faces.api.declare import OBJECT, Allow, Call, post
from tarmac.faces.api.multipart import read_upload
from tarmac.model.settings import setting
from tarmac.services.registry import Services


@dataclass(frozen=True, kw_only=True)
class Query:
    checksum: str | None = setting(None, help="c")


@post("/upload", params=Query, allow=Allow.everybody, returns=OBJECT, stream=True, help="Take it.")
async def take(call: Call, p: Query) -> dict[str, Any]:
    form = await read_upload(call.http, {"checksum": p.checksum} if p.checksum else {})
    digest, size = hashlib.sha256(), 0
    async for chunk in form.chunks():
        digest.update(chunk)
        size += len(chunk)
    return {"fields": form.fields, "name": form.filename, "size": size, "sha256": digest.hexdigest()}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    services = Services(node="pve", version="0")
    async with serve(services, (take.__tarmac_endpoint__,), tmp_path) as running:  # type: ignore[attr-defined]
        yield running


def field(name: str, value: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(data: bytes, name: str = "x.iso", key: str = "filename") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{key}"; filename="{name}"\r\n'
    return head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n"


END = b"--b--\r\n"


async def send(site: Site, body: bytes, query: str = "") -> Reply:
    async with site.connect_unix() as c:
        return await c.ask("POST", f"/api2/json/upload{query}", body, Content_Type="multipart/form-data; boundary=b")


async def test_fields_then_file(site: Site) -> None:
    data = bytes(range(256)) * 9000 + b"\r\n--c\r\n"
    reply = await send(site, field("content", "iso") + field("checksum", "77") + file(data) + END)
    assert reply.json["data"] == {
        "fields": {"content": "iso", "checksum": "77"},
        "name": "x.iso",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


async def test_an_empty_file_and_fields_in_the_query(site: Site) -> None:
    reply = await send(site, file(b"") + END, "?checksum=5")
    assert reply.json["data"]["fields"] == {"checksum": "5"}
    assert reply.json["data"]["size"] == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (END, "filename"),
        (field("content", "iso") + END, "filename"),
        (file(b"x", key="other") + END, "filename"),
        (field("content", "iso") + file(b"x" * 1000)[:-20], "form"),
        (b"no form at all", "form"),
        (b"", "form"),
        (field("content", "x" * 5000) + file(b"x") + END, "content"),
        (b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\n\xff\r\n' + file(b"x") + END, "content"),
        (b"".join(field(f"f{i}", "x") for i in range(20)) + file(b"x") + END, "form"),
        (b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n" + END, "form"),
        (b"--b\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n" + END, "form"),
    ],
)
async def test_broken_forms_are_refused(site: Site, body: bytes, says: str) -> None:
    reply = await send(site, body)
    assert reply.status == 400
    assert says in reply.json["message"] or says in reply.json.get("errors", {})


@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/form-data", "multipart/form-data; boundary="])
async def test_other_content_types_are_refused(site: Site, kind: str) -> None:
    async with site.connect_unix() as c:
        reply = await c.ask("POST", "/api2/json/upload", b"x" * 10, Content_Type=kind)
        assert reply.status == 400


async def test_every_cut_of_a_form_is_refused(site: Site) -> None:
    whole = field("content", "iso") + file(b"some data") + END
    for cut in range(0, len(whole) - len(END), 7):
        reply = await send(site, whole[:cut])
        assert reply.status == 400, cut


async def test_a_client_that_goes_away_leaves_the_server_well(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.connect_unix() as c:
        head = b"POST /api2/json/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        await c.send(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + file(b"x" * 1000))
    assert (await send(site, file(b"x") + END)).status == 200
    assert "bug" not in caplog.text
