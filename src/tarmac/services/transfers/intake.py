"""Bytes from outside on their way into a storage: written in a thread, counted, hashed, checked, put in place."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content, VolumeName
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.errors import DataCorrupt, Fix, InvalidInput, NoSpace, TarmacError
from tarmac.model.ids import VolumeId
from tarmac.model.units import GIB, MIB, human_size

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
SNIPPET_MAX = 256 * 1024  # as much as a cloud-init document may have
_BUFFER = MIB
_LOOK_EVERY = 32 * MIB
_RESERVE, _RESERVE_SHARE = GIB, 0.02


async def examine(driver: FileStorage, jail: Jail, name: VolumeName, token: str) -> None:
    """A look at a gathered disk image in the jail, and at a snippet; other files need none. Raises InvalidInput
    (`image-refused`, `snippet-too-long`, `snippet-no-text`)."""
    staged = driver.staged(name, token)
    if name.content is Content.SNIPPETS and await asyncio.to_thread(staged.exists):
        await asyncio.to_thread(check_snippet, name, staged)
    if name.content is Content.IMPORT and name.format != "ova" and await asyncio.to_thread(staged.exists):
        await jail.inspect(staged, name.format, label=name.file)


def check_snippet_size(name: VolumeName, size: int) -> None:
    """Raises InvalidInput for a snippet that is too long; other files may be as long as they are."""
    if name.content is Content.SNIPPETS and size > SNIPPET_MAX:
        raise InvalidInput.of(
            "filename", f"a snippet may have up to {human_size(SNIPPET_MAX)}", code="snippet-too-long"
        )


def check_snippet(name: VolumeName, path: Path) -> None:
    """Snippets are short texts: what reads them reads nothing else. Blocks."""
    check_snippet_size(name, path.stat().st_size)
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError as problem:
        raise InvalidInput.of(
            "filename",
            f"a snippet is a text in UTF-8: {problem.reason} at byte {problem.start}",
            code="snippet-no-text",
        ) from None


async def put_in_place(driver: FileStorage, jail: Jail, name: VolumeName, token: str, *, replace: bool) -> VolumeId:
    """Give a gathered file its name. Repeatable. Raises Conflict unless `replace`, HostFailure."""
    gid = jail.gid if name.content is Content.IMPORT else None
    return await driver.install(driver.staged(name, token), name, replace=replace, gid=gid)


async def finish(driver: FileStorage, jail: Jail, name: VolumeName, token: str, *, replace: bool) -> VolumeId:
    """`put_in_place` as the last step of a task, which nothing undoes: what cannot be put in place is given up."""
    try:
        return await put_in_place(driver, jail, name, token, replace=replace)
    except TarmacError:
        await driver.discard(name, token)
        raise


def checksum_problems(checksum: str | None, algorithm: str | None) -> dict[str, str]:
    """What is wrong with the pair of parameters, in Proxmox's words."""
    problems = {}
    if checksum is not None and algorithm is None:
        problems["checksum"] = "missing property - 'checksum-algorithm' requires this property"
    if algorithm is not None and checksum is None:
        problems["checksum-algorithm"] = "missing property - 'checksum' requires this property"
    if algorithm is not None and algorithm not in ALGORITHMS:
        words = ", ".join(ALGORITHMS)
        problems["checksum-algorithm"] = f"value '{algorithm}' does not have a value in the enumeration '{words}'"
    return problems


class Checksum:
    """A running checksum; without an algorithm it fits everything."""

    def __init__(self, algorithm: str | None) -> None:
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None
        self._size = 0

    def update(self, data: bytes) -> None:
        """Blocks: half a millisecond for 256 KiB."""
        if self._hash is not None:
            self._hash.update(data)
            self._size += len(data)

    def compare(self, wanted: str | None, file: str) -> None:
        """Raises DataCorrupt (`checksum-mismatch`) unless it is `wanted`."""
        if wanted is None or self._hash is None:
            return
        found = self._hash.hexdigest()
        if found != wanted.strip().lower():
            raise DataCorrupt(
                f"checksum mismatch: got '{found}' != expect '{wanted}'",
                code="checksum-mismatch",
                cause=f"the file '{file}' is not the one whose {self._algorithm} checksum was given",
                evidence=f"{self._size} bytes came in",
                fixes=[Fix(text="compare the checksum with its publisher's, then send the file again")],
            )


class Sink:
    """A file that is filled piece by piece, in a thread, and its checksum; an async context manager.

    It stops with NoSpace before the file system is full, so that the guests that run on it go on."""

    def __init__(self, path: Path, fd: int, algorithm: str | None, calls: HostCalls) -> None:
        self._path = path
        self._fd = fd
        self._calls = calls
        self._checksum = Checksum(algorithm)
        self._waiting = bytearray()
        self._looked_at = 0
        self.size = 0

    @classmethod
    async def open(cls, path: Path, algorithm: str | None = None, *, at: int = 0) -> Sink:
        """The existing file `path`, which is written from byte `at` on. Raises HostFailure, Denied."""
        calls = HostCalls("sink", 1)
        try:
            fd = await calls.run(os.open, path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            await calls.run(os.lseek, fd, at, os.SEEK_SET)
        except OSError as problem:
            raise failure_of(problem, f"cannot write {path.name}") from problem
        return cls(path, fd, algorithm, calls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._calls.run(os.close, self._fd)

    async def write(self, chunk: bytes) -> None:
        """Raises NoSpace, HostFailure."""
        self._waiting += chunk
        self.size += len(chunk)
        if len(self._waiting) >= _BUFFER:
            await self._flush()

    async def end(self) -> None:
        """All of it on disk."""
        await self._flush()
        await self._translated(lambda: os.fsync(self._fd))

    async def _flush(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()

        def work() -> None:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            self._checksum.update(data)

        await self._translated(work)
        if self.size - self._looked_at >= _LOOK_EVERY:
            self._looked_at = self.size
            await self._translated(self._look)

    def _look(self) -> None:
        figures = os.fstatvfs(self._fd)
        total, free = figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize
        reserve = min(_RESERVE, int(total * _RESERVE_SHARE))
        if free < reserve:
            raise NoSpace(
                f"no space left for the file after {human_size(self.size)}",
                cause="the storage would be full: its last part is kept for the guests that run on it",
                evidence=f"{human_size(free)} of {human_size(total)} are free, {human_size(reserve)} are kept",
                fixes=[Fix(text="remove volumes that nobody needs, or use another storage", action="GET content")],
            )

    async def _translated(self, work: Callable[[], None]) -> None:
        try:
            await self._calls.run(work)
        except OSError as problem:
            raise failure_of(problem, f"cannot write the file after {human_size(self.size)}") from problem

    def check(self, wanted: str | None, file: str) -> None:
        """Compare the checksum. Raises DataCorrupt (`checksum-mismatch`)."""
        self._checksum.compare(wanted, file)
