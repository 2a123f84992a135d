"""kill -9 of the daemon at every journaled point of every kind of work: the next daemon finishes it or undoes it.

The steps are read from the plan, so a step that is added later is tested without anybody thinking of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED, PHASES, ask_and_die, assert_whole, task_rows, wait_idle
from support.obliging_guest import OBLIGING, wait_up

SMALL = "local:0.001"
_numbers = itertools.count(10_000)


@dataclass(frozen=True)
class Work:
    """One kind of work. `ready` makes the guest it is done to; `ask` asks for it; `done` says whether it is done."""

    kind: str
    ready: Callable[[TestDaemon, int], None]
    method: str
    path: str
    params: dict[str, Any]
    done: Callable[[TestDaemon, int], bool]

    def ask(self, daemon: TestDaemon, vmid: int, **more: Any) -> Any:
        return daemon.call(self.method, self.path.format(qemu=daemon.qemu, vmid=vmid), **self._own(vmid), **more)

    def _own(self, vmid: int) -> dict[str, Any]:
        return {"vmid": vmid, **self.params} if self.kind == "qmcreate" else self.params


def nothing(daemon: TestDaemon, vmid: int) -> None:
    pass


def stopped(daemon: TestDaemon, vmid: int) -> None:
    daemon.task("POST", daemon.qemu, vmid=vmid, scsi0=SMALL, scsi1=SMALL, **CPU_STOPPED)


def running(daemon: TestDaemon, vmid: int) -> None:
    stopped(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")


def with_pending(daemon: TestDaemon, vmid: int) -> None:
    """Stopped, with a change that waits for the start, and a cloud-init medium to bring up to date."""
    daemon.task("POST", daemon.qemu, vmid=vmid, scsi0=SMALL, ide2="local:cloudinit", **CPU_STOPPED)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/config", cores=2)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")


def obliging(daemon: TestDaemon, vmid: int) -> None:
    """A guest that runs, answers the power button and lets go of devices."""
    devices = {"scsi1": SMALL, "net1": "virtio", "scsihw": "virtio-scsi-single"}
    daemon.task("POST", daemon.qemu, vmid=vmid, **OBLIGING, **devices)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    wait_up(daemon, vmid)


def obliging_pending(daemon: TestDaemon, vmid: int) -> None:
    """The same with a change that waits for the next start."""
    obliging(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/config", cores=2)


def with_unused(daemon: TestDaemon, vmid: int) -> None:
    stopped(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/config", delete="scsi1")


def as_template(daemon: TestDaemon, vmid: int) -> None:
    """A template with two disks and a cloud-init medium whose documents are its owner's."""
    daemon.task("POST", daemon.qemu, vmid=vmid, scsi0=SMALL, scsi1=IMPORT, ide2="local:cloudinit", **CPU_STOPPED)
    daemon.put(f"{daemon.qemu}/{vmid}/cloudinit/documents/user", content="#cloud-config\n")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/template")


COMMON_TEMPLATE = 9_500


def as_linked_clone(daemon: TestDaemon, vmid: int) -> None:
    """A linked clone of a template that stays for all cases."""
    if not exists(daemon, COMMON_TEMPLATE):
        as_template(daemon, COMMON_TEMPLATE)
    daemon.task("POST", f"{daemon.qemu}/{COMMON_TEMPLATE}/clone", newid=vmid)


def as_running_clone(daemon: TestDaemon, vmid: int) -> None:
    as_linked_clone(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")


def stands_alone(daemon: TestDaemon, vmid: int) -> bool:
    """Whether none of its disks stands on a template's; a crash in the midst may leave one that does."""
    return "base-" not in str(daemon.get(f"{daemon.qemu}/{vmid}/config"))


def with_memory_file(daemon: TestDaemon, vmid: int) -> None:
    settings = {"scsi0": SMALL, "scsi1": SMALL, "ide2": "local:cloudinit", "instant": 1, **CPU_STOPPED}
    daemon.task("POST", daemon.qemu, vmid=vmid, **settings)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")


def as_live_template(daemon: TestDaemon, vmid: int) -> None:
    with_memory_file(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/template", live=1)


def live_or_running(daemon: TestDaemon, vmid: int) -> bool:
    """Whether it is a live template; if not, the guest runs as before."""
    if "vmstate" in daemon.get(f"{daemon.qemu}/{vmid}/config"):
        return True
    assert runs(daemon, vmid), "what was not finished is undone: the guest goes on"
    return False


def clones(daemon: TestDaemon, vmid: int) -> list[int]:
    return [row["vmid"] for row in daemon.get(f"{daemon.qemu}/{vmid}/clones")]


def has_clones(count: int) -> Callable[[TestDaemon, int], bool]:
    return lambda daemon, vmid: exists(daemon, vmid) and len(clones(daemon, vmid)) == count


def with_snapshots(daemon: TestDaemon, vmid: int) -> None:
    """Stopped, with two snapshots."""
    stopped(daemon, vmid)
    for name in ("one", "two"):
        daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname=name)


def with_snapshots_running(daemon: TestDaemon, vmid: int) -> None:
    """Running, with two snapshots that were taken while it ran, the last one with its memory."""
    running(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="one")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="two", vmstate=1)


