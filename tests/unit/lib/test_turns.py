"""Turns: fair between lanes, bounded, and none is lost when somebody goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tarmac.lib.turns import Turns
from tarmac.model.errors import Busy


class Crowd:
    """Callers who note their turns, and give them up when told."""

    def __init__(self, group: asyncio.TaskGroup, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []
        self.refused: list[str] = []
        self._group = group
        self._go = asyncio.Event()

    async def add(self, name: str, **more: Any) -> asyncio.Task[None]:
        task = self._group.create_task(self._call(name, **more))
        for _ in range(3):  # it asks, and whoever makes room for it learns of it
            await asyncio.sleep(0)
        return task

    async def _call(self, name: str, **more: Any) -> None:
        try:
            async with self.turns.turn(name.rstrip("0123456789"), **more):
                self.order.append(name)
                await self._go.wait()
        except Busy:
            self.refused.append(name)

    def go(self) -> None:
        self._go.set()


async def test_a_flood_waits_for_itself() -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(group, Turns(1))
        for n in range(8):
            await crowd.add(f"flood{n}")
        await crowd.add("ann")
        await crowd.add("bob")
        await crowd.add("known", first=True)
        crowd.go()
    assert crowd.order[:5] == ["flood0", "known", "flood1", "ann", "bob"]


async def test_what_waits_is_bounded_and_the_flood_is_turned_away() -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(group, Turns(1, waiting=6, in_lane=5))
        for n in range(8):
            await crowd.add(f"flood{n}")
        assert crowd.refused == ["flood6", "flood7"], "a lane is bounded"
        await crowd.add("ann")
        assert crowd.turns.waiting == 6
        await crowd.add("bob")
        assert crowd.refused[2:] == ["flood5"] and crowd.turns.waiting == 6, "the newest of the longest lane made room"
        for name in ("carl", "dora", "emil", "fred", "gina"):
            await crowd.add(name)
        assert crowd.refused[3:] == ["flood4", "flood3", "flood2", "fred", "gina"], "nobody is more than one in a lane"
        crowd.go()
    assert crowd.order == ["flood0", "flood1", "ann", "bob", "carl", "dora", "emil"]


async def test_who_goes_away_leaves_nothing_behind() -> None:
    turns = Turns(1)
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(group, turns)
        await crowd.add("one")
        waiting = await crowd.add("two")
        ahead = await crowd.add("known", first=True)
        await crowd.add("three")
        for task in (waiting, ahead):
            task.cancel()
        await asyncio.sleep(0)
        assert turns.waiting == 1
        crowd.go()
    assert crowd.order == ["one", "three"]
    async with turns.turn("four"):
        assert turns.waiting == 0


async def test_a_turn_that_comes_as_its_caller_goes_is_handed_on() -> None:
    turns = Turns(1)
    async with asyncio.TaskGroup() as group:
        first, second = Crowd(group, turns), Crowd(group, turns)
        await first.add("one")
        leaving = await first.add("two")
        await second.add("three")
        first.go()
        while not first._go.is_set() or turns.waiting == 2:
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        second.go()
    assert "three" in second.order and turns.waiting == 0
    async with turns.turn("four"):
        pass


@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_no_more_than_that_at_once(at_once: int) -> None:
    turns, now, most = Turns(at_once, in_lane=100), 0, 0

    async def work(n: int) -> None:
        nonlocal now, most
        async with turns.turn(str(n % 3)):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    async with asyncio.TaskGroup() as group:
        for n in range(50):
            group.create_task(work(n))
    assert (most, now, turns.waiting) == (at_once, 0, 0)
