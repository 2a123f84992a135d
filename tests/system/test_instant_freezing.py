"""Freezing a guest against a whole daemon: what is refused and told beforehand; after any failure the guest goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon
from support.faults import wait_idle
from support.instant import clone, config, leave_marks, remove_clones, say


@pytest.fixture(scope="module")
def site(tiny_image: Path) -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        daemon.add_image(tiny_image)
        yield daemon


@pytest.fixture(autouse=True)
def nothing_left(site: TestDaemon) -> Iterator[None]:
    yield
    remove_clones(site)


def test_what_cannot_be_frozen_is_refused_by_name(site: TestDaemon) -> None:
    image = "local:import/tiny.qcow2"
    site.create(910, image, instant=1)
    with pytest.raises(ApiError) as caught:
        site.post(f"{site.qemu}/910/template", live=1)
    assert "not running" in caught.value.body["message"]
    site.task("POST", f"{site.qemu}/910/status/start")
    site.task("POST", f"{site.qemu}/910/snapshot", snapname="before")
    with pytest.raises(ApiError) as caught:
        site.post(f"{site.qemu}/910/template", live=1)
    refused = caught.value.body["error"]
    assert refused["code"] == "template-has-snapshots" and "before" in refused["evidence"] and refused["fixes"]
    site.task("POST", f"{site.qemu}/910/status/stop")
    with pytest.raises(ApiError) as caught:
        site.post(f"{site.qemu}/910/clone", instant=1)
    assert caught.value.body["error"]["code"] == "not-live"


def test_the_plan_says_how_long_the_guest_stands(site: TestDaemon) -> None:
    site.create(911, "local:import/tiny.qcow2", instant=1, freeze=1)
    site.task("POST", f"{site.qemu}/911/status/start")
    plan = site.post(f"{site.qemu}/911/template", live=1, dryrun=1)
    assert any("0.5 s" in line for line in plan["effects"])
    assert any("keys, passwords" in line for line in plan["effects"])
    assert site.status(911)["qmpstatus"] == "paused"


def test_a_full_storage_lets_the_guest_go_on(site: TestDaemon) -> None:
    """Its state does not fit: refused where space is kept in reserve; else the guest runs as before, thawed, and
    nothing of the state is left."""
    place = Path(tempfile.mkdtemp(prefix="tarmac-tight-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=0711", "tarmac-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("this machine lets nobody mount a small file system")
    try:
        site.post("/storage", storage="tight", type="dir", path=str(place), content="images")
        site.create(912, "local:import/tiny.qcow2", instant=1, scsi0="tight:0,import-from=local:import/tiny.qcow2")
        site.task("POST", f"{site.qemu}/912/status/start")
        site.wait_agent(912)
        refused = site.wait_task(site.post(f"{site.qemu}/912/template", live=1))
        assert refused["error"]["code"] == "storage-reserve" and not refused["steps"], refused
        site.put("/storage/tight", reserve="0")
        done = site.wait_task(site.post(f"{site.qemu}/912/template", live=1))
        assert done["error"]["code"] == "no-space" and done["error"]["fixes"], done
        assert site.status(912)["qmpstatus"] == "running"
        assert site.post(f"{site.qemu}/912/agent/fsfreeze-status")["result"] == "thawed"
        assert say(site, 912, "echo still >/data/still; sync; cat /data/still") == "still\n"
        assert not list(place.rglob("*state-live*")) and "template" not in config(site, 912)
        site.task("POST", f"{site.qemu}/912/status/stop")
        site.task("DELETE", f"{site.qemu}/912")
        site.delete("/storage/tight")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def test_a_guest_whose_memory_is_in_no_file(site: TestDaemon) -> None:
    """It stands for as long as its memory takes to be copied, and the plan says so; so does an instant clone."""
    site.create(940, "local:import/tiny.qcow2", net0="virtio", name="plain")
    site.task("POST", f"{site.qemu}/940/status/start")
    site.wait_agent(940)
    leave_marks(site, 940)
    plan = site.post(f"{site.qemu}/940/template", live=1, dryrun=1)
    assert any("RAM are copied" in line for line in plan["effects"])
    site.task("POST", f"{site.qemu}/940/template", live=1)
    try:
        clone(site, 940, newid=941, name="first")
        assert say(site, 941, "cat /run/mark /data/mark; hostname") == "in-memory\non-disk\nfirst\n"
        say(site, 941, "echo more >/run/more; sync")
        site.task("POST", f"{site.qemu}/941/template", live=1)
        clone(site, 941, newid=942, name="second")
        assert say(site, 942, "cat /run/mark /run/more /data/mark; hostname") == "in-memory\nmore\non-disk\nsecond\n"
        site.task("POST", f"{site.qemu}/942/status/stop")
        site.task("DELETE", f"{site.qemu}/942")
        site.task("DELETE", f"{site.qemu}/941")
    finally:
        site.task("DELETE", f"{site.qemu}/940")


def test_a_twin_of_a_daemon_that_died_is_ended(site: TestDaemon) -> None:
    """Killed while a guest's memory is being copied: the guest goes on, and the second QEMU is gone."""
    site.create(950, "local:import/tiny.qcow2", memory=1024)
    site.task("POST", f"{site.qemu}/950/status/start")
    site.wait_agent(950)
    site.post(f"{site.qemu}/950/template", live=1)
    eventually(lambda: _twins(site))
    site.kill()
    site.start()
    wait_idle(site, 120)
    if "template" in config(site, 950):
        site.task("DELETE", f"{site.qemu}/950")
        pytest.skip("the copy was done before the daemon could be killed")
    assert not _twins(site)
    assert site.status(950)["qmpstatus"] == "running"
    assert say(site, 950, "echo on >/data/on; sync; cat /data/on") == "on\n"


def _twins(daemon: TestDaemon) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes()
            if b"guest=twin950" in words and b"qemu-system" in words:
                found.append(int(path.parent.name))
    return found