def with_three_snapshots(daemon: TestDaemon, vmid: int) -> None:
    with_snapshots_running(daemon, vmid)
    daemon.task("POST", f"{daemon.qemu}/{vmid}/snapshot", snapname="three")


def has_snapshot(name: str) -> Callable[[TestDaemon, int], bool]:
    return lambda daemon, vmid: name in [r["name"] for r in daemon.get(f"{daemon.qemu}/{vmid}/snapshot")]


def no_snapshot(name: str) -> Callable[[TestDaemon, int], bool]:
    return lambda daemon, vmid: not has_snapshot(name)(daemon, vmid)


def stands_on(name: str) -> Callable[[TestDaemon, int], bool]:
    return lambda daemon, vmid: daemon.get(f"{daemon.qemu}/{vmid}/snapshot")[-1].get("parent") == name


def exists(daemon: TestDaemon, vmid: int) -> bool:
    try:
        return bool(daemon.get(f"{daemon.qemu}/{vmid}/config"))
    except ApiError:
        return False


def with_pool(daemon: TestDaemon, vmid: int) -> None:
    if not daemon.get("/pools"):
        daemon.post("/pools", poolid="crowd")


def exists_in_its_pool(daemon: TestDaemon, vmid: int) -> bool:
    here = exists(daemon, vmid)
    assert here == (vmid in [row["vmid"] for row in daemon.get("/pools/crowd")["members"]])
    return here


def runs(daemon: TestDaemon, vmid: int) -> bool:
    return bool(daemon.status(vmid)["status"] == "running")


def rebooted(daemon: TestDaemon, vmid: int) -> bool:
    """It runs, and what waited for a start has come into force."""
    config = daemon.get(f"{daemon.qemu}/{vmid}/config", current=1)
    return runs(daemon, vmid) and config.get("cores") == 2


def config_lacks(key: str) -> Callable[[TestDaemon, int], bool]:
    return lambda daemon, vmid: key not in daemon.get(f"{daemon.qemu}/{vmid}/config")


def config_has(key: str, text: str) -> Callable[[TestDaemon, int], bool]:
    return lambda daemon, vmid: text in str(daemon.get(f"{daemon.qemu}/{vmid}/config").get(key, ""))


