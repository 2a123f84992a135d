"""A daemon that knows many guests: they are written into its store before it starts. None of them runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from support.daemon import TestDaemon
from tarmac.drivers.store.sqlite import SqliteStore

FIRST = 100
BATCH = 100  # puts in one transaction; the store takes 128
CHANGING = Path(__file__).resolve().parent / "changing"
_ROLES = ("web", "db", "cache", "mail", "build")


def mac(vmid: int) -> str:
    """The last three bytes of a card's address, each guest's own."""
    return ":".join(f"{byte:02X}" for byte in vmid.to_bytes(3, "big"))


def ordinary(vmid: int) -> str:
    """A guest with three tags, one of which has a fiftieth of all guests."""
    role = _ROLES[vmid % len(_ROLES)]
    return (
        f"agent: 1\nboot: order=scsi0\ncores: 2\nmemory: {1024 << vmid % 4}\nname: {role}-{vmid}\n"
        f"net0: virtio=BC:24:11:{mac(vmid)},bridge=vmbr0\nscsi0: local:{vmid}/vm-{vmid}-disk-0.qcow2,size=32G\n"
        f"tags: {role};group-{vmid % 50};{'prod' if vmid % 3 else 'test'}\n"
    )


async def fill(store: Path, vmids: Iterable[int], text: Callable[[int], str] = ordinary) -> None:
    """Write so many guests into a store that no daemon has open."""
    opened = await SqliteStore.open(store)
    numbers = list(vmids)
    for first in range(0, len(numbers), BATCH):
        puts = {f"guests/{vmid}": _record(text(vmid)) for vmid in numbers[first : first + BATCH]}
        await opened.transact([], puts=puts)
    await opened.close()


def _record(text: str) -> bytes:
    return json.dumps({"format": 1, "kind": "qemu", "text": text, "uid": None}).encode()


@contextlib.contextmanager
def crowd(guests: int, *, changes: float = 0, text: Callable[[int], str] = ordinary) -> Iterator[TestDaemon]:
    """A started daemon that knows so many guests, numbers from 100; all is gone afterwards. With `changes` the event
    stream tells of so many changes a second, and half of the guests seem to run (see `changing/`)."""
    data = Path(tempfile.mkdtemp(prefix="tarmac-crowd-"))
    data.chmod(0o711)
    daemon = TestDaemon(data)
    try:
        asyncio.run(fill(data / "tarmac.db", range(FIRST, FIRST + guests), text))
        env = {"PYTHONPATH": str(CHANGING), "TARMAC_TEST_CHANGES": str(changes)} if changes else None
        yield daemon.start(env=env)
    finally:
        daemon.remove()
