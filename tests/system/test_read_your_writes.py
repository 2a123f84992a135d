"""What one has written one reads, by whatever way one comes back: over the unix socket, over TLS with token or ticket,
and by the event stream. And of two writers with digests neither loses an update."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon
from support.event_client import EventClient, follow
from support.faults import CPU_STOPPED
from support.walk import Somebody
from tarmac.lib import places

CHANGED = "checksum mismatch (file change by other user?)"
Way = Callable[..., Any]


@pytest.fixture(scope="module")
def ways(daemon: TestDaemon) -> dict[str, Way]:
    """Each way to call: `way(method, path, **params)` gives the reply's data, and raises ApiError."""
    daemon.post("/access/users", userid="writer@pve", password="a good password")
    daemon.put("/access/acl", path="/", users="writer@pve", roles="Administrator")
    made = daemon.post("/access/users/writer@pve/token/way", privsep=0)
    login = daemon.post("/access/ticket", username="writer@pve", password="a good password")
    cookie = {"Cookie": f"PVEAuthCookie={login['ticket']}", "CSRFPreventionToken": login["CSRFPreventionToken"]}
    people = {
        "token": Somebody.of_token(daemon, made["full-tokenid"], made["value"]),
        "ticket": Somebody(daemon, cookie),
    }

    def over_tls(somebody: Somebody) -> Way:
        def call(method: str, path: str, **params: Any) -> Any:
            status, reason, body = somebody.call(method, path, params)
            if status >= 400:
                raise ApiError(status, reason, body or {})
            return body["data"]

        return call

    return {"unix": daemon.call, **{name: over_tls(somebody) for name, somebody in people.items()}}


@pytest.fixture(scope="module")
def guest(daemon: TestDaemon) -> str:
    daemon.task("POST", daemon.qemu, vmid=100, **CPU_STOPPED)
    return f"{daemon.qemu}/100"


NAMES = (f"name-{n}" for n in itertools.count())


def seen(way: Way, daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    """The guest's row wherever it is shown."""
    rows = [row for row in way("GET", daemon.qemu) if row["vmid"] == vmid]
    more = [row for row in way("GET", "/cluster/resources", type="vm") if row["vmid"] == vmid]
    assert len(rows) == len(more) <= 1
    if not rows:
        return {}
    status = way("GET", f"{daemon.qemu}/{vmid}/status/current")
    config = way("GET", f"{daemon.qemu}/{vmid}/config")
    for key in ("name", "status"):
        assert rows[0][key] == more[0][key] == status[key], (key, rows[0], more[0], status)
    assert config["name"] == rows[0]["name"]
    return dict(rows[0])


@pytest.mark.parametrize(("writer", "reader"), list(itertools.product(["unix", "token", "ticket"], repeat=2)))
def test_a_change_is_read_at_once(
    daemon: TestDaemon, ways: dict[str, Way], guest: str, writer: str, reader: str
) -> None:
    for name in itertools.islice(NAMES, 5):
        ways[writer]("PUT", f"{guest}/config", name=name)
        assert seen(ways[reader], daemon, 100)["name"] == name


@pytest.mark.parametrize(("writer", "reader"), [("unix", "token"), ("token", "ticket"), ("ticket", "unix")])
def test_what_a_task_has_done_is_read_when_it_has_ended(
    daemon: TestDaemon, ways: dict[str, Way], writer: str, reader: str
) -> None:
    def done(method: str, path: str, **params: Any) -> None:
        upid = ways[writer](method, path, **params)
        while ways[reader]("GET", f"/nodes/{daemon.node}/tasks/{upid}/status")["status"] != "stopped":
            pass

    one = f"{daemon.qemu}/150"
    done("POST", daemon.qemu, vmid=150, name="made", **CPU_STOPPED)
    assert seen(ways[reader], daemon, 150)["status"] == "stopped"
    with pytest.raises(ApiError) as taken:
        ways[reader]("GET", "/cluster/nextid", vmid=150)
    assert taken.value.errors == {"vmid": "VM 150 already exists"}
    done("POST", f"{one}/status/start")
    assert seen(ways[reader], daemon, 150)["status"] == "running"
    done("POST", f"{one}/status/stop")
    assert seen(ways[reader], daemon, 150)["status"] == "stopped"
    done("POST", f"{one}/snapshot", snapname="sn")
    assert [row["name"] for row in ways[reader]("GET", f"{one}/snapshot")] == ["sn", "current"]
    done("DELETE", one)
    assert seen(ways[reader], daemon, 150) == {}


@pytest.mark.parametrize("writer", ["unix", "token", "ticket"])
async def test_the_event_stream_and_the_lists_agree(
    daemon: TestDaemon, ways: dict[str, Way], guest: str, writer: str
) -> None:
    """Who follows is told; what he was told every list shows; who begins to follow after a reply sees it at once."""
    sock = str(places.api_socket(daemon.data))
    async with follow(unix=sock) as early:
        await early.ready()
        for name in itertools.islice(NAMES, 5):
            await asyncio.to_thread(ways[writer], "PUT", f"{guest}/config", name=name)
            async with follow(unix=sock) as late:
                await late.ready()
                assert late.rows["qemu/100"]["name"] == name
            await _told(early, name)
            for reader in ways.values():
                assert (await asyncio.to_thread(seen, reader, daemon, 100))["name"] == name


async def _told(client: EventClient, name: str) -> None:
    await client.until_true(lambda: client.rows["qemu/100"]["name"] == name)


@pytest.mark.parametrize(("one", "two"), [("unix", "unix"), ("unix", "token"), ("token", "ticket")])
def test_of_two_writers_with_digests_neither_loses_an_update(
    ways: dict[str, Way], guest: str, one: str, two: str
) -> None:
    """Both add their lines to the same text. Without the digest lines would be missing."""
    ways[one]("PUT", f"{guest}/config", description="begin")
    refused: list[str] = []

    def write(way: Way, who: str) -> None:
        for number in range(15):
            while True:
                config = way("GET", f"{guest}/config")
                text = f"{config['description'].rstrip()}\n{who}{number}"
                try:
                    way("PUT", f"{guest}/config", description=text, digest=config["digest"])
                    break
                except ApiError as problem:
                    assert problem.reason == CHANGED, problem
                    refused.append(who)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, [ways[one], ways[two]], ["a", "b"]))
    lines = ways[two]("GET", f"{guest}/config")["description"].split()
    assert sorted(lines) == sorted(["begin", *(f"{who}{number}" for who in "ab" for number in range(15))])


def test_a_digest_of_yesterday_changes_nothing(ways: dict[str, Way], guest: str) -> None:
    digest = ways["unix"]("GET", f"{guest}/config")["digest"]
    ways["token"]("PUT", f"{guest}/config", tags="new")
    before = ways["unix"]("GET", f"{guest}/config")
    for method in ("PUT", "POST"):
        with pytest.raises(ApiError) as refused:
            ways["ticket"](method, f"{guest}/config", tags="lost", digest=digest)
        assert (refused.value.status, refused.value.reason) == (500, CHANGED)
    assert ways["unix"]("GET", f"{guest}/config") == before


def test_the_ways_are_three(ways: dict[str, Way]) -> None:
    assert [way("GET", "/version")["release"] for way in ways.values()] == ["9.1"] * 3
