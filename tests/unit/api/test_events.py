"""The event stream: snapshot, deltas, resume, tasks and their logs, rights that change. Real sockets, real services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from support.event_client import SECONDS, follow
from support.event_site import EventSite, event_site
from tarmac.model.conf_file import parse_conf
from tarmac.services.access.access import Identity

ROOT = Identity("root@pam")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[EventSite]:
    async with event_site(tmp_path) as running:
        yield running


async def test_snapshot_is_what_the_list_shows(house: EventSite) -> None:
    for vmid in (100, 101):
        await house.guest(vmid)
    async with follow(unix=house.unix) as client:
        await client.ready()
        listed = {row["id"]: row for row in json.loads(b"".join(await house.services.cluster.resources(ROOT)))}
        assert client.rows.keys() == listed.keys() == {"qemu/100", "qemu/101", "node/n1", "storage/n1/local"}
        assert client.rows["qemu/100"] == listed["qemu/100"]


async def test_a_guest_comes_changes_and_goes(house: EventSite) -> None:
    async with follow(unix=house.unix) as client:
        await client.ready()
        await house.guest(100, "name: one\n")
        await client.until_true(lambda: client.rows.get("qemu/100", {}).get("name") == "one")
        guests = house.services.guests
        await guests.write(guests.get(100), parse_conf("name: two\n"), user="root@pam")
        await client.until_true(lambda: client.rows["qemu/100"]["name"] == "two")
        await guests.remove(100)
        await client.until_true(lambda: "qemu/100" not in client.rows)
        numbers = [m["seq"] for m in client.messages if "seq" in m]
        assert numbers == sorted(numbers)


async def test_an_object_that_changes_often_is_told_once(house: EventSite) -> None:
    await house.guest(100)
    async with follow(unix=house.unix) as client:
        await client.ready()
        for number in range(50):
            guests = house.services.guests
            await guests.write(guests.get(100), parse_conf(f"name: n{number}\n"), user="root@pam")
        await client.until_true(lambda: client.rows["qemu/100"]["name"] == "n49")
        assert len([m for m in client.messages if m["type"] == "delta"]) < 25


async def test_resume_brings_what_was_missed_and_nothing_else(house: EventSite) -> None:
    await house.guest(100)
    await house.guest(101)
    async with follow(unix=house.unix) as client:
        await client.ready()
        await house.guest(102)
        await client.until_true(lambda: "qemu/102" in client.rows)
        epoch, seq = client.epoch, client.seq
    await house.services.guests.remove(101)
    await house.guest(103)
    async with follow(unix=house.unix, query=f"?epoch={epoch}&since={seq}") as client:
        await client.ready()
        await client.until_true(lambda: "qemu/103" in client.rows)
        assert client.messages[0]["type"] == "resume"
        assert set(client.rows) == {"qemu/103"}
        assert "qemu/101" in [key for m in client.messages for key in m.get("gone", ())]


@pytest.mark.parametrize("query", ["?epoch=another&since=0", "?since=0", "?epoch={epoch}&since=999999"])
async def test_what_cannot_be_resumed_is_told_and_begins_anew(house: EventSite, query: str) -> None:
    await house.guest(100)
    async with follow(unix=house.unix, query=query.format(epoch=house.services.events.epoch)) as client:
        await client.ready()
        assert [m["type"] for m in client.messages] == ["resync", "snapshot"]
        assert "qemu/100" in client.rows


async def test_where_too_much_is_forgotten_it_begins_anew(house: EventSite) -> None:
    house.services.events.changes._gone_kept = 0
    await house.guest(100)
    async with follow(unix=house.unix) as client:
        await client.ready()
        epoch, seq = client.epoch, client.seq
        await house.services.guests.remove(100)
        await client.until_true(lambda: "qemu/100" not in client.rows)
        assert "resync" in [m["type"] for m in client.messages]
    async with follow(unix=house.unix, query=f"?epoch={epoch}&since={seq}") as client:
        await client.ready()
        assert client.messages[0]["type"] == "resync"


async def test_where_just_nothing_is_forgotten_it_goes_on(house: EventSite) -> None:
    changes = house.services.events.changes
    await house.guest(100)
    changes.floor = changes.seq
    async with follow(unix=house.unix, query=f"?epoch={house.services.events.epoch}&since={changes.seq}") as client:
        await client.ready()
        assert client.messages[0]["type"] == "resume"


async def test_a_task_from_its_start_to_its_end_with_its_lines(house: EventSite) -> None:
    async with follow(unix=house.unix) as client:
        await client.ready()
        upid = await house.services.jobs.submit("test", id="100", user="root@pam")
        await client.until_true(lambda: client.tasks.get(upid, {}).get("progress") is not None)
        assert client.tasks[upid]["progress"] == {"done": 1, "total": 4, "unit": "steps"}
        assert client.tasks[upid]["status"] == "RUNNING"
        await client.send(tasks=[upid])
        await client.until(lambda m: m["type"] == "log")
        house.gate.set()
        await client.until(lambda m: m["type"] == "log" and m["end"])
        await client.until_true(lambda: client.tasks[upid]["status"] == "OK")
    parts = [m for m in client.messages if m["type"] == "log"]
    lines = [line for part in parts for line in part["lines"]]
    assert [part["start"] for part in parts] == [sum(len(p["lines"]) for p in parts[:i]) for i in range(len(parts))]
    assert lines == (await house.services.jobs.log(upid, limit=0))[1]
    assert lines[-1] == "TASK OK"


async def test_the_log_of_a_task_that_ended_long_ago(house: EventSite) -> None:
    house.gate.set()
    upid = await house.services.jobs.submit("test", id="100", user="root@pam")
    await house.services.jobs.wait(upid)
    async with follow(unix=house.unix, query=f"?tasks={upid}") as client:
        last = await client.until(lambda m: m["type"] == "log")
        assert last["end"] == 1 and last["lines"][-1] == "TASK OK"


async def test_each_sees_what_he_may(house: EventSite) -> None:
    await house.guest(100)
    await house.guest(101)
    headers = await house.user("joe@pve", "/vms/100")
    async with follow(port=house.site.port, headers=headers) as client:
        await client.ready()
        assert set(client.rows) == {"qemu/100", "node/n1"}
        other = await house.services.jobs.submit("test", id="1", user="root@pam")
        own = await house.services.jobs.submit("test", id="2", user="joe@pve!token")
        await client.send(tasks=[other, own])
        await client.until(lambda m: m["type"] == "log")
        await client.until_true(lambda: own in client.tasks)
        await house.guest(102)
        house.gate.set()
        await client.until_true(lambda: client.tasks[own]["status"] == "OK")
        assert other not in client.tasks and "qemu/102" not in client.rows
        assert {m["upid"] for m in client.messages if m["type"] == "log"} == {own}


async def test_rights_that_change_are_followed(house: EventSite) -> None:
    await house.guest(100)
    await house.guest(101)
    headers = await house.user("joe@pve", "/vms/100")
    async with follow(port=house.site.port, headers=headers) as client:
        await client.ready()
        await house.grant("joe@pve", "/vms/101")
        await client.until_true(lambda: "qemu/101" in client.rows)
        await house.grant("joe@pve", "/vms/100", delete=True)
        await client.until_true(lambda: "qemu/100" not in client.rows)
        epoch, seq = client.epoch, client.seq
        await house.grant("joe@pve", "/vms/101", delete=True)
        await client.until_true(lambda: "qemu/101" not in client.rows)
    # Who was away when the rights changed may not keep what it has seen.
    async with follow(port=house.site.port, headers=headers, query=f"?epoch={epoch}&since={seq}") as client:
        await client.ready()
        assert client.messages[0]["type"] == "resync" and set(client.rows) == {"node/n1"}


async def test_it_ends_with_the_user_and_with_the_token(house: EventSite) -> None:
    headers = await house.user("joe@pve")
    made = await house.services.tokens.create("joe@pve", "tok", by="root@pam")
    token = {"Authorization": f"PVEAPIToken={made['full-tokenid']}={made['value']}"}
    async with (
        follow(port=house.site.port, headers=headers) as by_ticket,
        follow(port=house.site.port, headers=token) as by_token,
    ):
        await by_ticket.ready()
        await by_token.ready()
        await house.services.tokens.delete("joe@pve", "tok", by="root@pam")
        assert "token" in (await by_token.until(lambda m: m["type"] == "end"))["reason"]
        assert await by_token.next() is None
        await house.services.users.update("joe@pve", by="root@pam", enable=False)
        assert (await by_ticket.until(lambda m: m["type"] == "end"))["reason"]
        assert await by_ticket.next() is None


async def test_it_ends_with_the_login(house: EventSite) -> None:
    follower = house.services.events.subscribe(ROOT, until=0)
    await house.services.events.check()
    messages = [message async for message in follower.messages() if message]
    assert [m.type for m in messages] == ["snapshot", "end"]
    assert b"login has ended" in messages[-1].text
    follower.close()


async def test_another_servers_page_may_not_open_it(house: EventSite) -> None:
    headers = await house.user("joe@pve")
    for origin in ("https://evil.example", f"http://127.0.0.1:{house.site.port}"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with follow(port=house.site.port, headers={**headers, "Origin": origin}):
                pass
        assert refused.value.status == 403
    own = {**headers, "Origin": f"https://127.0.0.1:{house.site.port}"}
    async with follow(port=house.site.port, headers=own) as client:
        await client.ready()


async def test_nobody_without_a_login(house: EventSite) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with follow(port=house.site.port):
            pass
    assert refused.value.status == 401


@pytest.mark.parametrize("text", ["no json", "[1]", '{"watch": 1}', '{"unknown": []}'])
async def test_what_is_no_wish_ends_it(house: EventSite, text: str) -> None:
    async with follow(unix=house.unix) as client:
        await client.ready()
        await client.socket.send_str(text)
        assert await client.next() is None
        assert client.socket.close_code == 1003


async def test_figures_of_what_is_watched(house: EventSite) -> None:
    async with follow(unix=house.unix) as client:
        await client.ready()
        await client.send(watch=["node/n1", "qemu/1", "nonsense", "qemu/x"])
        message = await client.until(lambda m: m["type"] == "metrics")
        assert [row[0] for row in message["rows"]] == ["node/n1"]
        assert house.services.events.wanted() >= {"node/n1", "qemu/1"}
        row = dict(zip(message["columns"], message["rows"][0], strict=True))
        assert row["mem"] == house.services.nodes.sample.memory["used"]


async def test_one_that_does_not_read_costs_a_position(house: EventSite) -> None:
    """It is told less and newer, not more and later: nothing is queued for it."""
    events = house.services.events
    slow = events.subscribe(ROOT, until=float("inf"))
    stream = slow.messages()
    assert (await anext(stream)).type == "snapshot"  # type: ignore[union-attr]
    async with follow(unix=house.unix) as quick:
        await quick.ready()
        for vmid in range(100, 130):
            await house.guest(vmid)
            guests = house.services.guests
            for number in range(10):
                await guests.write(guests.get(vmid), parse_conf(f"name: n{number}\n"), user="root@pam")
        await quick.until_true(lambda: quick.rows.get("qemu/129", {}).get("name") == "n9")
        await quick.until_true(lambda: len(quick.rows) == 32)
    missed = json.loads((await anext(stream)).text)  # type: ignore[union-attr]
    assert {row["name"] for row in missed["rows"] if row["type"] == "qemu"} == {"n9"}
    assert len(missed["rows"]) == 30 and missed["seq"] == events.changes.seq
    await stream.aclose()
    slow.close()


async def test_server_sent_events_carry_the_same_and_resume(house: EventSite) -> None:
    await house.guest(100)
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(house.unix)) as session:
        async with session.get("http://localhost/api2/events") as reply:
            assert reply.headers["Content-Type"] == "text/event-stream"
            # A busy server may tell it in several pieces, of which the last has the position.
            blocks = await _blocks(reply, lambda block: '"more":0' in block["data"])
            assert {block["event"] for block in blocks} == {"snapshot"}
            assert any("qemu/100" in block["data"] for block in blocks)
        await house.guest(101)
        headers = {"Last-Event-ID": blocks[-1]["id"]}
        async with session.get("http://localhost/api2/events", headers=headers) as reply:
            # What else goes on (figures of the storage, say) may be told before it.
            blocks = await _blocks(reply, lambda block: "qemu/101" in block["data"])
            assert blocks[0]["event"] == "resume" and "snapshot" not in [block["event"] for block in blocks]
        async with session.get("http://localhost/api2/events", headers={"Last-Event-ID": "x"}) as reply:
            assert reply.status == 400


async def _blocks(reply: aiohttp.ClientResponse, last: Callable[[dict[str, str]], bool]) -> list[dict[str, str]]:
    """The events that come, up to the first of which `last` is true; without the comments that keep it alive."""
    found: list[dict[str, str]] = [{}]
    async with asyncio.timeout(SECONDS):
        while "data" not in found[-1] or not last(found[-1]):
            found.append({})
            while line := (await reply.content.readline()).decode().rstrip("\n"):
                key, _, value = line.partition(": ")
                found[-1][key] = value
    return [block for block in found if "data" in block]
