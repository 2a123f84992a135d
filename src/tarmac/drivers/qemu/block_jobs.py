"""QEMU's background work on block nodes: start one, follow it to its end, whatever happens meanwhile.

A job here is QEMU's (mirror, commit, stream, backup), named by an id that says whose it is, so that the next daemon
finds it again. `auto-dismiss` is off everywhere: a job's outcome waits for whoever asks, even after a lost connection.

    await start_mirror(qmp, "move-scsi0", node="drive-scsi0", replaces="f-scsi0-...", target="f-scsi0-...", sync="full")
    await until_ready(process, "move-scsi0", advance)      # both sides are the same from now on
    await finish(process, "move-scsi0", pivot=True)

Source: docs/interop/live-block-operations, qapi/job.json and qapi/block-core.json of QEMU.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tarmac.drivers.qemu.process import GuestProcess
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import Fix, HostFailure, NoSpace, TarmacError

Advance = Callable[[int, int], None]
_ENDED = frozenset({"concluded", "null"})
_READY = frozenset({"ready", "pending", "standby"})
_HELD = frozenset({"pending"})
_POLL_SECONDS = 0.5
_SAME_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockJob:
    """A job as QEMU reports it. `done` and `total` are bytes, moving; `error` is QEMU's text once it failed."""

    id: str
    status: str
    done: int
    total: int
    error: str | None = None


async def find(qmp: Qmp, job: str) -> BlockJob | None:
    """The job of that id, None when QEMU has none."""
    for entry in await qmp.query_jobs():
        if entry["id"] == job:
            return BlockJob(
                id=job,
                status=str(entry["status"]),
                done=int(entry["current-progress"]),
                total=int(entry["total-progress"]),
                error=entry.get("error"),
            )
    return None


async def start_mirror(
    qmp: Qmp, job: str, *, node: str, target: str, sync: str, replaces: str | None = None, speed: int = 0
) -> None:
    """Copy a node to another and keep both the same. `sync`: `full`, or `top` for the top layer alone. `speed` in bytes
    a second, 0: as fast as it goes. A failing target ends the job and never disturbs the guest.

    `node` is what the device uses, a disk's throttle filter: QEMU takes no node with others above it ("Need a root
    block node"). `replaces`: the node below the filter in whose place the target comes when the job is finished by
    going over."""
    more = {} if replaces is None else {"replaces": replaces}
    await _start(
        qmp, "blockdev-mirror", job,
        {"device": node, "target": target, "sync": sync, "speed": speed, "on-target-error": "report",
         "on-source-error": "report", "copy-mode": "background", **more},
    )  # fmt: skip


async def start_commit(
    qmp: Qmp, job: str, *, device: str, top: str, base: str, speed: int = 0, backing_file: str | None = None
) -> None:
    """Merge the layers from `top` down to `base` into `base`; `device` is the top of the whole chain (the throttle
    filter). Both ends are always named: without a base QEMU would merge the whole chain into the bottom image, a
    template perhaps. `backing_file`: the reference that the layer above `top` gets in its header; without it `top` is
    the active layer, and the job comes to `ready` and is ended by `hold` and `release`."""
    more = {"auto-finalize": False} if backing_file is None else {"backing-file": backing_file}
    await _start(
        qmp, "block-commit", job,
        {"device": device, "top-node": top, "base-node": base, "speed": speed, "on-error": "report", **more},
    )  # fmt: skip


async def start_stream(qmp: Qmp, job: str, *, node: str, speed: int = 0) -> None:
    """Copy everything that lies below a node into it, so that it stands on nothing."""
    await _start(qmp, "block-stream", job, {"device": node, "speed": speed, "on-error": "report"})


async def _start(qmp: Qmp, command: str, job: str, arguments: Mapping[str, Any]) -> None:
    await qmp.execute(command, {"job-id": job, "auto-dismiss": False, "auto-finalize": True, **arguments})


async def until_ready(process: GuestProcess, job: str, advance: Advance | None = None) -> None:
    """Wait until the job's two sides are the same. Raises NoSpace or HostFailure when it fails; it is dismissed then.
    Cancelled: the job goes on; `abandon` ends it."""
    await _until(process, job, _READY, advance)


async def until_same(process: GuestProcess, job: str, node: str) -> None:
    """Of a mirror of `node` that is ready, in a guest that is paused: wait until nothing is left to copy, and have both
    sides on disk. From then on either holds everything. Raises as `until_ready`."""
    await until_ready(process, job)
    while True:  # QEMU tells nobody when the last byte is copied
        if not await _left(process.monitor(), node):
            break
        await asyncio.sleep(_SAME_SECONDS)
    await process.monitor().stop()  # ends what is in flight and flushes every node, also when the guest stands still


