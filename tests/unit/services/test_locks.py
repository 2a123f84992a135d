"""Queues: order of asking is order of doing, readers together, nobody overtaken, nothing left behind."""

from __future__ import annotations

import asyncio

from tarmac.services.jobs.locks import Queues, shared


def turns(queues: Queues, key: str, names: str) -> str:
    """Of `names`, those that are not waiting, in order."""
    waiting = queues.waiting(key)
    return "".join(name for name in names if name not in waiting)


async def test_readers_share_a_turn_and_a_writer_waits_for_all_of_them() -> None:
    queues = Queues()
    leave = {who: queues.enter([shared("t")], who) for who in "ab"}
    leave["W"] = queues.enter(["t"], "W")
    leave["c"] = queues.enter([shared("t")], "c")  # behind the writer: it is not overtaken
    assert turns(queues, "t", "abWc") == "ab"
    assert queues.holder("t") == "a"
    leave["a"]()
    assert turns(queues, "t", "bWc") == "b"
    leave["b"]()
    assert turns(queues, "t", "Wc") == "W"
    leave["W"]()
    assert turns(queues, "t", "c") == "c"
    leave["c"]()
    assert queues.holder("t") is None


async def test_a_waiting_writer_that_gives_up_lets_readers_join() -> None:
    queues = Queues()
    queues.enter([shared("t")], "a")
    give_up = queues.enter(["t"], "W")
    queues.enter([shared("t")], "b")
    assert queues.waiting("t") == ["W", "b"]
    give_up()
    assert queues.waiting("t") == []


async def test_turn_waits_in_every_queue_and_names_whom_it_waits_for() -> None:
    queues = Queues()
    leave = queues.enter(["one"], "first")
    queues.enter(["one", shared("two")], "second")
    told: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(queues.turn(["one", shared("two")], "second", told.append))
        while not told:
            await asyncio.sleep(0)
        assert told == ["first"]
        leave()
