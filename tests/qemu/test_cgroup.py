"""Control groups: what is set is what the kernel enforces, on the hierarchies that this host really has."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarmac.drivers.qemu.cgroup import Cgroup, CgroupV2
from tarmac.drivers.qemu.cgroups import Cgroups, detect

INSTANCE = f"test{os.getpid()}"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make control groups")


@pytest.fixture
def groups() -> Iterator[Cgroups]:
    found = detect()
    if found.kind == "none":
        pytest.skip("no control groups that could be used here")
    yield found
    found.close(INSTANCE)


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as process:
        yield process
        process.kill()


async def emptied(group: Cgroup) -> None:
    async with asyncio.timeout(5):
        while group.remove():
            await asyncio.sleep(0.005)


@needs_root
async def test_limit_is_enforced_and_usage_told(groups: Cgroups, busy: subprocess.Popen[bytes]) -> None:
    group = groups.open(INSTANCE, "100")
    assert group.name == f"tarmac-{INSTANCE}/100"
    assert list(group.set_cpu(weight=200, limit=0.2)) == []
    assert list(group.add(busy.pid)) == []
    assert list(group.pids()) == [busy.pid]
    before, started = group.usage().cpu_seconds, time.monotonic()
    await asyncio.sleep(0.6)
    usage = group.usage()
    assert before is not None and usage.cpu_seconds is not None
    share = (usage.cpu_seconds - before) / (time.monotonic() - started)
    assert share < 0.4, "a fifth of a processor was allowed"
    assert usage.throttled_seconds is not None and usage.throttled_seconds > 0
    assert usage.processes == 1
    assert usage.memory_bytes is not None
    assert list(group.set_cpu(limit=0)) == []
    other = groups.open(INSTANCE, "101")
    other.set_cpu(weight=100)
    busy.kill()
    await emptied(group)
    assert list(group.remove()) == []
    assert list(other.remove()) == []
    root = groups.roots.get("cpu") or groups.roots["v2"]
    assert not (root / f"tarmac-{INSTANCE}").exists(), "the last guest takes its instance's level along"


@needs_root
async def test_full_group_is_not_removed_but_said(groups: Cgroups, busy: subprocess.Popen[bytes]) -> None:
    group = groups.open(INSTANCE, "101")
    group.add(busy.pid)
    problems = group.remove()
    assert problems
    assert "busy" in problems[0].lower()
    assert list(group.pids()) == [busy.pid]
    busy.kill()
    await emptied(group)


@needs_root
async def test_freezing_stops_and_goes_on(groups: Cgroups, busy: subprocess.Popen[bytes]) -> None:
    group = groups.open(INSTANCE, "102")
    group.add(busy.pid)
    assert list(group.freeze(True)) == []
    await asyncio.sleep(0.05)
    before = _ticks(busy.pid)
    await asyncio.sleep(0.2)
    assert _ticks(busy.pid) == before
    assert list(group.freeze(False)) == []
    async with asyncio.timeout(5):
        while _ticks(busy.pid) == before:
            await asyncio.sleep(0.01)
    busy.kill()
    await emptied(group)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@needs_root
def test_v2_on_a_real_hierarchy_with_whatever_controllers_it_has(busy: subprocess.Popen[bytes]) -> None:
    """Hybrid hosts have an (almost) empty v2 hierarchy beside v1: placing, freezing and removing work there too."""
    root = next(
        (Path(p) for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if Path(p, "cgroup.controllers").exists()), None
    )
    if root is None:
        pytest.skip("no v2 hierarchy is mounted")
    wanted = [name for name in ("cpu", "memory", "pids") if name in (root / "cgroup.controllers").read_text().split()]
    group = CgroupV2(f"tarmac-{INSTANCE}/200", root, wanted)
    try:
        assert list(group.add(busy.pid)) == []
        assert list(group.pids()) == [busy.pid]
        assert list(group.freeze(True)) == []
        assert list(group.freeze(False)) == []
        usage = group.usage()
        assert (usage.memory_bytes is not None) == ("memory" in wanted)
        problems = group.set_cpu(weight=20_000, limit=1.5)
        assert (list(problems) == []) == ("cpu" in wanted)
        (root / "cgroup.procs").write_text(str(busy.pid))
        assert list(group.remove()) == []
    finally:
        (root / "cgroup.procs").write_text(str(busy.pid))
        group.remove()
        assert not (root / f"tarmac-{INSTANCE}").exists()


def mounts(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text("".join(f"36 25 0:31 / {line}\n" for line in lines))
    return path


def test_nothing_mounted_is_said_and_harmless(tmp_path: Path) -> None:
    found = detect(mounts(tmp_path, "/proc rw - proc proc rw"))
    assert (found.kind, found.problems) == ("none", ("no control group hierarchy is mounted",))
    group = found.open("x", "100")
    assert list(group.add(1)) == []
    assert list(group.set_cpu(limit=1)) == ["no control group hierarchy is mounted"]
    assert list(group.set_cpu(limit=0)) == []
    assert group.usage().memory_bytes is None
    assert list(group.remove()) == []


def test_v2_alone_is_used_and_its_controllers_handed_down(tmp_path: Path) -> None:
    """Written to a directory in place of the kernel's: which files, in which order of levels."""
    root = tmp_path / "cg"
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    found = detect(mounts(tmp_path, f"{root} rw - cgroup2 cgroup2 rw"))
    assert (found.kind, found.controllers, found.problems) == ("v2", ("cpu", "memory", "pids"), ())
    group = found.open("x", "100")
    assert list(group.set_cpu(weight=250, limit=1.5)) == []
    for level in (root, root / "tarmac-x"):
        assert (level / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (root / "tarmac-x/100/cpu.weight").read_text() == "250"
    assert (root / "tarmac-x/100/cpu.max").read_text() == "150000 100000"
    group.set_cpu(limit=0)
    assert (root / "tarmac-x/100/cpu.max").read_text() == "max 100000"


def test_v1_is_preferred_where_it_has_the_controllers(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct", "memory", "v2"):
        (tmp_path / name).mkdir()
    (tmp_path / "v2" / "cgroup.controllers").write_text("hugetlb\n")
    table = mounts(
        tmp_path,
        f"{tmp_path}/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct",
        f"{tmp_path}/memory rw - cgroup cgroup rw,memory",
        f"{tmp_path}/v2 rw - cgroup2 cgroup2 rw",
    )
    found = detect(table)
    assert (found.kind, found.controllers) == ("v1", ("cpu", "cpuacct", "memory"))
    assert [problem.split()[3] for problem in found.problems] == ["pids", "freezer"]
    assert list(found.open("x", "100").set_cpu(weight=50)) == []
    assert (tmp_path / "cpu,cpuacct/tarmac-x/100/cpu.shares").read_text() == "512"
