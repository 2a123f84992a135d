"""The agent's client against a peer that does everything wrong: garbage, late and stale answers, floods, silence.

The peer is a real unix socket server; the well-behaved agent is tested in a real guest (tests/qemu/test_agent.py)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.qemu import agent as agent_module
from tarmac.drivers.qemu.agent import NOT_RUNNING, Agent
from tarmac.model.errors import Busy, HostFailure, OutcomeUnknown, TarmacError, Unavailable

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(path: Path, behave: Peer) -> AsyncIterator[Agent]:
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            await behave(reader, writer)
        except (ConnectionError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    agent = Agent(path, label="VM 100")
    try:
        yield agent
    finally:
        agent.close()
        server.close()
        for writer in connections:
            writer.close()
        await server.wait_closed()


async def command(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = (await reader.readuntil(b"\n")).lstrip(b"\xff")
    return dict(json.loads(line))


def answer(writer: asyncio.StreamWriter, value: Any, *, delimiter: bytes = b"") -> None:
    writer.write(delimiter + json.dumps({"return": value}).encode() + b"\n")


async def sync(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await command(reader)
    assert asked["execute"] == "guest-sync-delimited"
    answer(writer, asked["arguments"]["id"], delimiter=b"\xff")


async def test_garbage_and_stale_answers_before_the_sync_are_thrown_away(tmp_path: Path) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"return": "late"}\n\x00\x01{"ret\xff{"return": 7}\n\xffnonsense\n\xff[1]\n{"error": {}}\n')
        await sync(reader, writer)
        assert (await command(reader))["execute"] == "guest-get-osinfo"
        answer(writer, {"id": "debian"})
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        assert await agent.call("guest-get-osinfo") == {"id": "debian"}


async def test_no_answer_is_the_text_that_clients_match_on(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(tmp_path / "qga", silent) as agent:
        with pytest.raises(Unavailable) as caught:
            await agent.ping(within=0.1)
    assert caught.value.message == NOT_RUNNING == "QEMU guest agent is not running"


async def test_no_socket_is_the_same_text(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        await Agent(tmp_path / "missing").ping()
    assert caught.value.message == NOT_RUNNING
    assert "No such file" in caught.value.evidence


async def test_caller_that_gives_up_leaves_the_agent_usable(tmp_path: Path) -> None:
    """The first command's answer comes late, on the next connection, before the sync's: it must reach nobody."""
    late: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(late))
        await sync(reader, writer)
        asked = await command(reader)
        if asked["execute"] == "guest-get-hostname":
            late.append(b'{"return": {"host-name": "late"}}\n')
            await reader.read()
        else:
            answer(writer, {"name": "right"})
            await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await agent.call("guest-get-hostname")
        assert await agent.call("guest-get-osinfo") == {"name": "right"}


@pytest.mark.parametrize(("name", "kind"), [("guest-get-time", Unavailable), ("guest-set-time", OutcomeUnknown)])
async def test_late_answer_to_a_command(tmp_path: Path, name: str, kind: type[TarmacError]) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(kind) as caught:
            await agent.call(name, within=0.1)
    assert caught.value.message == f"VM 100 qga command '{name}' failed - got timeout"


@pytest.mark.parametrize(("name", "kind"), [("guest-get-time", Unavailable), ("guest-set-time", OutcomeUnknown)])
async def test_line_that_ends_before_the_answer(tmp_path: Path, name: str, kind: type[TarmacError]) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        await command(reader)

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(kind) as caught:
            await agent.call(name)
    assert caught.value.error_code == "agent-connection-lost"


async def test_oversized_answer_is_refused_and_the_next_call_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_module, "REPLY_LIMIT", 100_000)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        asked = await command(reader)
        answer(writer, "x" * (1_000_000 if asked["execute"] == "guest-info" else 90_000))
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(HostFailure) as caught:
            await agent.call("guest-info")
        assert caught.value.error_code == "agent-protocol"
        assert len(await agent.call("guest-get-time")) == 90_000


async def test_endless_garbage_costs_only_the_callers_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "REPLY_LIMIT", 100_000)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(Unavailable, match=NOT_RUNNING):
            await agent.ping(within=0.2)


@pytest.mark.parametrize("reply", [b"\x00\n", b"[]\n", b"{}\n", b'{"error": 1}\n', b'{"return"\n', b"\n"])
async def test_nonsense_answers(tmp_path: Path, reply: bytes) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        await command(reader)
        writer.write(reply)
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(HostFailure) as caught:
            await agent.call("guest-set-time")
    assert caught.value.error_code == "agent-protocol"


@pytest.mark.parametrize("value", [{"out-data": "@@@", "exited": True}, {"out-data": 7, "exited": True}, [], "text"])
async def test_wrongly_typed_results(tmp_path: Path, value: object) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        await command(reader)
        answer(writer, value)
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(HostFailure) as caught:
            await agent.exec_status(1)
    assert caught.value.error_code == "agent-protocol"


async def test_the_agents_own_refusal(tmp_path: Path) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        await command(reader)
        writer.write(b'{"error": {"class": "CommandNotFound", "desc": "The command guest-x has not been found"}}\n')
        await command(reader)
        answer(writer, {})
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        with pytest.raises(HostFailure) as caught:
            await agent.call("guest-x")
        assert caught.value.message == "Agent error: The command guest-x has not been found"
        assert caught.value.error_code == "agent-command-not-found"
        await agent.ping()


async def test_one_at_a_time_and_waiting_is_bounded(tmp_path: Path) -> None:
    overlap = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal overlap
        overlap += 1
        assert overlap == 1
        await sync(reader, writer)
        await command(reader)
        await reader.read()
        overlap -= 1

    async with peer(tmp_path / "qga", behave) as agent, asyncio.TaskGroup() as group:
        first = group.create_task(_error(agent.call("guest-fsfreeze-freeze", within=0.4)))
        await asyncio.sleep(0.05)
        second = group.create_task(_error(agent.ping(within=0.1)))
    assert isinstance(first.result(), OutcomeUnknown)
    assert isinstance(second.result(), Busy)


async def _error(work: Awaitable[object]) -> TarmacError:
    try:
        await work
    except TarmacError as error:
        return error
    raise AssertionError("should have failed")


async def test_shutdown_succeeds_by_silence_or_hang_up_and_fails_aloud(tmp_path: Path) -> None:

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        asked = await command(reader)
        assert asked["execute"] == "guest-shutdown"
        if asked["arguments"]["mode"] == "halt":
            writer.write(b'{"error": {"class": "GenericError", "desc": "child process failed"}}\n')
            await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        await agent.shutdown("powerdown")
        with pytest.raises(HostFailure, match="child process failed"):
            await agent.shutdown("halt")


async def test_output_comes_decoded(tmp_path: Path) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sync(reader, writer)
        assert await command(reader) == {"execute": "guest-exec-status", "arguments": {"pid": 5}}
        data = base64.b64encode(b"\x00\xffhello").decode()
        answer(writer, {"exited": True, "exitcode": 3, "out-data": data, "err-truncated": True})
        await reader.read()

    async with peer(tmp_path / "qga", behave) as agent:
        status = await agent.exec_status(5)
    assert (status.exited, status.exit_code, status.output, status.error) == (True, 3, b"\x00\xffhello", b"")
    assert (status.output_truncated, status.error_truncated) == (False, True)
