"""The terminal console against a real WebSocket server, in a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

BANNER = b"\r\nwelcome \xc3\xa4\r\nlogin: "
GUEST = "/api2/json/nodes/pve1/qemu/100"


class Server:
    """Proxmox's termproxy as a client sees it: echoes what is typed, keeps all that it was sent."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.query: dict[str, str] = {}
        self.offered = ""
        self.big = b""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api2/json/cluster/status", self.status)
        app.router.add_post(f"{GUEST}/termproxy", self.termproxy)
        app.router.add_get(f"{GUEST}/vncwebsocket", self.websocket)
        return app

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"type": "node", "name": "pve1", "local": 1}]})

    async def termproxy(self, request: web.Request) -> web.Response:
        ticket = {"user": "root@pam", "ticket": "PVEVNC:a+b/c==", "port": 5901, "upid": "x"}
        return web.json_response({"data": ticket})

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        self.query = dict(request.query)
        self.offered = request.headers.get("Sec-WebSocket-Protocol", "")
        socket = web.WebSocketResponse(protocols=["binary"])
        await socket.prepare(request)
        login = await socket.receive_bytes()
        assert login == b"root@pam:PVEVNC:a+b/c==\n"
        await socket.send_bytes(b"OK" + BANNER[:5])
        await socket.send_bytes(BANNER[5:])
        await socket.ping(b"are you there")
        async for message in socket:
            if message.type != WSMsgType.BINARY:
                break
            await self.messages.put(message.data)
            if message.data.startswith(b"0:"):
                typed = message.data.split(b":", 2)[2]
                if typed == b"B":
                    await socket.send_bytes(self.big)
                elif typed == b"Q":
                    break
                else:
                    await socket.send_bytes(b"<" + typed + b">")
        return socket


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    (tmp_path / "instance").write_text("default\n")
    (tmp_path / "runtime").write_text(f"{tmp_path}\n")
    told = Server()
    runner = web.AppRunner(told.app())
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "api.sock")).start()
    yield told
    await runner.cleanup()


class Terminal:
    """`tarmac vm console 100` in a pseudo-terminal of its own."""

    def __init__(self, data: Path) -> None:
        self.master, slave = pty.openpty()
        self.resize(120, 40, tell=False)
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.data = data
        self.seen = b""

    async def start(self) -> None:
        words = [sys.executable, "-m", "tarmac.faces.cli.main", "vm", "console", "100", "--data-dir", str(self.data)]
        self.process = await asyncio.create_subprocess_exec(
            *words, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )
        os.set_blocking(self.master, False)
        asyncio.get_running_loop().add_reader(self.master, self._read)

    def _read(self) -> None:
        try:
            self.seen += os.read(self.master, 65536)
        except (BlockingIOError, OSError):
            pass

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(20):
            while text not in self.seen:
                await asyncio.sleep(0.01)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
async def terminal(server: Server, tmp_path: Path) -> AsyncIterator[Terminal]:
    made = Terminal(tmp_path)
    await made.start()
    yield made
    if made.process.returncode is None:
        made.process.kill()
        await made.process.wait()
    made.close()


async def test_keys_output_resize_and_leaving(server: Server, terminal: Terminal) -> None:
    await terminal.until(b"login: ")
    assert b"welcome \xc3\xa4" in terminal.seen
    assert server.query == {"port": "5901", "vncticket": "PVEVNC:a+b/c=="}
    assert server.offered == "binary"
    async with asyncio.timeout(20):
        assert await server.messages.get() == b"1:120:40:"
        terminal.type(b"\x03")  # Ctrl-C belongs to the guest
        assert await server.messages.get() == b"0:1:\x03"
        await terminal.until(b"<\x03>")
        terminal.resize(100, 30)
        assert await server.messages.get() == b"1:100:30:"
        terminal.type(b"exit\x1dnot sent")
        assert await server.messages.get() == b"0:4:exit"
        assert await terminal.process.wait() == 0
    assert server.messages.empty()
    assert termios.tcgetattr(terminal.slave) == terminal.before, "the terminal must be as it was"


async def test_much_output_at_once(server: Server, terminal: Terminal) -> None:
    server.big = b"y" * 200_000 + b"END"
    await terminal.until(b"login: ")
    terminal.type(b"B")
    await terminal.until(b"END")
    assert terminal.seen.count(b"y") == 200_000


async def test_the_end_of_the_console_ends_the_command(server: Server, terminal: Terminal) -> None:
    await terminal.until(b"login: ")
    terminal.type(b"Q")
    async with asyncio.timeout(20):
        assert await terminal.process.wait() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before


async def test_without_a_terminal_input_is_piped(server: Server, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tarmac.faces.cli.main", "vm", "console", "100", "--data-dir", str(tmp_path), "-q"]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate(b"hello")
    assert process.returncode == 0
    assert out == BANNER + b"<hello>"
