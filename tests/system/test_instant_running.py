"""Instant clones of a guest that goes on: its process, its disks, what the clones stand on, and the end of that."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon
from support.faults import ask_and_die, assert_whole, wait_idle
from support.instant import leave_marks, remove, say
from tarmac.lib import places
from tarmac.services.instant.freezing import STATE_BYTES
from tarmac.services.storage.volume_plans import OVERLAY_BYTES

SOURCE = 100


@pytest.fixture(scope="module")
def site(tiny_image: Path) -> Iterator[TestDaemon]:
    """A daemon with one running guest, its memory in a file, which has left a mark in memory and one on disk."""
    with test_daemon() as daemon:
        image = daemon.add_image(tiny_image)
        daemon.create(SOURCE, image, instant=1, net0="virtio", name="source", ide2="local:cloudinit")
        daemon.task("POST", f"{daemon.qemu}/{SOURCE}/status/start")
        daemon.wait_agent(SOURCE)
        leave_marks(daemon, SOURCE)
        yield daemon


@pytest.fixture(autouse=True)
def whole(site: TestDaemon) -> Iterator[None]:
    """Every test leaves the source alone on its own disk again, and nothing else."""
    before = site.get(f"{site.qemu}/{SOURCE}/config")["scsi0"]
    yield
    if site.process is None or site.process.poll() is not None:
        site.start()
    wait_idle(site, 200)
    for row in sorted(site.get(site.qemu), key=lambda row: -int(row["vmid"])):
        if row["vmid"] != SOURCE and not row.get("template"):
            remove(site, row["vmid"])
    eventually(lambda: [row["vmid"] for row in site.get(site.qemu)] == [SOURCE], 60)
    wait_idle(site, 60)
    assert site.get(f"{site.qemu}/{SOURCE}/config")["scsi0"] == before
    assert say(site, SOURCE, "cat /run/mark /data/mark") == "in-memory\non-disk\n"
    assert_whole(site)


def clone(daemon: TestDaemon, source: int = SOURCE, **params: Any) -> dict[str, Any]:
    return daemon.task("POST", f"{daemon.qemu}/{source}/clone", instant=1, **params)


def frozen(daemon: TestDaemon) -> list[int]:
    """The frozen states there are."""
    return [row["vmid"] for row in daemon.get(daemon.qemu) if row.get("template")]


def test_the_source_goes_on_beside_its_clones(site: TestDaemon) -> None:
    pid = site.status(SOURCE)["pid"]
    plan = site.post(f"{site.qemu}/{SOURCE}/clone", instant=1, newid=201, count=2, dryrun=1)
    assert any("less than 0.5 s" in line for line in plan["effects"]), plan
    takes = {step["step"]: step["takes"] for step in plan["steps"] if "takes" in step}
    assert takes == {  # claimed before the first step, so that others do not get it
        "volume-allocate": {"local": STATE_BYTES},
        "frozen-layer": {"local": OVERLAY_BYTES},
        "instant-launch": {"local": 2 * OVERLAY_BYTES},
    }
    done = clone(site, newid=201, count=2, name="c{n}")
    assert done["result"]["vmids"] == [201, 202]
    source = done["result"]["source"]
    assert source["vmid"] == SOURCE and 0 < source["times"]["stands"] < 5
    assert site.status(SOURCE)["pid"] == pid and site.status(SOURCE)["qmpstatus"] == "running"
    assert say(site, 201, "cat /run/mark /data/mark; hostname") == "in-memory\non-disk\nc1\n"
    say(site, SOURCE, "echo of-the-source >/data/later; sync")
    say(site, 201, "echo of-201 >/data/later; sync")
    assert say(site, 202, "ls /data/later 2>&1; hostname; true").endswith("c2\n")
    assert say(site, SOURCE, "cat /data/later; hostname").startswith("of-the-source\n")
    [state] = frozen(site)
    assert source["frozen"] == state
    status = site.status(state)
    assert (status["memory-held"], status["instant-clones"]) == (128 << 20, 2)
    eventually(lambda: site.status(202).get("memory-shared", 0) > 20 << 20)
    with pytest.raises(ApiError) as caught:
        site.delete(f"{site.qemu}/{state}")
    assert "201" in json.dumps(caught.value.body)
    remove(site, 201)
    assert frozen(site) == [state] and site.status(state)["memory-held"] == 128 << 20, "one still runs on it"
    remove(site, 202)
    eventually(lambda: not frozen(site), 60)
    assert say(site, SOURCE, "cat /data/later; rm /data/later") == "of-the-source\n"


def test_a_clone_that_cannot_start_is_undone_alone(site: TestDaemon) -> None:
    sock = places.api_socket(site.data)
    assert sock is not None
    obstacle = sock.parent / "302"
    obstacle.touch()
    try:
        upid = site.post(f"{site.qemu}/{SOURCE}/clone", instant=1, newid=301, count=3)
        done = site.wait_task(upid)
    finally:
        obstacle.unlink()
    assert done["exitstatus"] == "WARNINGS: 1", done
    assert done["result"]["vmids"] == [301, 303]
    outcomes = {row["vmid"]: row["outcome"] for row in done["result"]["clones"]}
    assert outcomes[301] == outcomes[303] == "OK" and "302" in outcomes[302]
    assert "WARN: clone 302" in site.task_log(upid)
    assert say(site, 303, "cat /run/mark") == "in-memory\n"
    with pytest.raises(ApiError) as caught:
        site.status(302)
    assert caught.value.status in (404, 500)


def test_a_source_that_stands_still_stands_on(site: TestDaemon) -> None:
    site.task("POST", f"{site.qemu}/{SOURCE}/status/suspend")
    clone(site, newid=311, name="awake")
    assert site.status(SOURCE)["qmpstatus"] == "paused"
    assert say(site, 311, "cat /run/mark; hostname") == "in-memory\nawake\n"
    remove(site, 311)
    eventually(lambda: not frozen(site), 60)
    site.task("POST", f"{site.qemu}/{SOURCE}/status/resume")
    assert say(site, SOURCE, "echo on >/data/on; sync; cat /data/on; rm /data/on") == "on\n"


@pytest.fixture
def plain(site: TestDaemon) -> Iterator[int]:
    """Another guest, whose memory is in no file."""
    site.create(110, "local:import/tiny.qcow2", net0="virtio", name="plain", cpu="max")
    site.task("POST", f"{site.qemu}/110/status/start")
    site.wait_agent(110)
    say(site, 110, "echo plain >/run/mark; echo plain >/data/mark; sync")
    yield 110


def test_any_guest_and_a_clone_of_a_clone(site: TestDaemon, plain: int) -> None:
    """What stands on what goes in the right order, and what each has written stays its own."""
    pid = site.status(plain)["pid"]
    plan = site.post(f"{site.qemu}/{plain}/clone", instant=1, dryrun=1)
    assert any("RAM are copied" in line and "stands for about" in line for line in plan["effects"]), plan
    clone(site, plain, newid=211, name="first")
    say(site, 211, "echo first >/run/first; echo first >/data/first; sync")
    clone(site, 211, newid=212, name="second")
    assert say(site, 212, "cat /run/mark /data/mark /run/first /data/first; hostname") == (
        "plain\nplain\nfirst\nfirst\nsecond\n"
    )
    assert site.status(plain)["pid"] == pid
    assert say(site, 211, "cat /run/first; hostname") == "first\nfirst\n"
    assert len(frozen(site)) == 2
    remove(site, 211)  # the one in the middle: its disk is the base that the second stands on
    assert say(site, 212, "cat /data/first") == "first\n"
    remove(site, 212)
    eventually(lambda: not frozen(site), 60)
    assert say(site, plain, "cat /data/mark") == "plain\n"


def test_a_source_that_is_removed_or_started_anew(site: TestDaemon, plain: int) -> None:
    clone(site, plain, newid=221, name="heir")
    site.task("POST", f"{site.qemu}/{plain}/status/stop")
    site.task("POST", f"{site.qemu}/{plain}/status/start")
    site.wait_agent(plain)
    say(site, plain, "echo anew >/data/anew; sync")
    clone(site, plain, newid=222, name="second")
    assert len(frozen(site)) == 2
    remove(site, 222)
    eventually(lambda: len(frozen(site)) == 1, 60)
    remove(site, 221)
    wait_idle(site, 60)
    # This QEMU has the older base open for reading only: that one waits for its end.
    assert say(site, plain, "cat /data/anew /data/mark") == "anew\nplain\n"
    site.task("POST", f"{site.qemu}/{plain}/status/stop")
    eventually(lambda: not frozen(site), 60)
    site.task("POST", f"{site.qemu}/{plain}/status/start")
    site.wait_agent(plain)
    assert say(site, plain, "cat /data/anew /data/mark") == "anew\nplain\n"
    clone(site, plain, newid=223, name="orphan")
    remove(site, plain)
    assert say(site, 223, "cat /data/anew; hostname") == "anew\norphan\n"
    assert len(frozen(site)) == 1


def test_a_source_with_snapshots(site: TestDaemon, plain: int) -> None:
    """What stands on a snapshot's layer stays as it is, whatever becomes of the source: snapshots, a way back."""
    fill = "dd if=/dev/urandom of=/data/{0} bs=64k count=16 2>/dev/null; sync; sha256sum /data/{0}"
    site.task("POST", f"{site.qemu}/{plain}/snapshot", snapname="old")
    was = say(site, plain, fill.format("one"))
    clone(site, plain, newid=231, name="heir")
    assert say(site, 231, "sha256sum /data/one; cat /data/mark") == was + "plain\n"
    with pytest.raises(ApiError) as caught:
        site.delete(f"{site.qemu}/{plain}/snapshot/old")
    assert "clones: 231" in json.dumps(caught.value.body)
    site.task("POST", f"{site.qemu}/{plain}/snapshot", snapname="new")
    more = say(site, plain, fill.format("two"))
    site.task("DELETE", f"{site.qemu}/{plain}/snapshot/new")
    assert say(site, plain, "sha256sum /data/one /data/two") == was + more
    site.task("POST", f"{site.qemu}/{plain}/snapshot/old/rollback", start=1)
    site.wait_agent(plain)
    assert say(site, plain, "ls /data/one /data/two 2>/dev/null; cat /data/mark") == "plain\n"
    assert not [key for key in site.get(f"{site.qemu}/{plain}/config") if key.startswith("unused")]
    site.task("POST", f"{site.qemu}/231/status/stop")
    site.task("POST", f"{site.qemu}/231/status/start")
    site.wait_agent(231)
    assert say(site, 231, "sha256sum /data/one; cat /data/mark") == was + "plain\n"
    remove(site, 231)
    eventually(lambda: not frozen(site), 60)
    upid = site.delete(f"{site.qemu}/{plain}/snapshot/old")  # its QEMU has it open for reading only
    assert site.wait_task(upid)["error"]["code"] == "snapshot-open-read-only"
    site.task("POST", f"{site.qemu}/{plain}/status/stop")
    site.task("DELETE", f"{site.qemu}/{plain}/snapshot/old")
    site.task("POST", f"{site.qemu}/{plain}/status/start")
    site.wait_agent(plain)
    assert say(site, plain, "cat /data/mark") == "plain\n"
    assert "snap-" not in " ".join(path.name for path in (site.data / "storage/images").glob("*/*"))


