"""QMP events for many listeners: nothing blocks, losses are told, the end ends."""

from __future__ import annotations

import asyncio

from tarmac.drivers.qemu.events import RESYNC, EventHub, QmpEvent


def event(name: str) -> QmpEvent:
    return QmpEvent(name=name)


async def test_only_what_was_asked_for_and_only_from_then_on() -> None:
    hub = EventHub()
    hub.publish(event("BEFORE"))
    everything, stops = hub.subscribe(), hub.subscribe("STOP")
    for name in ("RESUME", "STOP"):
        hub.publish(event(name))
    hub.close()
    assert [e.name async for e in everything] == ["RESUME", "STOP"]
    assert [e.name async for e in stops] == ["STOP"]
    assert [e.name async for e in hub.subscribe()] == []


async def test_waiting_reader_is_woken_by_event_and_by_end() -> None:
    hub = EventHub()
    names: list[str] = []

    async def follow() -> None:
        with hub.subscribe() as events:
            started.set()
            async for e in events:
                names.append(e.name)

    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        await started.wait()
        hub.publish(event("A"))
        await asyncio.sleep(0)
        hub.publish(event("B"))
        await asyncio.sleep(0)
        hub.close()
    assert names == ["A", "B"]


async def test_slow_listener_is_told_that_it_lost_events() -> None:
    hub = EventHub()
    slow = hub.subscribe("A")
    for _ in range(5000):
        hub.publish(event("A"))
    hub.close()
    names = [e.name async for e in slow]
    assert len(names) <= 1024
    assert names[0] == RESYNC


async def test_left_listener_gets_nothing_and_ends() -> None:
    hub = EventHub()
    with hub.subscribe() as events:
        hub.publish(event("A"))
    hub.publish(event("B"))
    assert [e.name async for e in events] == ["A"]
