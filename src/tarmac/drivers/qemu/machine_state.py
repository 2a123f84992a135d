"""A machine's memory and devices in a file: how it is written, read, and what stands before it.

    8 bytes  TARMSTAT      4 bytes format (1)      4 bytes length of the record, both big-endian
    JSON record (`MachineRecord`), zeros up to a multiple of 4096, then QEMU's migration stream

The machine stands still while it is saved. The stream goes through a descriptor that we open: QEMU's sandbox allows it
no other way, and its user needs no access to the file. Form: docs/format/machine-state.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.lib.files import failure_of, fsync_file
from tarmac.model.errors import DataCorrupt, Fix, HostFailure, NoSpace, TarmacError

MAGIC = b"TARMSTAT"
FORMAT = 1
_HEAD = struct.Struct(">8sII")
_BLOCK = 4096
_LIMIT = 1 << 20
_NO_LIMIT = 1 << 40
_DEFAULT_BANDWIDTH = 128 << 20
_POLL_SECONDS = 0.02
_OFF = ("x-ignore-shared", "postcopy-ram", "background-snapshot", "multifd", "xbzrle", "compress", "events")
_UNDER_WAY = frozenset({"setup", "active", "cancelling", "device", "pre-switchover", "wait-unplug"})
Advance = Callable[[int, int], None]


class MachineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The machine as it ran. `argv` as of `argv.as_ran`; `host_cpu` describes the host's processor where the guest's
    depends on it."""

    qemu: str
    accelerator: str
    machine: str
    cpu: str
    argv: tuple[str, ...]
    host_cpu: str = ""


async def save(
    process: GuestProcess, path: Path, record: MachineRecord, advance: Advance | None = None
) -> Callable[[], None]:
    """Write the state of a machine that stands still into an existing file. Returns what makes it durable (blocks; to
    be called once the guest goes on, and it must be).

    Raises NoSpace or HostFailure; the machine still stands and can go on."""
    qmp = process.monitor()
    fd = await asyncio.to_thread(_open_for_writing, path, record)
    try:
        await _set_up(qmp, _NO_LIMIT)
        await qmp.getfd("state", fd)
        await qmp.execute("migrate", {"uri": "fd:state"})
        await _completed(qmp, advance)
        await _set_up(qmp, _DEFAULT_BANDWIDTH)
    except BaseException:
        os.close(fd)
        with contextlib.suppress(TarmacError):
            await cancel(qmp)
        raise

    def durable() -> None:
        try:
            os.fsync(fd)
        except OSError as problem:
            raise failure_of(problem, f"cannot write {path.name}") from problem
        finally:
            os.close(fd)

    return durable


async def cancel(qmp: Qmp) -> None:
    """End a saving that is under way; fine when there is none."""
    await qmp.execute("migrate_cancel")
    while True:
        if (await qmp.execute("query-migrate")).get("status") not in _UNDER_WAY:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def wake_disks(process: GuestProcess, nodes: Sequence[str]) -> None:
    """Let QEMU use the disks of a machine that was saved and goes on standing still: after a saving they are asleep
    until it runs. An export wakes a node, so each is exported for an instant (QEMU < 10 has no command for it)."""
    qmp, name = process.monitor(), "wake-disks"
    socket = process.directory / f"{name}.sock"
    server = {"addr": {"type": "unix", "data": {"path": str(socket)}}}
    await qmp.execute("nbd-server-start", server)
    try:
        for node in nodes:
            await qmp.execute("block-export-add", {"type": "nbd", "id": name, "node-name": node, "name": name})
            await qmp.execute("block-export-del", {"id": name, "mode": "hard"})
    finally:
        await qmp.execute("nbd-server-stop")
        await asyncio.to_thread(socket.unlink, True)


def make_durable(path: Path) -> None:
    """Sync a state that is written to its end. Blocks."""
    try:
        fsync_file(path)
    except OSError as problem:
        raise failure_of(problem, f"cannot write {path.name}") from problem


