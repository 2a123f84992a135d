"""Lists that cost what changed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tarmac.model.lifecycle import State
from tarmac.services.guests.guests import Guest
from tarmac.services.resources.encoded_rows import EncodedRows

made: list[int] = []


def row(guest: Guest) -> dict[str, object]:
    made.append(guest.vmid)
    return {"vmid": guest.vmid, "name": guest.config.name, "state": guest.state.value}


def rows() -> EncodedRows:
    made.clear()
    return EncodedRows("test", row, at_rest=lambda guest: guest.state is State.STOPPED)


async def listed(encoder: EncodedRows, *what: Any) -> Any:
    return json.loads(b"".join(await encoder.encode(*what)))


async def test_a_row_is_made_again_only_after_a_change() -> None:
    encoder, guests = rows(), [Guest(vmid, f"name: g{vmid}\n", 1) for vmid in (100, 101)]
    first = await listed(encoder, guests, [{"type": "node"}])
    assert [entry.get("name") for entry in first] == ["g100", "g101", None]
    assert made == [100, 101]
    guests[1].replace_text("name: other\n", 2)
    assert [entry["name"] for entry in await listed(encoder, guests)] == ["g100", "other"]
    assert made == [100, 101, 101]


async def test_a_running_guest_is_never_shown_as_it_was() -> None:
    encoder, guest = rows(), Guest(100, "name: a\n", 1)
    for state in (State.STOPPED, State.RUNNING, State.PAUSED, State.STOPPED):
        guest.state = state
        assert (await listed(encoder, [guest]))[0]["state"] == state.value
    assert made == [100, 100, 100]


async def test_nothing_is_kept_that_nobody_asked_for() -> None:
    encoder, idle, used = rows(), Guest(100, "name: a\n", 1), Guest(101, "name: b\n", 1)
    assert used.config.name == "b"
    await encoder.encode([idle, used])
    assert not idle.parsed and used.parsed


async def test_an_empty_list_is_a_list() -> None:
    assert await listed(rows(), []) == []


async def test_others_get_their_turn_meanwhile() -> None:
    def slow(guest: Guest) -> dict[str, object]:
        time.sleep(0.002)  # as reading a configuration does: it takes the loop
        return {"vmid": guest.vmid}

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as group:
        task = group.create_task(other())
        await EncodedRows("slow", slow, at_rest=lambda _: True).encode([Guest(n, "", 1) for n in range(100, 160)])
        task.cancel()
    assert turns >= 5
