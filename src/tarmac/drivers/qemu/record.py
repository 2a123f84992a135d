"""Who a QEMU process is, written down so that the next daemon knows it again.

A pid alone names nobody: it is reused. A process is known by pid, start time and boot (the kernel's facts), and by
the UUID that its monitor answers. The record lies in the guest's runtime directory, which is gone after a reboot.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tarmac.lib.files import read_bounded, write_atomic
from tarmac.model.errors import DataCorrupt

RECORD_NAME = "process.json"
_FORMAT = 1
_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One QEMU process.

    `start_time` is in clock ticks since boot (/proc/PID/stat, field 22), `started` in Unix seconds. `uuid` is "" and
    `answered` False from just before QEMU runs until it has answered on QMP for the first time."""

    format: int = _FORMAT
    label: str
    pid: int
    start_time: int
    boot_id: str
    started: float
    argv: tuple[str, ...]
    runtime_dir: str
    uid: int
    cgroup: str = ""
    uuid: str = ""
    qemu_version: str = ""
    answered: bool = False

    @property
    def directory(self) -> Path:
        return Path(self.runtime_dir)


def write_record(record: ProcessRecord) -> None:
    """Durable when it returns. Raises OSError."""
    write_atomic(record.directory / RECORD_NAME, msgspec.json.encode(record), mode=0o640)


def read_record(runtime_dir: Path) -> ProcessRecord | None:
    """The record of a runtime directory; None when there is none.

    Raises DataCorrupt for one that cannot be read, or that a newer version wrote; OSError otherwise. A record that
    is owned by somebody other than the daemon or root was not written by a daemon, and counts as corrupt."""
    path = runtime_dir / RECORD_NAME
    try:
        owner = path.lstat().st_uid
        data = read_bounded(path, _LIMIT)
    except FileNotFoundError:
        return None
    if owner not in (0, os.geteuid()):
        raise _corrupt(path, f"owned by uid {owner}")
    try:
        record = msgspec.json.decode(data, type=ProcessRecord)
    except msgspec.DecodeError as error:
        raise _corrupt(path, str(error)) from error
    if record.format != _FORMAT or record.directory != runtime_dir:
        raise _corrupt(path, f"format {record.format}, directory {record.runtime_dir}")
    return record


def _corrupt(path: Path, evidence: str) -> DataCorrupt:
    return DataCorrupt(
        f"the process record {path} cannot be used",
        code="process-record-corrupt",
        cause="it is damaged, was written by a newer version, or does not belong here",
        evidence=evidence,
    )


def start_time_of(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none, or only its corpse."""
    try:
        # The name in the second field may hold spaces and parentheses: count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