async def _left(qmp: Qmp, node: str) -> int:
    """Bytes that a mirror of this node has still to copy: its bitmap's. (A job's progress lags behind by 100 ms.)"""
    for known in await qmp.query_named_block_nodes():
        if known["node-name"] == node:
            return sum(int(bitmap["count"]) for bitmap in known.get("dirty-bitmaps", ()))
    return 0


async def until_ended(process: GuestProcess, job: str, advance: Advance | None = None) -> None:
    """Wait for the job's end and dismiss it. Raises as `until_ready`."""
    await _until(process, job, _ENDED, advance)
    await _dismiss(process.monitor(), job)


async def finish(process: GuestProcess, job: str, *, pivot: bool) -> None:
    """End a job that is ready: with `pivot` the guest goes on on the target; without it, it stays on the source and the
    target is a copy of this moment. Returns when it is done."""
    qmp = process.monitor()
    if pivot:
        await qmp.execute("job-complete", {"id": job})
    else:
        await qmp.execute("block-job-cancel", {"device": job})  # of a ready mirror: a clean end, no failure
    await until_ended(process, job)


async def hold(process: GuestProcess, job: str) -> None:
    """Bring a commit of the active layer that is ready to the moment of its pivot: both layers hold the same, and the
    guest's requests to this disk wait until `release` (or `abandon`). What the world shall know of the pivot is made
    durable meanwhile, so that at no moment a name leads to the older of the two. Repeatable."""
    found = await find(process.monitor(), job)
    if found is not None and found.status in ("ready", "standby"):
        await process.monitor().execute("job-complete", {"id": job})
    await _until(process, job, _HELD, None)


async def release(process: GuestProcess, job: str) -> None:
    """Let a held job pivot, and wait for its end. Repeatable while the job has not been dismissed."""
    found = await find(process.monitor(), job)
    if found is not None and found.status == "pending":
        await process.monitor().execute("job-finalize", {"id": job})
    await until_ended(process, job)


async def set_speed(qmp: Qmp, job: str, speed: int) -> None:
    """Bytes a second from now on, 0: as fast as it goes."""
    await qmp.execute("block-job-set-speed", {"device": job, "speed": speed})


async def abandon(process: GuestProcess, job: str) -> None:
    """End a job in whatever state it is, without its effect; fine when there is none. The guest stays on the source."""
    qmp = process.monitor()
    found = await find(qmp, job)
    if found is None:
        return
    if found.status not in _ENDED:
        # A held job is cancelled by the job command alone; before that, only the block command has `force`.
        held = found.status in _HELD
        command = ("job-cancel", {"id": job}) if held else ("block-job-cancel", {"device": job, "force": True})
        await qmp.execute(*command)
        await _until(process, job, _ENDED, None, fail=False)
    await _dismiss(qmp, job)


async def _until(
    process: GuestProcess, job: str, wanted: frozenset[str], advance: Advance | None, *, fail: bool = True
) -> None:
    """Events wake us; QEMU is asked all the same now and then, for the progress and because events can be lost."""
    with process.events("JOB_STATUS_CHANGE") as events:
        turn = aiter(events)
        while True:
            qmp = process.monitor()
            found = await find(qmp, job)
            if found is None:
                raise HostFailure(f"the block job {job} is gone", code="block-job-gone", evidence=job)
            if advance is not None:
                advance(found.done, found.total)
            if found.status in _ENDED and found.error and fail:
                await _dismiss(qmp, job)
                raise _failure(found)
            if found.status in wanted or found.status in _ENDED:
                return
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await anext(turn)
            except (TimeoutError, StopAsyncIteration):
                pass


async def _dismiss(qmp: Qmp, job: str) -> None:
    found = await find(qmp, job)
    if found is not None and found.status == "concluded":
        await qmp.execute("job-dismiss", {"id": job})


def _failure(job: BlockJob) -> TarmacError:
    text = job.error or ""
    if "No space left" in text or "quota exceeded" in text:
        return NoSpace(
            "the copy of a disk stopped: its storage is full",
            cause="the storage has no space left for it",
            evidence=text,
            fixes=[Fix(text="free some space there, or choose another storage")],
        )
    return HostFailure("the copy of a disk failed", code="block-job-failed", cause=text, evidence=job.id)
