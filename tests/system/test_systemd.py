"""The units under a real systemd: install, restart, power-off, the next boot, uninstall; as root and as anybody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.systemd_box import TARMAC, CannotRun, SystemdBox
from tarmac.faces.cli.units import DAEMON, GUESTS

ROOT = Path(__file__).resolve().parents[2]
FIRST, SECOND = 101, 102
BOTH_RUN = {FIRST: "running", SECOND: "running"}
PILOT = 4242


@dataclass
class Site:
    """Tarmac in a box, as one of its users has it. `data` and `units` are paths in the box."""

    box: SystemdBox
    who: tuple[str, ...]
    scope: tuple[str, ...]
    data: Path
    units: Path

    def run(self, *words: str | Path, check: bool = True) -> str:
        return self.box.run(*self.who, *words, check=check)

    def tarmac(self, *words: str) -> str:
        return self.run(TARMAC, *words)

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.run("systemctl", *self.scope, *words, check=check)

    def boot(self) -> None:
        self.box.boot()
        if not self.run(TARMAC, "version", check=False):
            raise CannotRun("an ordinary user cannot reach this checkout")
        until(lambda: self.systemctl("is-system-running", check=False) in ("running", "degraded"))
        self.systemctl("set-environment", "TARMAC_OFFLINE=1")

    def main_pid(self) -> str:
        return self.systemctl("show", "-P", "MainPID", DAEMON)

    def active(self) -> bool:
        return self.systemctl("is-active", DAEMON, check=False) == "active"

    def states(self) -> dict[int, str]:
        return {guest["vmid"]: guest["status"] for guest in json.loads(self.tarmac("vm", "list", "-o", "json"))}

    def pids(self) -> list[str]:
        """The guests' processes, whoever looks after them."""
        return self.run("pgrep", "-f", "^[^ ]*qemu-system-x86_64 -name guest=", check=False).split()

    def wait_answers(self) -> None:
        for vmid in (FIRST, SECOND):
            words = [TARMAC, "vm", "exec", str(vmid), "--", "echo", "here"]
            until(lambda words=words: self.run(*words, check=False) == "here")

    def make_guests(self, image: Path) -> None:
        """Two running guests that answer; SECOND starts after FIRST and so is shut down before it."""
        place = f"{self.data}/storage/import"
        self.run("mkdir", "-p", place)
        self.run("cp", image, f"{place}/tiny.qcow2")
        for order, vmid in enumerate((FIRST, SECOND)):
            words = (
                f"--vmid {vmid} --startup order={order} --onboot 1 --memory 128 --agent 1 --vga none --serial0 socket"
            )
            words += " --scsihw virtio-scsi-single --scsi0 local:0,import-from=local:import/tiny.qcow2 --start"
            self.tarmac("vm", "create", *words.split())
        self.wait_answers()


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(params=["root", "user"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A booted box in which nothing of Tarmac is installed yet."""
    try:
        box = SystemdBox()
    except CannotRun as problem:
        pytest.skip(f"no systemd can be started beside this machine's own: {problem}")
    try:
        if request.param == "root":
            made = Site(box, (), (), Path("/var/lib/tarmac"), Path("/etc/systemd/system"))
        else:
            home = Path("/home/pilot")
            who = box.add_user("pilot", PILOT)
            made = Site(box, who, ("--user",), home / ".local/share/tarmac", home / ".config/systemd/user")
        made.boot()
        yield made
    except CannotRun as problem:
        pytest.skip(str(problem))
    finally:
        box.remove()


@pytest.mark.slow
def test_units_from_install_to_uninstall(tiny_image: Path, site: Site) -> None:
    site.tarmac("install-service")
    assert site.systemctl("is-active", DAEMON, GUESTS) == "active\nactive"
    site.make_guests(tiny_image)
    began = site.pids()
    assert len(began) == 2

    # A restart of the daemon is none of the guests': only the daemon itself ends. Nor is its sudden end.
    for way in ("restart", "kill --signal=KILL --kill-whom=main"):
        before = site.main_pid()
        site.systemctl(*way.split(), DAEMON)
        until(lambda before=before: site.main_pid() not in (before, "0"))
        until(site.active)
        assert site.states() == BOTH_RUN
        assert site.pids() == began
    site.wait_answers()

    # A stop of the second unit alone (an upgrade, a removal) shuts nothing down.
    site.systemctl("stop", GUESTS)
    assert site.states() == BOTH_RUN
    site.systemctl("start", GUESTS)

    site.box.run("systemctl", "poweroff", check=False)
    site.box.wait_off()
    site.boot()
    until(site.active)
    (stop,) = [task for task in json.loads(site.tarmac("task", "list", "-o", "json")) if task["type"] == "stopall"]
    assert stop["status"] == "OK", "no guest had to be left behind"
    lines = site.tarmac("task", "log", stop["upid"])
    assert -1 < lines.find(f"guest {SECOND}: OK") < lines.find(f"guest {FIRST}: OK"), lines

    # The next boot starts the daemon, and the daemon the guests that start with the host.
    until(lambda: site.states() == BOTH_RUN)
    site.wait_answers()  # one that still boots does not hear its power button

    # Taking the units away leaves the guests alone; with --purge nothing stays.
    began = site.pids()
    site.tarmac("uninstall")
    assert site.pids() == began
    assert site.run("find", site.units, "-name", "tarmac*") == ""
    assert site.systemctl("list-unit-files", "--no-legend", "tarmac*", check=False) == ""
    site.tarmac("install-service")
    site.tarmac("node", "stopall")
    site.tarmac("uninstall", "--purge", "--yes")
    assert site.pids() == []
    assert site.box.written("*tarmac*", besides=ROOT) == []
    places = f"{site.data} /run/tarmac/* /run/user/*/tarmac/* /sys/fs/cgroup/tarmac*"
    assert site.box.run("sh", "-c", f"ls -d {places}", check=False) == ""
