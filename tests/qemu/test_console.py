"""Serial ports for many: real QEMU with its own serial sockets, and a guest program that talks on one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tarmac.drivers.qemu import console
from tarmac.drivers.qemu.console import BACKLOG_BYTES, RING_BYTES, SerialHub, open_stream

from .conftest import Start


async def until(port: console.Port, text: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(10):
        while text not in seen:
            data = await port.read()
            assert data, f"ended after {seen[-200:]!r}"
            seen += data
    return seen


class Line:
    """The guest's side of a serial line: a unix server that takes one client at a time, as QEMU's chardev does."""

    def __init__(self) -> None:
        self.writer: asyncio.StreamWriter | None = None
        self.heard = bytearray()
        self.connected = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.connections += 1
        self.connected.set()
        try:
            while data := await reader.read(4096):
                self.heard += data
        except ConnectionError:
            pass
        writer.close()

    async def say(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)
        await self.writer.drain()

    def hang_up(self) -> None:
        assert self.writer is not None
        self.connected.clear()
        self.writer.transport.abort()


@asynccontextmanager
async def line(path: Path) -> AsyncIterator[tuple[Line, SerialHub]]:
    far = Line()
    hub = SerialHub(path)  # before anybody listens: it must try again
    server = await asyncio.start_unix_server(far.serve, path)
    try:
        await far.connected.wait()
        yield far, hub
    finally:
        hub.close()
        server.close()
        await server.wait_closed()


async def test_everybody_hears_and_late_joiners_catch_up(tmp_path: Path) -> None:
    async with line(tmp_path / "s") as (far, hub):
        async with hub.attach() as one, hub.attach() as two:
            await far.say(b"hello")
            assert await until(one, b"hello") == b"hello"
            assert await until(two, b"hello") == b"hello"
            async with hub.attach() as late:
                assert await late.read() == b"hello"
            async with hub.attach(replay=0) as fresh:
                await far.say(b" more")
                assert await until(fresh, b"more") == b" more"
            await one.write(b"from one")
            await two.write(b" from two")
            while far.heard != b"from one from two":
                await asyncio.sleep(0.001)
        assert hub.attached == 0


async def test_memory_is_bounded_and_begins_with_a_whole_line(tmp_path: Path) -> None:
    async with line(tmp_path / "s") as (far, hub):
        async with hub.attach() as port:
            text = b"".join(b"line %06d\n" % number for number in range(50_000))
            reading = asyncio.get_running_loop().create_task(until(port, b"line 049999\n"))
            await far.say(text)
            assert await reading == text
        assert hub.recent == text[-RING_BYTES:]
        async with hub.attach() as late:
            replay = await late.read()
        assert text.endswith(replay)
        assert replay.startswith(b"line ")
        assert 10_000 < len(replay) <= console.REPLAY_BYTES


async def test_questions_to_the_terminal_are_not_asked_again(tmp_path: Path) -> None:
    async with line(tmp_path / "s") as (far, hub):
        async with hub.attach() as port:
            text = b"a\x1b[6nb\x1b[cc\x1b[?6nd\x1b[>0ce\x1b[31mred\x1b[0m"
            await far.say(text)
            assert await until(port, b"red\x1b[0m") == text
        async with hub.attach() as late:
            assert await late.read() == b"abcde\x1b[31mred\x1b[0m"


async def test_slow_client_is_dropped_and_nobody_else_notices(tmp_path: Path) -> None:
    async with line(tmp_path / "s") as (far, hub), hub.attach() as slow, hub.attach() as quick:
        reading = asyncio.get_running_loop().create_task(until(quick, b"END"))
        await far.say(b"x" * (2 * BACKLOG_BYTES) + b"END")
        assert len(await reading) == 2 * BACKLOG_BYTES + 3
        assert slow.dropped
        assert not quick.dropped
        assert hub.attached == 1
        size = 0
        while data := await slow.read():
            size += len(data)
        assert size <= BACKLOG_BYTES


async def test_reconnects_and_input_waits_for_it(tmp_path: Path) -> None:
    async with line(tmp_path / "s") as (far, hub), hub.attach() as port:
        await far.say(b"before")
        await until(port, b"before")
        far.hang_up()
        async with asyncio.timeout(5):
            await far.connected.wait()
            await far.say(b"after")
            await until(port, b"after")
            await port.write(b"typed")
            while far.heard != b"typed":
                await asyncio.sleep(0.001)
        assert far.connections == 2
        assert hub.recent == b"beforeafter"


async def test_close_ends_everybody_once_they_have_read(tmp_path: Path) -> None:
    async with line(tmp_path / "s") as (far, hub), hub.attach() as port:
        await far.say(b"last words")
        while hub.recent != b"last words":
            await asyncio.sleep(0.001)
        hub.close()
        hub.close()
        assert await port.read() == b"last words"
        assert await port.read() == b""
        await port.write(b"nobody hears")
        async with hub.attach() as late:
            assert await late.read() == b"last words"
            assert await late.read() == b""


async def test_port_of_a_guest_that_is_not_there_yet_can_be_closed(tmp_path: Path) -> None:
    hub = SerialHub(tmp_path / "none")
    async with hub.attach() as port:
        writing = asyncio.get_running_loop().create_task(port.write(b"x"))
        await asyncio.sleep(0.03)
        assert not hub.connected
        hub.close()
        await writing
        assert await port.read() == b""


async def test_a_real_guests_firmware_is_heard_by_all(start: Start, place: Path) -> None:
    guest = await start(
        "100",
        *("-accel", "tcg", "-m", "32", "-nographic", "-monitor", "none", "-boot", "n"),
        *("-chardev", f"socket,id=s0,path={place}/100/serial0.sock,server=on,wait=off", "-serial", "chardev:s0"),
        *("-vnc", f"unix:{place}/100/vnc.sock"),
        machine="pc",
    )
    hub = SerialHub(place / "100" / "serial0.sock")
    try:
        async with hub.attach() as one, hub.attach() as two:
            while not hub.connected:
                await asyncio.sleep(0.001)
            await guest.monitor().cont()
            for port in (one, two):
                assert b"SeaBIOS" in await until(port, b"No bootable device")
        reader, writer = await open_stream(place / "100" / "vnc.sock")
        assert (await reader.readexactly(12)).startswith(b"RFB 003.")
        writer.close()
        await guest.kill()
    finally:
        hub.close()


async def test_hung_qemu_blocks_only_who_types(start: Start, place: Path) -> None:
    guest = await start(
        "100",
        *("-chardev", f"socket,id=s0,path={place}/100/serial0.sock,server=on,wait=off", "-serial", "chardev:s0"),
        machine="pc",
    )
    hub = SerialHub(place / "100" / "serial0.sock")
    try:
        while not hub.connected:
            await asyncio.sleep(0.001)
        os.kill(guest.pid, signal.SIGSTOP)
        async with hub.attach() as port:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await port.write(b"x" * 4_000_000)
        os.kill(guest.pid, signal.SIGCONT)
    finally:
        hub.close()
