"""Guests for instant clones: marked in memory and on disk before they are frozen; clones that are cleared away."""

from __future__ import annotations

from typing import Any

from support.daemon import TestDaemon
from support.faults import assert_whole, wait_idle


def clone(daemon: TestDaemon, source: int, **params: Any) -> dict[str, Any]:
    """Instant clones of a live template or a running guest; the task's status."""
    return daemon.task("POST", f"{daemon.qemu}/{source}/clone", instant=1, **params)


def config(daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    return dict(daemon.get(f"{daemon.qemu}/{vmid}/config"))


def say(daemon: TestDaemon, vmid: int, command: str) -> str:
    """What a command of the guest's shell prints."""
    return daemon.run(vmid, "/bin/sh", "-c", command)


def leave_marks(daemon: TestDaemon, vmid: int) -> None:
    say(daemon, vmid, "echo in-memory >/run/mark; echo on-disk >/data/mark; sync")


def remove(daemon: TestDaemon, vmid: int) -> None:
    """A guest, running or not."""
    if daemon.status(vmid)["status"] == "running":
        daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}")


def remove_clones(daemon: TestDaemon) -> None:
    """All guests but templates; then everything is whole."""
    wait_idle(daemon, 200)
    for row in daemon.get(daemon.qemu):
        if not row.get("template"):
            remove(daemon, row["vmid"])
    assert_whole(daemon)
