"""Downloads: from a server on loopback, which the administrator has to allow by name."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from support.storage_site import Site, site
from tarmac.lib.web import FetchRules, objection
from tarmac.model.errors import Conflict, Denied, InvalidInput, NotBuilt, TarmacError
from tarmac.model.job import JobRecord, JobState

DATA = bytes(range(256)) * 8000
PACKED = {"gz": gzip.compress(DATA), "bz2": bz2.compress(DATA), "cutgz": gzip.compress(DATA)[:-50]}
RULES = FetchRules(allowed=frozenset({"localhost"}), connect=2, stall=0.5, redirects=3)


class Server:
    """What a server can do to its clients."""

    def __init__(self) -> None:
        self.base = ""
        self.seen: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path)
        kind = request.path.strip("/").split("/")[0]
        if kind == "to":
            raise web.HTTPFound(request.query["url"])
        if kind == "loop":
            raise web.HTTPFound("/loop")
        if kind == "missing":
            raise web.HTTPNotFound
        if kind == "file" or kind in PACKED:
            return web.Response(body=PACKED.get(kind, DATA), content_type="application/octet-stream")
        response = web.StreamResponse(headers={"Content-Length": str(len(DATA))})
        if kind == "named":
            response.headers["Content-Disposition"] = 'attachment; filename="real name.iso"'
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await response.write(DATA[:1_000_000])
        if kind == "slow":
            for start in range(1_000_000, len(DATA), 400_000):
                await asyncio.sleep(0.05)
                await response.write(DATA[start : start + 400_000])
        elif kind == "hang":
            await asyncio.sleep(5)
        elif kind == "short":
            assert request.transport is not None
            request.transport.abort()
        return response


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    made.base = f"http://localhost:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site(rules=RULES) as made:
        yield made


async def fetched(local: Site, url: str, **more: Any) -> JobRecord:
    return await local.done(await local.downloads.download("root@pam", "local", "iso", "x.iso", url, **more))


async def test_a_file_comes_in(local: Site, server: Server) -> None:
    digest = hashlib.sha512(DATA).hexdigest()
    record = await fetched(local, f"{server.base}/file", checksum=digest, algorithm="sha512")
    assert record.exitstatus == "OK"
    assert record.result == {"volid": "local:iso/x.iso"}
    assert record.progress == (len(DATA), len(DATA), "bytes")
    assert (local.root / "storage/template/iso/x.iso").read_bytes() == DATA
    with pytest.raises(Conflict, match="^refusing to override existing file 'x.iso'$"):
        await fetched(local, f"{server.base}/file")


async def test_redirects_are_followed_and_a_slow_server_is_waited_for(local: Site, server: Server) -> None:
    record = await fetched(local, f"{server.base}/to?url=/to%3Furl=/slow")
    assert record.exitstatus == "OK"
    assert (local.root / "storage/template/iso/x.iso").read_bytes() == DATA


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/missing", "download-status"),
        ("/loop", "download-redirects"),
        ("/hang", "download-stalled"),
        ("/short", "download-broken"),
        ("/to?url=http://127.0.0.1:1/x", "address-refused"),
        ("/to?url=http://[::1]:1/x", "address-refused"),
        ("/to?url=http://169.254.169.254/latest", "address-refused"),
        ("/to?url=http://0.0.0.0:1/", "address-refused"),
        ("/to?url=http://0x7f.1/", "address-refused"),
        ("/to?url=http://[::ffff:127.0.0.1]/", "address-refused"),
        ("/to?url=http://ip6-localhost.invalid:1/", "download-connection"),
        ("/to?url=file:///etc/passwd", "url"),
        ("/to?url=http://localhost:1/", "download-connection"),
    ],
)
async def test_what_ends_a_download_and_leaves_nothing(local: Site, server: Server, path: str, code: str) -> None:
    record = await fetched(local, server.base + path)
    assert record.state is JobState.FAILED
    assert record.error is not None
    assert record.error["code"] in (code, "invalid-input" if code == "url" else code)
    assert record.error["message"] and record.error["evidence"]
    assert local.files() == []


async def test_a_wrong_checksum(local: Site, server: Server) -> None:
    record = await fetched(local, f"{server.base}/file", checksum="ab", algorithm="md5")
    assert record.error is not None and record.error["code"] == "checksum-mismatch"
    assert local.files() == []


async def test_loopback_is_refused_unless_the_administrator_names_it(server: Server) -> None:
    async with site(rules=FetchRules(connect=2, stall=0.5)) as strict:
        record = await fetched(strict, f"{server.base}/file")
        assert record.error is not None and record.error["code"] == "address-refused"
        assert server.seen == []
        await strict.storages.update("local", {"download-hosts": "localhost"})
        assert (await fetched(strict, f"{server.base}/file")).exitstatus == "OK"


async def test_own_addresses_are_refused(server: Server) -> None:
    async with site(rules=FetchRules(connect=2, stall=0.5), own=lambda: ["192.0.2.7"]) as strict:
        record = await fetched(strict, "http://192.0.2.7:1/x")
        assert record.error is not None
        assert record.error["code"] == "address-refused"
        assert "own" in record.error["cause"]


@pytest.mark.parametrize("kind", ["gz", "bz2"])
async def test_compressed_files(local: Site, server: Server, kind: str) -> None:
    packed = gzip.compress(DATA) if kind == "gz" else bz2.compress(DATA)
    record = await fetched(local, f"{server.base}/{kind}", compression=kind)
    assert record.exitstatus == "OK", record.error
    assert (local.root / "storage/template/iso/x.iso").read_bytes() == DATA
    assert len(packed) < len(DATA)


async def test_a_compressed_file_that_is_cut_off(local: Site, server: Server) -> None:
    record = await fetched(local, f"{server.base}/cutgz", compression="gz")
    assert record.error is not None and record.error["code"] == "download-broken"
    assert local.files() == []


async def test_what_is_refused_at_once(local: Site) -> None:
    for more, wanted in [
        ({"url": "ftp://x/y"}, "url"),
        ({"checksum": "x"}, "checksum"),
        ({"compression": "rar"}, "compression"),
    ]:
        given: dict[str, Any] = {"url": "http://x/y", **more}
        with pytest.raises(InvalidInput) as caught:
            await fetched(local, **given)
        assert wanted in caught.value.parameters
    with pytest.raises(NotBuilt):
        await fetched(local, "http://x/y", compression="zst")


async def test_a_cancelled_download_leaves_nothing(local: Site, server: Server) -> None:
    upid = await local.downloads.download("root@pam", "local", "iso", "x.iso", f"{server.base}/hang")
    assert isinstance(upid, str)
    while not local.files():
        await asyncio.sleep(0.01)
    await local.jobs.cancel(upid)
    assert (await local.done(upid)).state is JobState.CANCELLED
    assert local.files() == []


async def test_metadata(local: Site, server: Server) -> None:
    found = await local.downloads.metadata(f"{server.base}/to?url=/file/debian-12.iso")
    assert found == {"filename": "debian-12.iso", "size": len(DATA), "mimetype": "application/octet-stream"}
    named = await local.downloads.metadata(f"{server.base}/named")
    assert named["filename"] == "real_name.iso"
    with pytest.raises(Denied):
        await local.downloads.metadata("http://127.0.0.1:1/x")
    with pytest.raises(TarmacError):
        await local.downloads.metadata("http://localhost:1/x")


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "127.8.9.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::",
     "255.255.255.255", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "10.1.2.3", "240.0.0.1"],
)  # fmt: skip
def test_addresses_that_are_refused(text: str) -> None:
    assert objection(text, ["10.1.2.3"]) is not None


@pytest.mark.parametrize("text", ["10.1.2.4", "192.168.1.1", "93.184.216.34", "2606:2800:220:1::1"])
def test_addresses_that_are_fine(text: str) -> None:
    assert objection(text, ["10.1.2.3"]) is None
