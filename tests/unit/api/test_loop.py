"""Long lists and the event stream hold up nobody: no callback takes more than 10 ms of the loop's own thread, with
10,000 guests. The client is a thread with blocking sockets, so that only the server's callbacks count."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.event_site import EventSite, event_site
from support.loop import attempts
from tarmac.model.users import User
from tarmac.services.guests.guests import Guest
from tarmac.services.resources.encoded_rows import warm

GUESTS = 10_000
TEXT = """\
boot: order=scsi0
cores: 2
memory: 2048
name: guest-{vmid}
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
scsi0: local:{vmid}/vm-{vmid}-disk-0.qcow2,size=32G
tags: bench
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[EventSite]:
    async with event_site(tmp_path) as running:
        fill(running)
        yield running


def fill(house: EventSite) -> None:
    """As many guests, of which nothing has been asked yet."""
    guests = {n: Guest(n, TEXT.format(vmid=n), 1) for n in range(100, 100 + GUESTS)}
    house.services.guests._guests.update(guests)


def _get(unix: str, path: str, until: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)  # it is called in threads, which no time limit of a test ends
        sock.connect(unix)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        got = bytearray()
        while until not in got[-64 * 1024 :] and (part := sock.recv(1 << 20)):
            got += part
        return bytes(got)


async def test_lists_hold_up_nobody_cold_or_warm(house: EventSite) -> None:
    for attempt in attempts():
        fill(house)
        with attempt:
            for _ in range(3):
                reply = await asyncio.to_thread(_get, house.unix, "/api2/json/cluster/resources", b"\0")
    assert len(json.loads(reply.partition(b"\r\n\r\n")[2])["data"]) == GUESTS + 2


async def test_the_rows_made_at_the_start_hold_up_nobody(house: EventSite) -> None:
    for attempt in attempts():
        fill(house)
        with attempt:
            await warm(list(house.services.guests), [house.services.cluster.rows])
    assert all(guest.rows and not guest.parsed for guest in house.services.guests)


async def test_a_snapshot_and_new_rights_hold_up_nobody(house: EventSite) -> None:
    async def rights() -> None:
        for number in range(3):
            await asyncio.sleep(0.05)
            async with house.directory.lock:
                record = {("user", "joe@pve"): User(userid="joe@pve", comment=str(number))}
                await house.directory.commit(record, by="root@pam", what="test")

    for attempt in attempts():
        with attempt:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(_get, house.unix, "/api2/events", b'"more":0'))
                group.create_task(rights())