IMPORT = "local:0,import-from=local:import/small.qcow2"
CREATE = {"pool": "crowd", "scsi0": SMALL, "scsi1": IMPORT, "ide2": "local:cloudinit", **CPU_STOPPED}
GUEST = "{qemu}/{vmid}"
GROW = {"disk": "scsi0", "size": "4M"}
MOVE = {"disk": "scsi1", "storage": "local", "format": "raw", "delete": 1}
CHANGE = {"scsi2": SMALL, "name": "new"}
FREE = {"delete": "unused0", "name": "new"}
SNAPSHOT, ONE, TWO = GUEST + "/snapshot", GUEST + "/snapshot/one", GUEST + "/snapshot/two"
TAKE, TAKE_ALL = {"snapname": "new"}, {"snapname": "new", "vmstate": 1}
grown, renamed = config_has("scsi0", "size=4M"), config_has("name", "new")
WORKS = {
    "create": Work("qmcreate", with_pool, "POST", "{qemu}", CREATE, exists_in_its_pool),
    "create-and-start": Work("qmcreate", nothing, "POST", "{qemu}", {**CPU_STOPPED, "start": 1}, exists),
    "start": Work("qmstart", with_pending, "POST", GUEST + "/status/start", {}, runs),
    "stop": Work("qmstop", running, "POST", GUEST + "/status/stop", {}, lambda d, v: not runs(d, v)),
    "shutdown": Work("qmshutdown", obliging, "POST", GUEST + "/status/shutdown", {}, lambda d, v: not runs(d, v)),
    "reboot": Work("qmreboot", obliging_pending, "POST", GUEST + "/status/reboot", {}, rebooted),
    "resize": Work("resize", stopped, "PUT", GUEST + "/resize", GROW, grown),
    "resize-running": Work("resize", running, "PUT", GUEST + "/resize", GROW, grown),
    "delete": Work("qmdestroy", stopped, "DELETE", GUEST, {}, lambda d, v: not exists(d, v)),
    "config": Work("qmconfig", stopped, "POST", GUEST + "/config", CHANGE, renamed),
    "config-running": Work("qmconfig", running, "POST", GUEST + "/config", CHANGE, renamed),
    "plug-disk": Work("qmconfig", obliging, "POST", GUEST + "/config", {"scsi2": SMALL}, config_has("scsi2", "disk")),
    "unplug-disk": Work("qmconfig", obliging, "POST", GUEST + "/config", {"delete": "scsi1"}, config_lacks("scsi1")),
    "plug-card": Work(
        "qmconfig", obliging, "POST", GUEST + "/config", {"net2": "virtio"}, config_has("net2", "virtio")
    ),
    "unplug-card": Work("qmconfig", obliging, "POST", GUEST + "/config", {"delete": "net1"}, config_lacks("net1")),
    "template": Work("qmtemplate", stopped, "POST", GUEST + "/template", {}, config_has("template", "1")),
    "clone": Work("qmclone", as_template, "POST", GUEST + "/clone", {}, has_clones(1)),
    "clone-flatten": Work("qmclone", as_template, "POST", GUEST + "/clone", {"full": 1, "flatten": 1}, has_clones(1)),
    "flatten": Work("qmflatten", as_linked_clone, "POST", GUEST + "/flatten", {}, stands_alone),
    "flatten-running": Work("qmflatten", as_running_clone, "POST", GUEST + "/flatten", {}, stands_alone),
    "clone-full": Work("qmclone", stopped, "POST", GUEST + "/clone", {}, has_clones(1)),
    "clone-many": Work("qmclone", as_template, "POST", GUEST + "/clone", {"count": 3}, has_clones(3)),
    "clone-running": Work("qmclone", running, "POST", GUEST + "/clone", {}, has_clones(1)),
    "move": Work("qmmove", stopped, "POST", GUEST + "/move_disk", MOVE, config_has("scsi1", ".raw")),
    "move-running": Work("qmmove", running, "POST", GUEST + "/move_disk", MOVE, config_has("scsi1", ".raw")),
    "live-template": Work(
        "qmlivetemplate", with_memory_file, "POST", GUEST + "/template", {"live": 1}, live_or_running
    ),
    "instant-clones": Work(
        "qminstant", as_live_template, "POST", GUEST + "/clone", {"instant": 1, "count": 2}, has_clones(2)
    ),
    "snapshot": Work("qmsnapshot", with_snapshots, "POST", SNAPSHOT, TAKE, has_snapshot("new")),
    "snapshot-running": Work("qmsnapshot", running, "POST", SNAPSHOT, TAKE, has_snapshot("new")),
    "snapshot-memory": Work("qmsnapshot", running, "POST", SNAPSHOT, TAKE_ALL, has_snapshot("new")),
    "rollback": Work("qmrollback", with_snapshots, "POST", ONE + "/rollback", {}, stands_on("one")),
    "rollback-running": Work("qmrollback", with_snapshots_running, "POST", ONE + "/rollback", {}, stands_on("one")),
    "rollback-memory": Work("qmrollback", with_three_snapshots, "POST", TWO + "/rollback", {}, stands_on("two")),
    "delsnapshot": Work("qmdelsnapshot", with_snapshots, "DELETE", ONE, {}, no_snapshot("one")),
    "delsnapshot-running": Work("qmdelsnapshot", with_snapshots_running, "DELETE", ONE, {}, no_snapshot("one")),
    "delsnapshot-top": Work("qmdelsnapshot", with_snapshots_running, "DELETE", TWO, {}, no_snapshot("two")),
    "config-free": Work("qmconfig", with_unused, "POST", GUEST + "/config", FREE, renamed),
}


