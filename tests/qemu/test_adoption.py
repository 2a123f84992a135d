"""Guests outlive the daemon: adoption after kill -9, refusal of whatever is not the guest, and QEMU that hangs."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tarmac.drivers.qemu.events import RESYNC
from tarmac.drivers.qemu.process import GuestProcess, adopt
from tarmac.drivers.qemu.record import ProcessRecord, read_record, start_time_of, write_record
from tarmac.model.errors import DataCorrupt, OutcomeUnknown, Unavailable

from .conftest import Start


@contextmanager
def stand_in(mode: str, place: Path, count: int = 1) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("daemon_stand_in.py")
    daemon = subprocess.Popen(
        [sys.executable, script, mode, str(place), str(count)], stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()
        assert daemon.stdout is not None
        daemon.stdout.close()


def killed_daemon(mode: str, place: Path, count: int = 1) -> list[int]:
    """Pids of the guests that a daemon left when it was killed."""
    with stand_in(mode, place, count) as daemon:
        assert daemon.stdout is not None
        return [int(word) for word in daemon.stdout.readline().split()]


def record_of(place: Path, name: str = "100") -> ProcessRecord:
    record = read_record(place / name)
    assert record is not None
    return record


@asynccontextmanager
async def adopted(record: ProcessRecord, patience: float = 5.0) -> AsyncIterator[GuestProcess]:
    guest = await adopt(record, patience=patience)
    assert guest is not None
    try:
        yield guest
    finally:
        await guest.close()


async def test_ten_guests_survive_kill_9_and_are_adopted(place: Path) -> None:
    pids = await asyncio.to_thread(killed_daemon, "run", place, 10)
    assert len(pids) == 10
    for number, pid in enumerate(pids, start=100):
        async with adopted(record_of(place, str(number))) as guest:
            assert guest.pid == pid
            qmp = guest.monitor()
            assert await qmp.query_uuid() == f"00000000-0000-0000-0000-{number:012d}"
            assert await qmp.query_status() == "prelaunch"
            assert os.getpid() != int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_end_of_an_adopted_guest_is_seen_with_its_last_events(place: Path) -> None:
    await asyncio.to_thread(killed_daemon, "run", place, 2)
    async with adopted(record_of(place)) as guest, adopted(record_of(place, "101")) as other:
        events = guest.events()
        os.kill(guest.pid, signal.SIGTERM)
        async with asyncio.timeout(5):
            await guest.exited.wait()
            assert [event.name async for event in events] == ["SHUTDOWN"]
        assert guest.exit_code is None
        assert await other.monitor().query_status() == "prelaunch"
        os.kill(other.pid, signal.SIGKILL)
        async with asyncio.timeout(2):
            await other.exited.wait()
    assert await adopt(record_of(place)) is None


async def test_daemon_killed_before_the_gate_opens_leaves_no_process(place: Path) -> None:
    assert await asyncio.to_thread(killed_daemon, "at-gate", place) == []
    record = record_of(place)
    assert not record.answered
    async with asyncio.timeout(5):
        while start_time_of(record.pid) == record.start_time:
            await asyncio.sleep(0.005)
    assert await adopt(record) is None


async def test_daemon_killed_right_after_the_gate_opened(place: Path) -> None:
    assert await asyncio.to_thread(killed_daemon, "at-release", place) == []
    assert not record_of(place).answered
    async with adopted(record_of(place)) as guest:
        assert await guest.monitor().query_status() == "prelaunch"
        assert record_of(place) == guest.record
        assert guest.record.answered


async def test_what_is_not_the_guest_is_refused_and_not_touched(start: Start, place: Path) -> None:
    guest = await start()
    record = guest.record
    await guest.close()
    with subprocess.Popen(["sleep", "100"]) as stranger:
        wrong = {
            "another process has the pid": {"pid": stranger.pid},
            "the pid was reused": {"start_time": record.start_time - 1},
            "the host was restarted": {"boot_id": "00000000-0000-0000-0000-000000000000"},
            "another guest answers": {"uuid": "99999999-2222-3333-4444-555555555555"},
            "no such process": {"pid": 2**22 - 1},
        }
        for why, change in wrong.items():
            assert await adopt(dataclasses.replace(record, **change)) is None, why  # type: ignore[arg-type]
        assert stranger.poll() is None
        stranger.kill()
    assert start_time_of(record.pid) == record.start_time
    async with adopted(record) as again:
        await again.kill()


async def test_impostor_on_the_control_socket_is_refused(start: Start, place: Path) -> None:
    """Somebody else listens where the guest's monitor should be, and speaks perfect QMP: another guest's QEMU."""
    guest, other = await start("100"), await start("101")
    await guest.close()
    await other.close()
    (place / "100" / "qmp.sock").unlink()
    (place / "100" / "qmp.sock").symlink_to(place / "101" / "qmp.sock")
    assert await adopt(guest.record) is None
    async with adopted(other.record) as real:
        await real.kill()
    os.kill(guest.pid, signal.SIGKILL)
    os.waitpid(guest.pid, 0)


async def test_hung_qemu_hurts_nobody_else_and_recovers(start: Start) -> None:
    hung, well = await start("100"), await start("101")
    os.kill(hung.pid, signal.SIGSTOP)
    qmp = hung.monitor()
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_timed(qmp.within(0.3), qmp.query_status()))
        changing = group.create_task(_timed(qmp.within(0.3), qmp.execute("system_wakeup")))
        for _ in range(50):
            assert await well.monitor().query_status() == "prelaunch"
    assert time.monotonic() - started < 2
    assert isinstance(asking.result(), Unavailable)
    assert isinstance(changing.result(), OutcomeUnknown)
    assert "got timeout" in asking.result().message
    os.kill(hung.pid, signal.SIGCONT)
    async with qmp.within(5):
        assert await qmp.query_status() == "prelaunch"


async def _timed(limit: object, work: object) -> Unavailable | OutcomeUnknown:
    try:
        async with limit:  # type: ignore[attr-defined]
            await work  # type: ignore[misc]
    except (Unavailable, OutcomeUnknown) as error:
        return error
    raise AssertionError("should have run out of time")


async def test_hung_qemu_is_adopted_as_unknown_and_reconnected_later(start: Start) -> None:
    first = await start()
    await first.close()
    os.kill(first.pid, signal.SIGSTOP)
    async with adopted(first.record, patience=0.2) as guest:
        events = guest.events()
        assert guest.qmp is None
        assert isinstance(guest.qmp_problem, Unavailable)
        with pytest.raises(Unavailable, match="timeout|connection failed"):
            guest.monitor()
        for _ in range(4):  # more than fit into the listener's queue
            with pytest.raises(Unavailable, match="timeout"):
                await guest.reconnect(patience=0.05)
        os.kill(first.pid, signal.SIGCONT)
        qmp = await guest.reconnect()
        assert await qmp.query_status() == "prelaunch"
        assert await guest.reconnect() is qmp
        assert (await anext(events)).name == RESYNC
        await guest.kill()


async def test_hung_qemu_can_be_killed(start: Start) -> None:
    guest = await start()
    os.kill(guest.pid, signal.SIGSTOP)
    async with asyncio.timeout(2):
        await guest.kill()
        await guest.close()


async def test_lost_connection_is_had_anew(start: Start) -> None:
    guest = await start()
    old = guest.monitor()
    await old.close()
    with pytest.raises(Unavailable):
        guest.monitor()
    with pytest.raises(Unavailable):
        await old.query_status()
    assert await (await guest.reconnect()).query_status() == "prelaunch"


async def test_records_of_others_and_damaged_ones_are_refused(start: Start, place: Path) -> None:
    record = (await start()).record
    moved = dataclasses.replace(record, runtime_dir=str(place / "200"))
    (place / "200").mkdir()
    write_record(moved)
    assert read_record(place / "200") == moved
    (place / "200" / "process.json").rename(place / "process.json")
    for text in (
        None,
        b"{",
        b'{"pid": 1}',
        (place / "100" / "process.json").read_bytes().replace(b'"format":1', b'"format":2'),
    ):
        if text is not None:
            (place / "process.json").write_bytes(text)
        with pytest.raises(DataCorrupt):
            read_record(place)
    (place / "process.json").unlink()
    assert read_record(place) is None


def test_record_by_a_guests_user_is_refused(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to make another user's file")
    (place / "process.json").write_text("{}")
    os.chown(place / "process.json", 261_000, 261_000)
    with pytest.raises(DataCorrupt) as caught:
        read_record(place)
    assert "261000" in caught.value.evidence


async def test_close_leaves_the_guest_alone(start: Start) -> None:
    guest = await start()
    await guest.close()
    await guest.close()
    assert start_time_of(guest.pid) == guest.record.start_time
    async with adopted(guest.record) as again:
        await again.kill()
        assert again.exit_code == -signal.SIGKILL, "still our child, so the code is known"
