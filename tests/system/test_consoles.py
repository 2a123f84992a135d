"""Consoles of a real guest: terminal, VNC, screen, keyboard; who may open them, and when they end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from support.daemon import ApiError, TestDaemon
from tarmac.services.access.access import Identity
from tarmac.services.running.console_sessions import ConsoleSession, ConsoleSessions

VMID = 300


@pytest.fixture(scope="module")
def guest(daemon: TestDaemon, tiny: str) -> Iterator[str]:
    """A running guest with a screen and a serial port; its path below `/nodes/{node}/qemu`."""
    daemon.create(VMID, tiny, vga="std", serial0="socket")
    daemon.task("POST", f"{daemon.qemu}/{VMID}/status/start")
    daemon.wait_agent(VMID)
    yield f"{daemon.qemu}/{VMID}"


@pytest.fixture(scope="module")
def token(daemon: TestDaemon) -> str:
    made = daemon.post("/access/users/root@pam/token/console", privsep=0)
    return f"PVEAPIToken={made['full-tokenid']}={made['value']}"


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Client:
    """A client with an API token over TLS."""

    def __init__(self, daemon: TestDaemon, session: aiohttp.ClientSession) -> None:
        self._base = f"https://127.0.0.1:{daemon.port}/api2/json"
        self._session = session

    async def post(self, path: str, **params: Any) -> dict[str, Any]:
        async with self._session.post(self._base + path, data=params, ssl=_tls()) as reply:
            assert reply.status == 200, (reply.reason, await reply.text())
            return dict((await reply.json())["data"])

    @contextlib.asynccontextmanager
    async def open(
        self, path: str, offer: dict[str, Any], **headers: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        query = f"port={offer['port']}&vncticket={quote(offer['ticket'], safe='')}"
        url = f"{self._base}{path}/vncwebsocket?{query}"
        async with self._session.ws_connect(url, ssl=_tls(), protocols=("binary",), headers=headers) as socket:
            yield socket


@pytest.fixture
async def client(daemon: TestDaemon, token: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(headers={"Authorization": token}) as session:
        yield Client(daemon, session)


async def say_hello(socket: aiohttp.ClientWebSocketResponse, offer: dict[str, Any]) -> None:
    await socket.send_str(f"{offer['user']}:{offer['ticket']}\n")
    assert await socket.receive_bytes(timeout=10) == b"OK"


async def read_until(socket: aiohttp.ClientWebSocketResponse, text: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(30):
        while text not in seen:
            seen += await socket.receive_bytes()
    return seen


async def test_the_terminal(client: Client, guest: str) -> None:
    offer = await client.post(f"{guest}/termproxy")
    assert offer["user"] == "root@pam!console" and 5900 <= offer["port"] <= 5999
    async with client.open(guest, offer) as socket:
        assert socket.protocol == "binary"
        await say_hello(socket, offer)
        # Size, alive and keys, cut so that the pieces fit nothing.
        stream = b"1:80:24:2" + typed(b"\necho con$((40+2))") + b"2" + typed(b"so\n") + b"1:100:30:"
        for start in range(0, len(stream), 5):
            await socket.send_bytes(stream[start : start + 5])
        await read_until(socket, b"con42so")


def typed(keys: bytes) -> bytes:
    return b"0:%d:%s" % (len(keys), keys)


async def test_two_watch_one_port(client: Client, guest: str) -> None:
    one, two = await client.post(f"{guest}/termproxy"), await client.post(f"{guest}/termproxy", serial="serial0")
    assert one["port"] != two["port"]
    async with client.open(guest, one) as first, client.open(guest, two) as second:
        await say_hello(first, one)
        await say_hello(second, two)
        await first.send_bytes(typed(b"\necho bo$((10+1))th\n"))
        await read_until(first, b"bo11th")
        await read_until(second, b"bo11th")


async def test_vnc_with_the_tickets_first_characters(client: Client, guest: str) -> None:
    offer = await client.post(f"{guest}/vncproxy", websocket=1, **{"generate-password": 1})
    assert offer["ticket"].startswith(f"{offer['password']}:PVEVNC:") and len(offer["password"]) == 8
    assert "BEGIN CERTIFICATE" in offer["cert"]
    async with client.open(guest, offer) as socket:
        assert (await socket.receive_bytes(timeout=10)).startswith(b"RFB 003.008")
        await socket.send_bytes(b"RFB 003.008\n")
        types = await socket.receive_bytes(timeout=10)
        assert types == b"\x01\x02"  # one kind of security: VNC's password
        await socket.send_bytes(b"\x02")
        challenge = await socket.receive_bytes(timeout=10)
        await socket.send_bytes(answer(challenge, offer["password"]))
        assert await socket.receive_bytes(timeout=10) == b"\0\0\0\0"


def answer(challenge: bytes, password: str) -> bytes:
    """VNC authentication: DES with the password's bits reversed in each byte."""
    import warnings

    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

        key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(8, b"\0"))
        encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
    return encryptor.update(challenge) + encryptor.finalize()