def test_a_raw_disk_stays_raw(site: TestDaemon) -> None:
    """Its guest goes on with a qcow2 overlay meanwhile; the daemon's end at the moment of the freeze is undone."""
    site.create(
        130, "local:import/tiny.qcow2", instant=1, scsi0="local:0,import-from=local:import/tiny.qcow2,format=raw"
    )
    site.task("POST", f"{site.qemu}/130/status/start")
    site.wait_agent(130)
    site.restart(crash_at="frozen-take:switched")
    ask_and_die(site, lambda: site.post(f"{site.qemu}/130/clone", instant=1, newid=131))
    site.start()
    wait_idle(site, 120)
    disk = site.get(f"{site.qemu}/130/config")["scsi0"]
    assert disk.startswith("local:130/vm-130-disk-0.raw,") and not frozen(site)
    say(site, 130, "echo raw >/data/mark; sync")
    clone(site, 130, newid=131)
    assert "/130/vm-130-disk-0.qcow2" in site.get(f"{site.qemu}/130/config")["scsi0"]
    assert say(site, 131, "cat /data/mark") == "raw\n"
    say(site, 130, "echo later >/data/later; sync")
    remove(site, 131)
    eventually(lambda: not frozen(site), 60)
    assert site.get(f"{site.qemu}/130/config")["scsi0"] == disk
    assert say(site, 130, "cat /data/mark /data/later") == "raw\nlater\n"


