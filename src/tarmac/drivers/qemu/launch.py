"""The first milliseconds of a QEMU process: directory, log, gate, placement, record.

The program that is started is a tiny shell script of one line, the gate: it waits for a line on its stdin and then
becomes QEMU (same pid). While it waits, the daemon puts the process into its cgroup, limits it and makes its record
durable. If the daemon dies meanwhile, the pipe ends and so does the gate: there is never a QEMU that nobody wrote
down, and none that ran outside its cgroup. (`preexec_fn` would do the placing too, but is not safe with threads.)
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.qemu.cgroup import Cgroup
from tarmac.drivers.qemu.record import RECORD_NAME, ProcessRecord, boot_id, start_time_of, write_record
from tarmac.lib.files import failure_of
from tarmac.model.errors import Fix, HostFailure, InvalidInput

LOG_NAME = "qemu.log"
# The limits are set by the process itself (a daemon in a container may lack CAP_SYS_RESOURCE for prlimit): no core
# dumps, because they hold the guest's memory, and files enough for many disks.
_GATE = 'ulimit -c 0; ulimit -S -n "$1"; shift; IFS= read -r line || exit 125; exec "$@" </dev/null'
_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET_NAME = len("/virtiofs0.sock")
_OPEN_FILES = 65536
# Somewhat before the daemon when memory runs out: the daemon is what brings guests back.
_OOM_SCORE = 100


@dataclass(slots=True, kw_only=True)
class Started:
    """A process that waits at the gate. `child` is ours to reap, `pidfd` ours to close."""

    record: ProcessRecord
    child: subprocess.Popen[bytes]
    pidfd: int
    gate: int

    def release(self) -> None:
        """Let it become QEMU."""
        os.write(self.gate, b"\n")
        os.close(self.gate)
        self.gate = -1


def prepare_runtime_dir(path: Path, *, uid: int | None = None, gid: int | None = None) -> None:
    """Make the directory for a guest's sockets, log and record. Blocks; safe to repeat.

    As root it belongs to root with the guest's group, is writable for it and sticky: QEMU can make its sockets there
    but neither remove nor replace our log and record. Otherwise it is the daemon's own, mode 0700.
    Raises InvalidInput when the path is too long for unix sockets, HostFailure or Denied when it cannot be made."""
    if len(os.fsencode(path)) + _LONGEST_SOCKET_NAME > _SOCKET_PATH_BYTES:
        raise InvalidInput(
            f"the runtime directory's path {path} is too long",
            code="runtime-path-too-long",
            cause="the path of a unix socket has at most 107 bytes",
            evidence=f"{len(os.fsencode(path))} bytes, and up to {_LONGEST_SOCKET_NAME} for the name",
            fixes=[Fix(text="use a shorter runtime directory")],
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if uid is not None and uid != os.geteuid():
            os.chown(path, os.geteuid(), -1 if gid is None else gid)
            path.chmod(0o1770)
        else:
            path.chmod(0o700)
    except OSError as error:
        raise failure_of(error, f"cannot make the runtime directory {path}") from error


def start_gated(
    argv: tuple[str, ...],
    *,
    runtime_dir: Path,
    pass_fds: Sequence[int],
    uid: int | None,
    gid: int | None,
    groups: Sequence[int],
    cgroup: Cgroup | None,
    label: str,
) -> Started:
    """Start the gate, place and limit it, write its record. Blocks: call it in a thread. Closes `pass_fds`, also on
    failure; raises HostFailure, Denied or NoSpace with nothing left behind."""
    own = uid is None or uid == os.geteuid()
    with _given(pass_fds, label):
        child, gate = _fork_gate(argv, runtime_dir, pass_fds, None if own else (uid, gid, tuple(groups)))
        pidfd = -1
        try:
            pidfd = os.pidfd_open(child.pid)
            start_time = start_time_of(child.pid)
            if start_time is None:
                raise HostFailure(f"{label} did not start", cause="the process ended before it became QEMU")
            if cgroup is not None:
                cgroup.add(child.pid)
            with contextlib.suppress(OSError):
                Path(f"/proc/{child.pid}/oom_score_adj").write_text(str(_OOM_SCORE))
            record = ProcessRecord(
                label=label,
                pid=child.pid,
                start_time=start_time,
                boot_id=boot_id(),
                started=time.time(),
                argv=argv,
                runtime_dir=str(runtime_dir),
                uid=os.geteuid() if uid is None else uid,
                cgroup=cgroup.name if cgroup is not None else "",
            )
            write_record(record)
            return Started(record=record, child=child, pidfd=pidfd, gate=gate)
        except BaseException:
            _end(child, gate, pidfd)
            (runtime_dir / RECORD_NAME).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _given(fds: Sequence[int], label: str) -> Iterator[None]:
    """Descriptors that are ours to close, however a start ends; the system's refusal as ours."""
    try:
        yield
    except OSError as error:
        raise failure_of(error, f"{label} did not start") from error
    finally:
        for fd in fds:
            os.close(fd)


def _fork_gate(
    argv: tuple[str, ...],
    runtime_dir: Path,
    pass_fds: Sequence[int],
    identity: tuple[int | None, int | None, tuple[int, ...]] | None,
) -> tuple[subprocess.Popen[bytes], int]:
    user, group, groups = identity or (None, None, None)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    log = os.open(runtime_dir / LOG_NAME, flags, 0o640)
    waiting, gate = os.pipe2(os.O_CLOEXEC)
    try:
        # One log per start: last words must not be those of the start before.
        os.ftruncate(log, 0)
        child = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "tarmac-gate", str(_open_files()), *argv],
            stdin=waiting,
            stdout=log,
            stderr=log,
            pass_fds=tuple(pass_fds),
            user=user,
            group=group,
            extra_groups=groups,
            umask=0o077,
            cwd="/",
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    except BaseException:
        os.close(gate)
        raise
    finally:
        os.close(waiting)
        os.close(log)
    return child, gate


def _open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)


def end_started(started: Started) -> None:
    """Undo `start_gated`: for a caller that was cancelled before it could take the process over. Blocks briefly."""
    _end(started.child, started.gate, started.pidfd)
    (started.record.directory / RECORD_NAME).unlink(missing_ok=True)


def _end(child: subprocess.Popen[bytes], gate: int, pidfd: int) -> None:
    if gate >= 0:
        os.close(gate)
    child.send_signal(signal.SIGKILL)
    child.wait()
    if pidfd >= 0:
        os.close(pidfd)
