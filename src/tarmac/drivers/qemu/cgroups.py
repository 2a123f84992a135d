"""Which control groups this host lets the daemon use: v1, v2 or none, found by trying.

    groups = detect()
    group = groups.open("default", "100")      # a Cgroup, whatever kind

Debian 12 and later mount one v2 hierarchy; older and some container hosts one v1 hierarchy for each controller. On a
hybrid host (v1 with an empty v2 beside it) v1 holds the controllers and is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tarmac.drivers.qemu.cgroup import Cgroup, CgroupV1, CgroupV2, Kind, NoCgroup

_V1_WANTED = ("cpu", "cpuacct", "memory", "pids", "freezer")
_V2_WANTED = ("cpu", "memory", "pids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """The host's control groups as far as they are of use here. `problems` are sentences for the node's report."""

    kind: Kind
    controllers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    roots: dict[str, Path] = field(default_factory=dict)

    def open(self, instance: str, guest: str) -> Cgroup:
        """The group of one guest of one daemon; nothing is made yet. The name keeps daemons apart."""
        name = f"tarmac-{instance}/{guest}"
        if self.kind == "v1":
            return CgroupV1(name, self.roots)
        if self.kind == "v2":
            return CgroupV2(name, self.roots["v2"], self.controllers)
        return NoCgroup(name, self.problems[0] if self.problems else "this host has no control groups for us")

    def close(self, instance: str) -> None:
        """Remove the daemon's own, empty level: for uninstalling and tests. Guests' groups must be gone."""
        for root in dict.fromkeys(self.roots.values()):
            with contextlib.suppress(OSError):
                (root / f"tarmac-{instance}").rmdir()


def detect(mounts: Path = Path("/proc/self/mountinfo")) -> Cgroups:
    """Look at what is mounted and try to make a group there. Blocks for less than a millisecond; never raises."""
    v1, v2 = _mounted(mounts)
    v1 = {name: v1[name] for name in _V1_WANTED if name in v1}
    if not v1 and v2 is None:
        return Cgroups(kind="none", problems=("no control group hierarchy is mounted",))
    if v2 is not None and not v1:
        return _detect_v2(v2)
    usable = {name: root for name, root in v1.items() if _can_make(root)}
    problems = [f"the cgroup controller {name} is not available" for name in _V1_WANTED if name not in v1]
    problems += [f"cannot make control groups below {root}" for name, root in v1.items() if name not in usable]
    if not usable:
        return Cgroups(kind="none", problems=_without_rights(problems))
    return Cgroups(kind="v1", controllers=tuple(usable), problems=tuple(problems), roots=usable)


def _detect_v2(root: Path) -> Cgroups:
    if not _can_make(root):
        return Cgroups(kind="none", problems=_without_rights([f"cannot make control groups below {root}"]))
    try:
        offered = (root / "cgroup.controllers").read_text().split()
    except OSError as error:
        return Cgroups(kind="none", problems=(f"cannot read the controllers of {root}: {error.strerror}",))
    usable = tuple(name for name in _V2_WANTED if name in offered)
    problems = tuple(f"the cgroup controller {name} is not available" for name in _V2_WANTED if name not in offered)
    return Cgroups(kind="v2", controllers=usable, problems=problems, roots={"v2": root})


def _without_rights(problems: Sequence[str]) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ("without root there are no control groups: guests are not limited in processor time", *problems)
    return tuple(problems)


def _mounted(mounts: Path) -> tuple[dict[str, Path], Path | None]:
    """Mount points by v1 controller, and that of v2 (proc(5), mountinfo)."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return v1, v2
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if kind == "cgroup2":
            v2 = v2 or point
        elif kind == "cgroup":
            for option in options.split(" ")[-1].split(","):
                v1.setdefault(option, point)
    return v1, v2


def _can_make(root: Path) -> bool:
    trial = root / f"tarmac-trial-{os.getpid()}"
    try:
        trial.mkdir()
    except FileExistsError:
        return True
    except OSError:
        return False
    with contextlib.suppress(OSError):
        trial.rmdir()
    return True