MOMENTS = [
    "frozen-reserve:after-effect",
    "frozen-layer:after-effect",
    "frozen-take:before-effect",
    "frozen-take:held",
    "frozen-take:switched",
    "frozen-take:after-effect",
    "frozen-name:after-effect",
    "instant-launch:made",
    "instant-launch:after-effect",
]


def test_a_crash_anywhere_lets_the_source_go_on(site: TestDaemon) -> None:
    """Undone as long as no clone has its identity, finished after that; what the source wrote meanwhile is kept, and
    so is its snapshot."""
    pid = site.status(SOURCE)["pid"]
    site.task("POST", f"{site.qemu}/{SOURCE}/snapshot", snapname="before")
    for number, moment in enumerate(MOMENTS):
        site.crash_at(moment)
        ask_and_die(site, lambda: site.post(f"{site.qemu}/{SOURCE}/clone", instant=1, newid=401))
        site.start()
        wait_idle(site, 120)
        assert [row["vmid"] for row in site.get(site.qemu)] == [SOURCE], moment
        status = site.status(SOURCE)
        assert (status["pid"], status["qmpstatus"]) == (pid, "running"), moment
        assert site.post(f"{site.qemu}/{SOURCE}/agent/fsfreeze-status")["result"] == "thawed", moment
        assert say(site, SOURCE, f"echo {number} >/data/number; sync; cat /data/mark") == "on-disk\n", moment
        assert_whole(site)
    site.crash_at("instant-identity:before-effect")
    ask_and_die(site, lambda: site.post(f"{site.qemu}/{SOURCE}/clone", instant=1, newid=402, name="late"))
    site.start()
    wait_idle(site, 120)
    assert say(site, 402, "cat /run/mark; hostname") == "in-memory\nlate\n"
    assert site.status(402)["instant"]["identity"] == "done"
    assert say(site, SOURCE, "cat /data/number; rm /data/number") == f"{len(MOMENTS) - 1}\n"
    remove(site, 402)
    eventually(lambda: not frozen(site), 60)
    site.task("DELETE", f"{site.qemu}/{SOURCE}/snapshot/before")