@pytest.fixture(scope="module")
def directory(small_image: Path, obliging_image: Path) -> Iterator[TestDaemon]:
    """One data directory for all cases; its daemon is ended between them."""
    with test_daemon() as daemon:
        daemon.add_image(small_image, "small.qcow2")
        daemon.add_image(obliging_image, "obliging.qcow2")
        yield daemon


@pytest.fixture
def site(directory: TestDaemon) -> Iterator[TestDaemon]:
    """The directory with a running daemon."""
    directory.restart()
    yield directory
    directory.end()


def _crash(daemon: TestDaemon, work: Work, vmid: int, point: str) -> None:
    """In the daemon's place comes one that dies at `point` of this work, and dies."""
    daemon.crash_at(point)
    ask_and_die(daemon, lambda: work.ask(daemon, vmid))


def _plan(daemon: TestDaemon, work: Work) -> list[str]:
    """The steps' names, asked of a guest that is removed again."""
    vmid = next(_numbers)
    work.ready(daemon, vmid)
    steps = list(dict.fromkeys(step["step"] for step in work.ask(daemon, vmid, dryrun=1)["steps"]))
    _remove(daemon, vmid)
    return steps


def _points(steps: list[str]) -> list[str]:
    """Every point of a plan at which the journal differs: `before-intent` of a step is `after-result` of the last."""
    points = [f"{step}:{phase}" for step, phase in itertools.product(steps, PHASES)]
    return [p for p in points if p == points[0] or not p.endswith(":before-intent")]


def _remove(daemon: TestDaemon, vmid: int) -> None:
    """The next work on the guest goes on at once; nothing of it is left afterwards."""
    wait_idle(daemon)  # a create with `start` begins a task of its own
    if exists(daemon, vmid):
        for clone in clones(daemon, vmid):
            if runs(daemon, clone):
                daemon.task("POST", f"{daemon.qemu}/{clone}/status/stop")
            daemon.task("DELETE", f"{daemon.qemu}/{clone}")
        if runs(daemon, vmid):
            daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")


def _check_outcome(daemon: TestDaemon, work: Work, vmid: int, where: str) -> None:
    """The task ended, and what it says is what is the case."""
    wait_idle(daemon)
    assert_whole(daemon)
    tasks = task_rows(daemon, work.kind, str(vmid))
    done = work.done(daemon, vmid)
    if not tasks:  # killed before the task was durable, so before it was answered
        assert not done, where
        return
    # A clone without an agent is warned about.
    assert tasks[0]["status"].startswith(("OK", "WARNINGS")) == done, (
        f"{where}: the task says {tasks[0]['status']}, done: {done}"
    )
    if not done:
        assert tasks[0]["status"] == "interrupted by a restart of the daemon", where


@pytest.mark.parametrize("name", WORKS)
def test_a_crash_anywhere_leaves_all_or_nothing(site: TestDaemon, name: str) -> None:
    work = WORKS[name]
    for point in _points(_plan(site, work)):
        vmid = next(_numbers)
        work.ready(site, vmid)
        _crash(site, work, vmid, point)
        site.start()
        _check_outcome(site, work, vmid, f"{name} killed at {point}")
        if work.kind == "qmcreate" and not exists(site, vmid):
            site.task("POST", site.qemu, vmid=vmid, **work.params)
        _remove(site, vmid)
        assert_whole(site)


UNDOING = [
    ("create", "guest-write:before-intent", ["volume-import", "volume-allocate", "guest-reserve"]),
    ("config", "config-put:before-intent", ["volume-allocate"]),
    ("config-running", "config-put:before-intent", ["guest-live", "volume-allocate"]),
]


@pytest.mark.parametrize(("name", "first", "undone"), UNDOING)
def test_a_crash_while_undoing_is_survived(site: TestDaemon, name: str, first: str, undone: list[str]) -> None:
    work, vmid = WORKS[name], next(_numbers)
    work.ready(site, vmid)
    _crash(site, work, vmid, first)
    for step in undone:
        site.start(crash_at=f"{step}:before-undo", wait=False)
        assert site.wait_dead(30) == -9, site.tail()
    site.start()
    _check_outcome(site, work, vmid, f"{name} killed while undoing")
    assert not work.done(site, vmid)
    _remove(site, vmid)
    assert_whole(site)