async def load(process: GuestProcess, path: Path) -> None:
    """Give a machine that waits for it (`-incoming defer`) its state. It stands still afterwards, as it stood.

    Raises HostFailure with QEMU's words when it does not take it; that QEMU has ended then, or must be."""
    fd = await asyncio.to_thread(_open_for_reading, path)
    try:
        qmp = process.monitor()
        await _set_up(qmp, _DEFAULT_BANDWIDTH)
        await qmp.getfd("state", fd)
        await qmp.execute("migrate-incoming", {"uri": "fd:state"})
        await _completed(qmp, None)
    except TarmacError as problem:
        words = await asyncio.to_thread(process.last_words)
        raise HostFailure(
            f"{process.record.label}: its saved memory cannot be loaded",
            code="state-not-loaded",
            cause="QEMU does not take the saved machine state",
            evidence=words.strip()[-800:] or problem.message,
            fixes=[Fix(text="start the guest anew: its disks are as they were", action="POST .../status/start")],
        ) from problem
    finally:
        os.close(fd)


async def _set_up(qmp: Qmp, bandwidth: int) -> None:
    """Parameters and capabilities stay set in a QEMU, so all that matter are named each time."""
    asked = {entry["capability"] for entry in await qmp.execute("query-migrate-capabilities")}
    off = [{"capability": name, "state": False} for name in _OFF if name in asked]
    await qmp.execute("migrate-set-capabilities", {"capabilities": off})
    await qmp.execute("migrate-set-parameters", {"max-bandwidth": bandwidth})


async def _completed(qmp: Qmp, advance: Advance | None) -> None:
    while True:
        found = await qmp.execute("query-migrate")
        status = found.get("status", "")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise _failed(str(found.get("error-desc", "")))
        if advance is not None and "ram" in found:
            advance(int(found["ram"]["transferred"]), int(found["ram"]["total"]))
        await asyncio.sleep(_POLL_SECONDS)


def _failed(text: str) -> TarmacError:
    if "No space left" in text or "quota" in text or not text:
        # QEMU does not always say why; a full storage is what makes writing a file fail.
        return NoSpace(
            "the guest's memory could not be saved",
            cause="writing it failed, most likely because the storage has no space left",
            evidence=text or "QEMU's migration to the file failed without a word",
            fixes=[
                Fix(text="free some space, or name another storage", parameters={"vmstatestorage": "..."}),
                Fix(text="take the snapshot without memory", parameters={"vmstate": "0"}),
            ],
        )
    return HostFailure("the guest's memory could not be saved", code="state-not-saved", cause=text, evidence=text)


def _open_for_writing(path: Path, record: MachineRecord) -> int:
    data = msgspec.json.encode(record)
    head = _HEAD.pack(MAGIC, FORMAT, len(data)) + data
    head += bytes(-len(head) % _BLOCK)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        os.write(fd, head)  # from here on the descriptor's position is where the stream begins
    except OSError as problem:
        raise failure_of(problem, f"cannot write {path.name}") from problem
    return fd


def _open_for_reading(path: Path) -> int:
    """A descriptor that stands where the stream begins."""
    fd = _open(path)
    try:
        os.lseek(fd, _read(fd, path)[1], os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_record(path: Path) -> MachineRecord:
    """What a state file says of its machine. Blocks. Raises DataCorrupt, NotFound, HostFailure."""
    fd = _open(path)
    try:
        return _read(fd, path)[0]
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise failure_of(problem, f"cannot read {path.name}") from problem


def _read(fd: int, path: Path) -> tuple[MachineRecord, int]:
    """The record, and where the stream begins."""
    head = os.pread(fd, _HEAD.size, 0)
    if len(head) == _HEAD.size:
        magic, format, length = _HEAD.unpack(head)
        if magic == MAGIC and format == FORMAT and length <= _LIMIT:
            try:
                record = msgspec.json.decode(os.pread(fd, length, _HEAD.size), type=MachineRecord)
            except msgspec.DecodeError:
                pass
            else:
                end = _HEAD.size + length
                return record, end + -end % _BLOCK
    raise DataCorrupt(
        f"{path.name} holds no machine state that this version can read",
        code="state-unreadable",
        cause="it was not written by this program, by a newer one, or not to its end",
        evidence=head[:16].hex(),
        fixes=[Fix(text="remove the snapshot, or go back to one without memory")],
    )