def test_clones_are_made_in_a_pool_and_leave_it_when_undone(site: TestDaemon) -> None:
    """Whoever may make guests in a pool only has them there; a number that is given back keeps none of its rights."""

    def members() -> list[int]:
        return [row["vmid"] for row in site.get("/pools/web", type="qemu")["members"]]

    with pytest.raises(ApiError, match="pool 'web' does not exist"):
        site.post(f"{site.qemu}/{SOURCE}/clone", instant=1, newid=451, pool="web")
    site.post("/pools", poolid="web")
    clone(site, newid=451, count=2, pool="web")
    assert members() == [451, 452]
    site.crash_at("instant-launch:after-effect")
    ask_and_die(site, lambda: site.post(f"{site.qemu}/{SOURCE}/clone", instant=1, newid=453, pool="web"))
    site.start()
    wait_idle(site, 120)
    assert members() == [451, 452]
    for vmid in (451, 452):
        remove(site, vmid)
    site.delete("/pools", poolid="web")


def test_a_crash_while_a_frozen_state_ends_is_finished(site: TestDaemon) -> None:
    for moment in ("frozen-join:before-effect", "frozen-join:after-effect", "frozen-rename:after-effect",
                   "frozen-forget:before-effect"):  # fmt: skip
        site.restart()
        clone(site, newid=411)
        say(site, SOURCE, f"echo {moment} >/data/moment; sync")
        site.crash_at(moment)
        remove(site, 411)
        assert site.wait_dead() == -signal.SIGKILL, moment
        site.start()
        eventually(lambda: not frozen(site), 60)
        wait_idle(site, 60)
        assert say(site, SOURCE, "cat /data/moment") == f"{moment}\n"


def test_a_crash_while_a_guest_without_a_memory_file_is_copied(site: TestDaemon, plain: int) -> None:
    pid = site.status(plain)["pid"]
    for moment in ("frozen-take:held", "frozen-take:switched", "instant-launch:before-effect"):
        site.crash_at(moment)
        ask_and_die(site, lambda: site.post(f"{site.qemu}/{plain}/clone", instant=1, newid=421))
        site.start()
        wait_idle(site, 120)
        status = site.status(plain)
        assert (status["pid"], status["qmpstatus"]) == (pid, "running"), moment
        assert say(site, plain, "cat /data/mark; sync") == "plain\n", moment
        assert not [
            words for words in _command_lines() if f"{places.api_socket(site.data).parent}/110/twin" in words
        ], moment
        assert not frozen(site)


def _command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text("utf-8", "replace"))
    return [words for words in found if "qemu-system" in words]
