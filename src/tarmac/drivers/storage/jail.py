"""Foreign images: looked at and converted only by a locked-in process that has nothing but their open files.

An image that came from outside may be made to attack the program that reads it, or to make that program read a file
of the host (a backing file, a data file, a VMDK extent). So: its first bytes must be those of the format that its name
claims; a tool sees it only inside the jail (`jail_child.py`: own uid where we are root, no network, no file system,
limited memory and time); it is refused when it refers to anything outside itself; and what goes on is never the image
but a clean copy, whose header is checked once more. Raw images are never probed as something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarmac.drivers.storage import image
from tarmac.drivers.storage.headers import read_qcow2, sniff, vmdk_size
from tarmac.drivers.storage.jail_rules import check_facts, check_result, check_self_contained, check_tables, refused
from tarmac.drivers.storage.values import Advance
from tarmac.drivers.storage.walls import behind_walls
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.lib.process import Finished
from tarmac.model.errors import DataCorrupt, Fix, InvalidInput, NoSpace
from tarmac.model.units import GIB, MIB, TIB, human_size

FORMATS = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")
_WATCH_SECONDS = 0.2
_SECTOR = 512  # a disk consists of whole ones: the rest of the last one reads as zeroes


@dataclass(frozen=True, slots=True, kw_only=True)
class JailLimits:
    """What a jailed tool may use: `memory` bytes of address space, `virtual_size` bytes of a disk, `cpu_seconds` and
    so many more for each GiB; and how many bytes (or which share) of a file system it must leave free."""

    memory: int = 2 * GIB
    virtual_size: int = 64 * TIB
    cpu_seconds: int = 60
    cpu_seconds_per_gib: int = 20
    reserve: int = GIB
    reserve_share: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignImage:
    """What the jail found: the disk's size in bytes, and the file's own."""

    format: str
    virtual_size: int
    file_size: int


class Jail:
    """Opens foreign images. `uid` and `gid`: whom a jailed tool becomes when the daemon is root; files that come in
    by upload belong to that group, others that it cannot read are copied for it first."""

    def __init__(self, *, uid: int = 65534, gid: int = 65534, limits: JailLimits | None = None) -> None:
        self.uid = uid
        self.gid = gid
        self.limits = limits or JailLimits()
        self._root = os.geteuid() == 0
        self._calls = HostCalls("jail")

    async def protections(self) -> dict[str, bool]:
        """Which protections this kernel offers: namespaces, landlock, seccomp."""
        done = await self._jailed([], [], self.limits.cpu_seconds, MIB)
        found: dict[str, bool] = json.loads(done.stdout)
        return found

    async def inspect(self, path: Path, format: str, *, label: str | None = None) -> ForeignImage:
        """Look at an image without trusting it; `label` is its name in messages.

        Raises InvalidInput (`image-refused`) with the reason."""
        async with self._opened(path, path.parent) as source:
            return await self._inspect(source, label or path.name, format)

    async def convert(
        self, path: Path, format: str, target: Path, target_format: str, *, advance: Advance | None = None
    ) -> ForeignImage:
        """A clean image `target` (must not exist) with the disk of the foreign image `path`.

        Raises InvalidInput (`image-refused`), NoSpace when the file system would fall below its reserve, HostFailure.
        What was written by then is the caller's to remove."""
        async with self._opened(path, target.parent) as source:
            found = await self._inspect(source, path.name, format)
            await image.create(target, target_format, found.virtual_size)
            async with self._writable(target) as output:
                argv = ["convert", "-p", "-n", "--target-is-zero", "-O", target_format]
                argv += [_json_name(format, source), f"/dev/fd/{output}"]
                feed = image.percent_of(found.virtual_size, advance)
                async with self._space_watched(target):
                    await self._convert(argv, [source, output], found.virtual_size, target, feed)
            await self._calls.run(check_result, target, target_format, found.virtual_size)
            return found

    async def _convert(
        self, argv: list[str], fds: list[int], size: int, target: Path, feed: Callable[[bytes], None]
    ) -> None:
        seconds = self.limits.cpu_seconds + self.limits.cpu_seconds_per_gib * (size // GIB + 1)
        # An image file is never much larger than its disk: qcow2 adds less than a thousandth, and its header.
        done = await self._jailed(argv, fds, seconds, size + size // 256 + 16 * MIB, feed)
        if done.code != 0:
            raise image.image_failure(done.failure(), f"cannot convert into {target.name}", target)

    async def _inspect(self, fd: int, name: str, format: str) -> ForeignImage:
        if format not in FORMATS:
            raise InvalidInput.of("format", f"images of format '{format}' cannot be imported", code="image-refused")
        file_size = await self._calls.run(self._check_first_bytes, fd, name, format)
        size = -(-file_size // _SECTOR) * _SECTOR
        if format != "raw":
            facts = await self._facts(fd, name, format)
            size = int(facts["virtual-size"])
            check_facts(facts, fd, name, format)
        self._plausible(name, size)
        return ForeignImage(format=format, virtual_size=size, file_size=file_size)

    def _check_first_bytes(self, fd: int, name: str, format: str) -> int:
        """The file's size, once its beginning is that of its format. Blocks."""
        if format != "raw" and (claimed := sniff(fd)) != format:
            raise refused(name, f"its name says {format}, its first bytes do not", f"they are those of {claimed}")
        if format == "qcow2":
            self._check_qcow2(fd, name)
        if format == "vmdk" and not vmdk_size(fd):
            raise refused(name, "its size stands in a descriptor that may name other files", "capacity 0")
        return os.fstat(fd).st_size

    def _plausible(self, name: str, size: int) -> None:
        if size > self.limits.virtual_size:
            limit = human_size(self.limits.virtual_size)
            raise refused(name, f"its disk is larger than {limit}", f"virtual size {size} bytes")

    def _check_qcow2(self, fd: int, name: str) -> None:
        try:
            header = read_qcow2(fd)
        except DataCorrupt as problem:
            raise refused(name, problem.cause, problem.evidence) from None
        self._plausible(name, header.size)
        check_self_contained(header, name)
        check_tables(header, name)

    async def _facts(self, fd: int, name: str, format: str) -> dict[str, Any]:
        argv = ["info", "--output=json", "-U", _json_name(format, fd)]
        done = await self._jailed(argv, [fd], self.limits.cpu_seconds, MIB)
        if done.code != 0 or done.truncated:
            words = done.error_text[-500:] or f"exit code {done.code}"
            raise refused(name, "it cannot be read as what its name says", words)
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    async def _jailed(
        self,
        words: Sequence[str],
        fds: Sequence[int],
        cpu_seconds: int,
        file_size: int,
        feed: Callable[[bytes], None] | None = None,
    ) -> Finished:
        limits = {"AS": self.limits.memory, "CPU": cpu_seconds, "FSIZE": file_size, "CORE": 0, "NOFILE": 64}
        uid = self.uid if self._root else None
        return await behind_walls(words, uid=uid, gid=self.gid, limits=limits, fds=fds, on_output=feed)

    @contextlib.asynccontextmanager
    async def _opened(self, path: Path, scratch: Path) -> AsyncIterator[int]:
        """The foreign file, open for reading and readable again by whom the tool becomes."""
        try:
            fd = await self._calls.run(_open_regular, path)
        except OSError as problem:
            raise failure_of(problem, f"cannot open {path.name}") from problem
        try:
            if self._root and not self._may_read(await self._calls.run(os.fstat, fd)):
                copy = await self._calls.run(_private_copy, fd, scratch, self.uid, self.gid)
                os.close(fd)
                fd = copy
            yield fd
        finally:
            os.close(fd)

    def _may_read(self, status: os.stat_result) -> bool:
        mode = status.st_mode
        if status.st_uid == self.uid:
            return bool(mode & stat.S_IRUSR)
        if status.st_gid == self.gid:
            return bool(mode & stat.S_IRGRP)
        return bool(mode & stat.S_IROTH)

    @contextlib.asynccontextmanager
    async def _writable(self, target: Path) -> AsyncIterator[int]:
        """The target, open, and the jail's as long as the tool runs."""

        def lend() -> tuple[int, os.stat_result]:
            fd = os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            owner = os.fstat(fd)
            os.fchmod(fd, 0o600)
            if self._root:
                os.fchown(fd, self.uid, self.gid)
            return fd, owner

        def take_back() -> None:
            if self._root:
                os.fchown(fd, owner.st_uid, owner.st_gid)
            os.close(fd)

        fd, owner = await self._calls.run(lend)
        try:
            yield fd
        finally:
            await self._calls.run(take_back)

    @contextlib.asynccontextmanager
    async def _space_watched(self, target: Path) -> AsyncIterator[None]:
        """End the work inside with NoSpace once the file system falls below its reserve: a small image may unfold
        into a disk that is full, at the cost of every guest beside it."""
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch(target))
                yield
                watcher.cancel()
        except BaseExceptionGroup as several:
            # `except*` would wrap what it raises into a group again. A full disk explains whatever else failed.
            full = several.subgroup(NoSpace)
            raise (full or several).exceptions[0] from None

    async def _watch(self, target: Path) -> None:
        while True:
            figures = await self._calls.run(os.statvfs, target.parent)
            total, free = figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize
            reserve = min(self.limits.reserve, int(total * self.limits.reserve_share))
            if free < reserve:
                raise NoSpace(
                    f"cannot convert into {target.name}",
                    cause="the storage would be full: its last part is kept for the guests that run on it",
                    evidence=f"{human_size(free)} of {human_size(total)} are free, {human_size(reserve)} are kept",
                    fixes=[Fix(text="free some space on the storage, or use another one")],
                )
            await asyncio.sleep(_WATCH_SECONDS)


def _json_name(format: str, fd: int) -> str:
    file = {"driver": "file", "filename": f"/dev/fd/{fd}", "locking": "off"}
    node: dict[str, Any] = {"driver": format, "file": file}
    if format in ("qcow2", "vmdk"):
        node["backing"] = None
    return "json:" + json.dumps(node)


def _open_regular(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "not a regular file", str(path))
    return fd


def _private_copy(source: int, scratch: Path, uid: int, gid: int) -> int:
    """A nameless copy that the jail's user owns; shares its blocks where the file system can."""
    name = scratch / f".copy.{secrets.token_hex(8)}.part"
    target = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    name.unlink()
    try:
        os.fchown(target, uid, gid)
        for start, length in _extents(source):
            os.lseek(target, start, os.SEEK_SET)
            done = 0
            while done < length:
                moved = os.copy_file_range(source, target, min(length - done, 1 << 30), start + done, start + done)
                if moved == 0:
                    break
                done += moved
        os.ftruncate(target, os.fstat(source).st_size)
    except BaseException:
        os.close(target)
        raise
    return target


def _extents(fd: int) -> Iterator[tuple[int, int]]:
    size, start = os.fstat(fd).st_size, 0
    while start < size:
        try:
            start = os.lseek(fd, start, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end - start
        start = end
