"""Running a tool: an argument list in, bounded output and an exit code out, and no child left behind.

    done = await run(["qemu-img", "info", "--output=json", path])
    done = await run(argv, ok=(0, 1), on_output=feed_progress)

There is no timeout argument: a caller writes `async with asyncio.timeout(...)`. Cancellation (also by that timeout)
ends the child and what it started, first with SIGTERM, after two seconds with SIGKILL, before it propagates.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tarmac.lib.files import failure_of
from tarmac.lib.tasks import whole
from tarmac.model.errors import Fix, HostFailure

MIB = 1024 * 1024
_CHUNK = 64 * 1024
GRACE_SECONDS = 2.0
Watcher = Callable[[bytes], None]
"""Sees each chunk of a stream as it comes."""
_PACKAGES = {
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "genisoimage": "genisoimage",
    "swtpm": "swtpm",
    "ldapsearch": "ldap-utils",
    "nft": "nftables",
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "rbd": "ceph-common",
    "ceph": "ceph-common",
    "iscsi-ls": "libiscsi-bin",
    "lvs": "lvm2",
    "vgs": "lvm2",
    "zfs": "zfsutils-linux",
    "zpool": "zfsutils-linux",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A tool's result. `stdout` holds the first bytes up to the limit, `stderr` the last ones; `truncated` says that
    some were dropped. A negative `code` is the signal that ended it."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    truncated: bool

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode(errors="replace").strip()

    def failure(self, message: str = "") -> HostFailure:
        """This result as an error; `evidence` is the tool's own last words."""
        name = Path(self.argv[0]).name
        how = f"signal {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return HostFailure(
            message or f"{name} failed",
            code="tool-failed",
            cause=f"{name} ended with {how}",
            evidence=self.error_text[-2000:] or self.text.strip()[-2000:] or "(it wrote nothing)",
        )


class _Output:
    """Collects one stream: up to `limit` bytes from its beginning or its end, counts the rest away. `watcher` sees each
    chunk."""

    def __init__(self, limit: int, watcher: Watcher | None, *, keep_end: bool) -> None:
        self.data = bytearray()
        self.truncated = False
        self._limit = limit
        self._watcher = watcher
        self._keep_end = keep_end

    def feed(self, chunk: bytes) -> None:
        self._keep(chunk)
        if self._watcher is not None:
            self._watcher(chunk)

    def _keep(self, chunk: bytes) -> None:
        if self._keep_end:
            self.data += chunk
            if len(self.data) > self._limit:
                del self.data[: len(self.data) - self._limit]
                self.truncated = True
            return
        room = self._limit - len(self.data)
        self.data += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room


async def run(
    argv: Sequence[str | Path],
    *,
    input: bytes = b"",
    limit: int = MIB,
    ok: Collection[int] = (0,),
    on_output: Watcher | None = None,
    on_error: Watcher | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    group: int | None = None,
    extra_groups: Sequence[int] | None = None,
    pass_fds: Sequence[int] = (),
    grace: float = GRACE_SECONDS,
) -> Finished:
    """Run a tool to its end and return its result.

    `limit` bounds each stream in bytes; what goes beyond is read and dropped, so the child never blocks on it.
    `on_output` and `on_error` see each chunk of stdout and stderr as it comes (progress). `env` is added to the
    daemon's environment with `LC_ALL=C`, so that messages can be matched. `grace` is the time in seconds between
    SIGTERM and SIGKILL when the call is cancelled; 0: SIGKILL at once. Raises HostFailure: `tool-failed` for an exit
    code outside `ok`, `tool-missing` when the program does not exist. In every case, also cancellation, no child runs
    afterwards.
    """
    words = tuple(os.fspath(word) for word in argv)

    async def end(process: asyncio.subprocess.Process) -> None:
        await _end(process, grace)

    # A cancelled start of asyncio's would wait for ever if the child's children hold its pipes: let it finish.
    process = await whole(_start(words, cwd, env, user, group, extra_groups, pass_fds), end)
    stdout = _Output(limit, on_output, keep_end=False)
    stderr = _Output(min(limit, 64 * 1024), on_error, keep_end=True)
    code = None
    try:
        code = await _to_its_end(process, input, stdout, stderr)
    finally:
        if code is None:
            await end(process)
    done = Finished(
        argv=words,
        code=code,
        stdout=bytes(stdout.data),
        stderr=bytes(stderr.data),
        truncated=stdout.truncated or stderr.truncated,
    )
    if code not in ok:
        raise done.failure()
    return done


async def _start(
    words: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    user: int | None,
    group: int | None,
    extra_groups: Sequence[int] | None,
    pass_fds: Sequence[int],
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            user=user,
            group=group,
            extra_groups=extra_groups,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise tool_missing(words[0], error) from error
    except OSError as error:
        raise failure_of(error, f"cannot start {words[0]}") from error


def tool_missing(program: str, error: OSError | None = None) -> HostFailure:
    """The error for a program that is not installed, naming Debian's package where it is known."""
    name = Path(program).name
    package = _PACKAGES.get(name, name)
    return HostFailure(
        f"the program {name} is not installed",
        code="tool-missing",
        cause=f"{name} is not found in PATH",
        evidence=str(error) if error else "",
        fixes=[Fix(text=f"install the Debian package {package}", action=f"apt-get install {package}")],
    )


async def _to_its_end(process: asyncio.subprocess.Process, input: bytes, stdout: _Output, stderr: _Output) -> int:
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    async with asyncio.TaskGroup() as streams:
        streams.create_task(_feed(process.stdin, input))
        streams.create_task(_drain(process.stdout, stdout))
        streams.create_task(_drain(process.stderr, stderr))
    return await process.wait()


async def _feed(stdin: asyncio.StreamWriter, data: bytes) -> None:
    # A tool that does not read its input to the end is no error: its exit code tells.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if data:
            stdin.write(data)
            await stdin.drain()
    stdin.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await stdin.wait_closed()


async def _drain(stream: asyncio.StreamReader, output: _Output) -> None:
    while chunk := await stream.read(_CHUNK):
        output.feed(chunk)


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    """End the child's whole session. The leader may be gone while a child of its holds the pipes: the group's number
    stays reserved as long as a member lives, so signalling the group is safe then."""
    try:
        if grace > 0:
            _signal_group(process.pid, signal.SIGTERM)
            async with asyncio.timeout(grace):
                await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
    async with asyncio.timeout(GRACE_SECONDS):
        await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