async def test_tickets_open_once_and_only_their_own_console(client: Client, daemon: TestDaemon, guest: str) -> None:
    offer = await client.post(f"{guest}/termproxy")
    for wrong in ({"port": 5999}, {"ticket": offer["ticket"][:-3] + "AA="}, {"ticket": "x"}):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with client.open(guest, {**offer, **wrong}):
                pass
    async with client.open(guest, offer) as socket:
        await say_hello(socket, offer)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with client.open(guest, offer):
                pass
        assert refused.value.status == 500


async def test_other_pages_may_not_open_a_console(client: Client, daemon: TestDaemon, guest: str) -> None:
    offer = await client.post(f"{guest}/termproxy")
    for origin in ("https://evil.example", f"http://127.0.0.1:{daemon.port}", "null"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with client.open(guest, offer, Origin=origin):
                pass
        assert refused.value.status == 403
    async with client.open(guest, offer, Origin=f"https://127.0.0.1:{daemon.port}") as socket:
        await say_hello(socket, offer)


async def test_a_wrong_greeting_ends_it(client: Client, guest: str) -> None:
    offer = await client.post(f"{guest}/termproxy")
    async with client.open(guest, offer) as socket:
        await socket.send_str("root@pam:wrong\n")
        assert (await socket.receive(timeout=10)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_cancelling_the_task_ends_the_console(client: Client, daemon: TestDaemon, guest: str) -> None:
    offer = await client.post(f"{guest}/termproxy")
    async with client.open(guest, offer) as socket:
        await say_hello(socket, offer)
        status = await asyncio.to_thread(daemon.get, f"/nodes/{daemon.node}/tasks/{offer['upid']}/status")
        assert (status["type"], status["status"]) == ("vncproxy", "running")
        await asyncio.to_thread(daemon.delete, f"/nodes/{daemon.node}/tasks/{offer['upid']}")
        await until_closed(socket)


async def test_a_console_ends_with_the_right_to_it(daemon: TestDaemon, guest: str) -> None:
    def prepare() -> str:
        daemon.post("/access/users", userid="joe@pve")
        grant(daemon)
        made = daemon.post("/access/users/joe@pve/token/api", privsep=0)
        return f"PVEAPIToken={made['full-tokenid']}={made['value']}"

    header = await asyncio.to_thread(prepare)
    async with aiohttp.ClientSession(headers={"Authorization": header}) as session:
        client = Client(daemon, session)
        offer = await client.post(f"{guest}/termproxy")
        async with client.open(guest, offer) as socket:
            await say_hello(socket, offer)
            await asyncio.to_thread(grant, daemon, delete=1)
            await until_closed(socket)


async def test_a_console_ends_with_the_login_that_opened_it() -> None:
    """At the service: two hours are too long to wait for here."""

    class Active:
        def is_active(self, identity: Identity) -> bool:
            return True

        def allowed(self, *args: object) -> bool:
            return True

    sessions = ConsoleSessions.__new__(ConsoleSessions)
    sessions._tickets = sessions._access = Active()  # type: ignore[assignment]
    session = ConsoleSession(kind="term", vmid=1, port=5900, identity=Identity("a@pve"), ticket="")
    assert sessions.still_allowed(session)
    session.until = time.time() - 1
    assert not sessions.still_allowed(session)


def grant(daemon: TestDaemon, delete: int = 0) -> None:
    # `path` is a parameter of the call itself, too.
    daemon.put(f"/access/acl?path=/vms/{VMID}", users="joe@pve", roles="PVEVMUser", delete=delete)


async def until_closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    async with asyncio.timeout(15):
        while (await socket.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
    assert socket.closed


def test_keys_and_the_screen(daemon: TestDaemon, guest: str) -> None:
    daemon.put(f"{guest}/sendkey", key="ctrl-alt-f1")
    with pytest.raises(ApiError) as refused:
        daemon.put(f"{guest}/sendkey", key="no_such_key")
    assert "key" in refused.value.errors
    import http.client

    from support.daemon import BASE, _UnixConnection
    from tarmac.lib import places

    connection = _UnixConnection(str(places.api_socket(daemon.data)), 30)
    try:
        connection.request("GET", f"{BASE}{guest}/screenshot")
        reply: http.client.HTTPResponse = connection.getresponse()
        assert (reply.status, reply.getheader("Content-Type")) == (200, "image/png")
        assert reply.read(8) == b"\x89PNG\r\n\x1a\n"
    finally:
        connection.close()


def test_a_stopped_guest_has_no_console(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(301, tiny)
    for path in ("termproxy", "vncproxy"):
        with pytest.raises(ApiError) as refused:
            daemon.post(f"{daemon.qemu}/301/{path}")
        assert refused.value.reason == "VM 301 not running"
    with pytest.raises(ApiError):
        daemon.put(f"{daemon.qemu}/301/sendkey", key="a")
