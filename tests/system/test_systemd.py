"""The units under a real systemd: install, restart, power-off, the next boot, uninstall."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.systemd_box import TARMAC, CannotRun, SystemdBox
from tarmac.faces.cli.units import DAEMON, GUESTS

DATA = "var/lib/tarmac"
FIRST, SECOND = 101, 102


@pytest.fixture
def box() -> Iterator[SystemdBox]:
    """A booted box."""
    try:
        made = SystemdBox()
    except CannotRun as problem:
        pytest.skip(f"no systemd can be started beside this machine's own: {problem}")
    try:
        made.boot()
        made.run("systemctl", "set-environment", "TARMAC_OFFLINE=1")
        yield made
    except CannotRun as problem:
        pytest.skip(str(problem))
    finally:
        made.remove()


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def states(box: SystemdBox) -> dict[int, str]:
    return {guest["vmid"]: guest["status"] for guest in json.loads(box.tarmac("vm", "list", "-o", "json"))}


def pids(box: SystemdBox) -> list[str]:
    """The guests' processes, by the control groups in which the daemon puts them."""
    return box.run("sh", "-c", "cat /sys/fs/cgroup/tarmac-*/*/cgroup.procs", check=False).split()


def main_pid(box: SystemdBox) -> str:
    return box.run("systemctl", "show", "-P", "MainPID", DAEMON)


def answers(box: SystemdBox, vmid: int) -> bool:
    return box.run(TARMAC, "vm", "exec", str(vmid), "--", "echo", "here", check=False) == "here"


def make_guests(box: SystemdBox, image: Path) -> None:
    """Two running guests that answer; SECOND starts after FIRST and so is shut down before it."""
    target = box.upper / DATA / "storage/import/tiny.qcow2"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image, target)
    disk = "local:0,import-from=local:import/tiny.qcow2"
    for place, vmid in enumerate((FIRST, SECOND)):
        words = f"--vmid {vmid} --startup order={place} --onboot 1 --memory 128 --agent 1 --serial0 socket --vga none"
        box.tarmac("vm", "create", *words.split(), "--scsi0", disk, "--scsihw", "virtio-scsi-single", "--start")
    until_both_answer(box)


def until_both_answer(box: SystemdBox) -> None:
    for vmid in (FIRST, SECOND):
        until(lambda vmid=vmid: answers(box, vmid))


@pytest.mark.slow
def test_units_from_install_to_uninstall(box: SystemdBox, tiny_image: Path) -> None:
    box.tarmac("install-service")
    assert box.run("systemctl", "is-active", DAEMON, GUESTS) == "active\nactive"
    make_guests(box, tiny_image)
    began = pids(box)
    assert len(began) == 2

    # A restart of the daemon is none of the guests': only the daemon itself ends. Nor is its sudden end.
    for way in ("restart", "kill --signal=KILL --kill-whom=main"):
        before = main_pid(box)
        box.run("systemctl", *way.split(), DAEMON)
        until(lambda before=before: main_pid(box) not in (before, "0"))
        until(lambda: box.run("systemctl", "is-active", DAEMON, check=False) == "active")
        assert states(box) == {FIRST: "running", SECOND: "running"}
        assert pids(box) == began
    assert answers(box, FIRST)

    # A stop of the second unit alone (an upgrade, a removal) shuts nothing down.
    box.run("systemctl", "stop", GUESTS)
    assert states(box) == {FIRST: "running", SECOND: "running"}
    box.run("systemctl", "start", GUESTS)

    box.run("systemctl", "poweroff", check=False)
    box.wait_off()
    box.boot()
    (stop,) = [task for task in json.loads(box.tarmac("task", "list", "-o", "json")) if task["type"] == "stopall"]
    assert stop["status"] == "OK", "no guest had to be left behind"
    lines = box.tarmac("task", "log", stop["upid"])
    assert -1 < lines.find(f"guest {SECOND}: OK") < lines.find(f"guest {FIRST}: OK"), lines

    # The next boot starts the daemon, and the daemon the guests that start with the host.
    until(lambda: states(box) == {FIRST: "running", SECOND: "running"})
    until_both_answer(box)  # one that still boots does not hear its power button

    # Taking the units away leaves the guests alone; with --purge nothing stays.
    began = pids(box)
    box.tarmac("uninstall")
    assert pids(box) == began
    assert not list((box.upper / "etc/systemd/system").rglob("tarmac*"))
    assert box.run("systemctl", "list-unit-files", "--no-legend", "tarmac*", check=False) == ""
    box.tarmac("install-service")
    box.tarmac("node", "stopall")
    box.tarmac("uninstall", "--purge", "--yes")
    assert pids(box) == []
    left = [path for path in box.upper.rglob("*tarmac*") if path.is_file() and "__pycache__" not in path.parts]
    assert left == []
    assert not (box.upper / DATA).exists()
    assert box.run("ls", "/run/tarmac", check=False) == ""
    assert box.run("find", "/sys/fs/cgroup", "-name", "tarmac*") == ""
