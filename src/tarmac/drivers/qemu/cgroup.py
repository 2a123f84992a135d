"""One guest's control group: its share of the processors, its bounds, and what it uses.

    group = detect().open("default", "100")    # `cgroups.py` finds out which kind this host has
    group.add(pid)                             # returns what did not work; never raises

A guest starts without a cgroup too: nothing here fails a start. Every operation returns the problems it met, as
sentences; those of detection are in `Cgroups.problems`. All calls write a few bytes to the kernel and do not wait.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["v1", "v2", "none"]
PERIOD_US = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a group uses now. None: this host does not tell."""

    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    processes: int | None = None


class Cgroup(Protocol):
    """One guest's group. Made by the first `add`; each method returns the problems met (empty: all done)."""

    @property
    def kind(self) -> Kind: ...

    @property
    def name(self) -> str:
        """Below the hierarchy's root: `tarmac-<instance>/<guest>`."""

    def add(self, pid: int) -> Sequence[str]:
        """Make the group if need be and move the whole process (all threads) into it."""

    def set_cpu(self, *, weight: int | None = None, limit: float | None = None) -> Sequence[str]:
        """`weight` as in Proxmox's `cpuunits` (100 is normal, 1 to 10000), `limit` in processors (0: no limit)."""

    def usage(self) -> Usage: ...

    def freeze(self, frozen: bool) -> Sequence[str]:
        """Stop or continue every task in it."""

    def pids(self) -> Sequence[int]: ...

    def remove(self) -> Sequence[str]:
        """Remove the group if it is empty; one that is not there is no problem."""


class NoCgroup:
    """Where there are no cgroups for us: does nothing, says so."""

    kind: Kind = "none"

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = (reason,)

    def add(self, pid: int) -> Sequence[str]:
        return ()

    def set_cpu(self, *, weight: int | None = None, limit: float | None = None) -> Sequence[str]:
        return self._reason if weight is not None or limit else ()

    def usage(self) -> Usage:
        return Usage()

    def freeze(self, frozen: bool) -> Sequence[str]:
        return self._reason

    def pids(self) -> Sequence[int]:
        return ()

    def remove(self) -> Sequence[str]:
        return ()


class _Files:
    """Writes and reads the kernel's small files, and collects what failed."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def write(self, path: Path, value: str | int) -> None:
        try:
            path.write_text(str(value))
        except OSError as error:
            self.problems.append(f"cannot write {value} to {path}: {error.strerror}")

    def make(self, path: Path) -> None:
        # The level of the instance may be removed, as empty, between the two steps of making it and its child.
        for last in (False, True):
            try:
                path.mkdir(parents=True, exist_ok=True)
                return
            except OSError as error:
                if last or not isinstance(error, FileNotFoundError):
                    self.problems.append(f"cannot make {path}: {error.strerror}")
                    return

    def remove(self, path: Path) -> None:
        try:
            path.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            self.problems.append(f"cannot remove {path}: {error.strerror}")
            return
        # The last guest takes its instance's level along.
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    try:
        return {key: int(value) for key, _, value in (line.partition(" ") for line in path.read_text().splitlines())}
    except (OSError, ValueError):
        return {}


def _pids(path: Path) -> Sequence[int]:
    try:
        return tuple(int(line) for line in (path / "cgroup.procs").read_text().split())
    except OSError:
        return ()


class CgroupV1:
    """One directory for each controller's hierarchy."""

    kind: Kind = "v1"

    def __init__(self, name: str, controllers: dict[str, Path]) -> None:
        self.name = name
        self._paths = {controller: root / name for controller, root in controllers.items()}

    def add(self, pid: int) -> Sequence[str]:
        files = _Files()
        for path in dict.fromkeys(self._paths.values()):
            files.make(path)
            files.write(path / "cgroup.procs", pid)
        return files.problems

    def set_cpu(self, *, weight: int | None = None, limit: float | None = None) -> Sequence[str]:
        files, path = _Files(), self._paths.get("cpu")
        if path is None:
            return ("the cpu controller is not available",)
        files.make(path)
        if weight is not None:
            # The same proportions: 100 of v2 is 1024 of v1.
            files.write(path / "cpu.shares", max(2, weight * 1024 // 100))
        if limit is not None:
            files.write(path / "cpu.cfs_period_us", PERIOD_US)
            files.write(path / "cpu.cfs_quota_us", int(limit * PERIOD_US) if limit else -1)
        return files.problems

    def usage(self) -> Usage:
        missing = Path("/nonexistent")
        used = _number(self._paths.get("cpuacct", missing) / "cpuacct.usage")
        throttled = _table(self._paths.get("cpu", missing) / "cpu.stat").get("throttled_time")
        return Usage(
            memory_bytes=_number(self._paths.get("memory", missing) / "memory.usage_in_bytes"),
            cpu_seconds=None if used is None else used / 1e9,
            throttled_seconds=None if throttled is None else throttled / 1e9,
            processes=_number(self._paths.get("pids", missing) / "pids.current"),
        )

    def freeze(self, frozen: bool) -> Sequence[str]:
        path = self._paths.get("freezer")
        if path is None:
            return ("the freezer controller is not available",)
        files = _Files()
        files.write(path / "freezer.state", "FROZEN" if frozen else "THAWED")
        return files.problems

    def pids(self) -> Sequence[int]:
        return _pids(next(iter(self._paths.values())))

    def remove(self) -> Sequence[str]:
        files = _Files()
        for path in dict.fromkeys(self._paths.values()):
            files.remove(path)
        return files.problems


class CgroupV2:
    """One directory in the one hierarchy."""

    kind: Kind = "v2"

    def __init__(self, name: str, root: Path, controllers: Sequence[str]) -> None:
        self.name = name
        self._root = root
        self._path = root / name
        self._controllers = tuple(controllers)

    def _make(self, files: _Files) -> None:
        """Every directory above must hand the controllers down before a child has their files."""
        if self._path.is_dir():
            return
        wanted = " ".join(f"+{name}" for name in self._controllers)
        for directory in (self._root, self._path.parent):
            files.make(directory)
            if wanted:
                files.write(directory / "cgroup.subtree_control", wanted)
        files.make(self._path)

    def add(self, pid: int) -> Sequence[str]:
        files = _Files()
        self._make(files)
        files.write(self._path / "cgroup.procs", pid)
        return files.problems

    def set_cpu(self, *, weight: int | None = None, limit: float | None = None) -> Sequence[str]:
        files = _Files()
        self._make(files)
        if weight is not None:
            files.write(self._path / "cpu.weight", min(max(weight, 1), 10_000))
        if limit is not None:
            files.write(self._path / "cpu.max", f"{int(limit * PERIOD_US) if limit else 'max'} {PERIOD_US}")
        return files.problems

    def usage(self) -> Usage:
        cpu = _table(self._path / "cpu.stat")
        used, throttled = cpu.get("usage_usec"), cpu.get("throttled_usec")
        return Usage(
            memory_bytes=_number(self._path / "memory.current"),
            cpu_seconds=None if used is None else used / 1e6,
            throttled_seconds=None if throttled is None else throttled / 1e6,
            processes=_number(self._path / "pids.current"),
        )

    def freeze(self, frozen: bool) -> Sequence[str]:
        files = _Files()
        files.write(self._path / "cgroup.freeze", int(frozen))
        return files.problems

    def pids(self) -> Sequence[int]:
        return _pids(self._path)

    def remove(self) -> Sequence[str]:
        files = _Files()
        files.remove(self._path)
        return files.problems
