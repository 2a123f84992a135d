"""An instant clone's further life is that of any guest: snapshots, clones, stops, power cuts."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import TestDaemon, eventually, test_daemon
from support.instant import leave_marks, remove_clones, say
from tarmac.lib import places

TEMPLATE = 900


@pytest.fixture(scope="module")
def site(tiny_image: Path) -> Iterator[TestDaemon]:
    """A daemon with a live template."""
    with test_daemon() as daemon:
        image = daemon.add_image(tiny_image)
        daemon.create(TEMPLATE, image, instant=1, net0="virtio", name="source", ide2="local:cloudinit")
        daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/status/start")
        daemon.wait_agent(TEMPLATE)
        leave_marks(daemon, TEMPLATE)
        daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/template", live=1)
        yield daemon


@pytest.fixture(autouse=True)
def no_clones_left(site: TestDaemon) -> Iterator[None]:
    yield
    remove_clones(site)


def clone(daemon: TestDaemon, vmid: int, name: str) -> str:
    daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/clone", instant=1, newid=vmid, name=name)
    return f"{daemon.qemu}/{vmid}"


def test_snapshots_with_and_without_memory(site: TestDaemon) -> None:
    guest = clone(site, 501, "one")
    site.task("POST", f"{guest}/snapshot", snapname="disk")
    say(site, 501, "echo later >/data/later; echo own >/run/own; sync")
    site.task("POST", f"{guest}/snapshot", snapname="memory", vmstate=1)
    say(site, 501, "rm /data/later /run/own; echo too-late >/data/too-late; sync")
    site.task("POST", f"{guest}/snapshot/memory/rollback")
    site.wait_agent(501)
    assert say(site, 501, "cat /run/mark /run/own /data/later; hostname; ls /data/too-late 2>&1; true").startswith(
        "in-memory\nown\nlater\none\n"
    )
    assert "No such file" in say(site, 501, "ls /data/too-late 2>&1; true")
    site.task("DELETE", f"{guest}/snapshot/memory")
    site.task("POST", f"{guest}/snapshot/disk/rollback", start=1)
    site.wait_agent(501)
    assert say(site, 501, "cat /data/mark; hostname; ls /data/later 2>&1; true").startswith("on-disk\n")
    assert "No such file" in say(site, 501, "ls /data/later 2>&1; true")
    site.task("DELETE", f"{guest}/snapshot/disk")
    assert say(site, 501, "cat /data/mark") == "on-disk\n"


def test_a_full_clone_needs_neither_clone_nor_template(site: TestDaemon) -> None:
    guest = clone(site, 511, "one")
    say(site, 511, "echo mine >/data/mine; sync")
    site.task("POST", f"{guest}/clone", newid=512, full=1, name="copy")
    volume = str(site.get(f"{site.qemu}/512/config")["scsi0"])
    assert "base-" not in volume
    site.task("POST", f"{guest}/status/stop")
    site.task("DELETE", guest)
    site.task("POST", f"{site.qemu}/512/status/start")
    site.wait_agent(512)
    assert say(site, 512, "cat /data/mark /data/mine") == "on-disk\nmine\n"
    assert "instant" not in site.status(512)


def test_after_a_power_cut_it_boots_with_its_identity(site: TestDaemon) -> None:
    """Everything that ran is gone, and all that is not on disk: runtime directories, memory, process records."""
    guest = clone(site, 521, "survivor")
    before = _marks(site, 521)
    say(site, 521, "echo kept >/data/kept; sync")
    pids = list(site.qemu_pids().values())
    sock = places.api_socket(site.data)
    assert sock is not None
    site.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(sock.parent)
    site.start()
    eventually(lambda: site.status(521)["status"] == "stopped")
    assert site.status(521)["instant"] == {"template": TEMPLATE, "identity": "done"}
    site.task("POST", f"{guest}/status/start")
    site.wait_agent(521)
    assert say(site, 521, "cat /data/mark /data/kept; hostname") == "on-disk\nkept\nsurvivor\n"
    assert _marks(site, 521) == before
    # The template's memory comes from its volume again.
    clone(site, 522, "next")
    assert say(site, 522, "cat /run/mark; hostname") == "in-memory\nnext\n"


def _marks(daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    """What is this guest's alone, as it sees it itself and as it is configured."""
    config = daemon.get(f"{daemon.qemu}/{vmid}/config")
    # Its own card may have been plugged just now.
    eventually(lambda: say(daemon, vmid, "ls /sys/class/net/eth0/address"))
    inside = say(daemon, vmid, "cat /etc/machine-id 2>/dev/null; cat /sys/class/net/eth0/address")
    return {"inside": inside, "mac": config["net0"], "smbios": config["smbios1"], "vmgenid": config["vmgenid"]}
