"""Uploads: a file of a client into a storage, streamed to disk, checked, and put in place by a task.

The bytes go into a hidden file beside their later place while they come in; the checksum is computed on the way. Only
when all of it is on disk does the task `imgcopy` start, whose one step checks a disk image in the jail and gives the
file its name. A crash leaves a hidden file at most, which the next start removes unless an unfinished task owns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content, VolumeName, parse_volume_name, upload_name
from tarmac.model.errors import Busy, Fix, HostFailure, InvalidInput
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.units import MIB, human_size
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages
from tarmac.services.transfers.intake import (
    Checksum,
    Sink,
    check_snippet,
    check_snippet_size,
    checksum_problems,
    examine,
    put_in_place,
)

SWEEP_SECONDS = 10.0
MOST_OF_ONE = 16
MOST_AT_ONCE = 64
_PIECE = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFields:
    """The fields of an upload, those that came before the file."""

    content: str
    filename: str
    checksum: str | None = None
    algorithm: str | None = None

    @classmethod
    def of(cls, fields: Mapping[str, str], filename: str | None) -> UploadFields:
        """Checked fields. Raises InvalidInput in Proxmox's words."""
        problems = {}
        missing = "property is missing and it is not optional"
        if "content" not in fields:
            problems["content"] = missing
        if not filename:
            problems["filename"] = missing
        checksum, algorithm = fields.get("checksum"), fields.get("checksum-algorithm")
        problems |= checksum_problems(checksum, algorithm)
        if problems:
            raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)
        assert filename is not None
        return cls(content=fields["content"], filename=filename, checksum=checksum, algorithm=algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A whole file on disk, not yet in its place."""

    storage: str
    name: VolumeName
    token: str
    size: int


class Uploads:
    """`receive` while the request runs, `finish` to start the task."""

    def __init__(self, *, storages: Storages, jail: Jail, jobs: Jobs, registry: Registry) -> None:
        self._storages = storages
        self._jail = jail
        self._jobs = jobs
        self._receiving: dict[str, str] = {}  # token -> user
        self.kept: list[Callable[[], Iterable[str]]] = []
        """Say the tokens of hidden files that a sweep leaves: those of uploads that can be gone on with."""
        registry.step("upload-verify", self._do_verify, self._undo_verify)
        registry.step("upload-finish", self._do_finish, self._undo_finish)
        registry.kind("imgcopy", self._plan, recover="resume")

    async def receive(
        self,
        storage: str,
        fields: UploadFields,
        chunks: AsyncIterable[bytes],
        *,
        size: int | None = None,
        user: str = "",
    ) -> Received:
        """Take the file in. `size`: how many bytes the client announced, if it did, to refuse early.

        Raises InvalidInput (content type, extension, checksum, a snippet that is too long or no text), NotFound,
        NoSpace, Busy (too many at a time); whatever ends it early, a client that goes away too, leaves nothing
        behind."""
        name = upload_name(fields.content, fields.filename, snippets=True)
        self._check_number(user)
        driver = self._storages.files(storage, name.content)
        token = f"upload-{secrets.token_hex(12)}"
        self._receiving[token] = user
        try:
            async with self._storages.space.held(driver, f"upload of {name.file}", size or 0):
                received = await self._gather(driver, name, token, fields, chunks)
        finally:
            self._receiving.pop(token, None)
        return Received(storage=storage, name=name, token=token, size=received)

    @staticmethod
    async def _gather(
        driver: FileStorage, name: VolumeName, token: str, fields: UploadFields, chunks: AsyncIterable[bytes]
    ) -> int:
        """All bytes into the hidden file; returns how many. Whatever ends it early takes the file away again."""
        staged = await driver.stage(name, token)
        try:
            async with await Sink.open(staged, fields.algorithm) as sink:
                async for chunk in chunks:
                    await sink.write(chunk)
                    check_snippet_size(name, sink.size)
                await sink.end()
            sink.check(fields.checksum, name.file)
            if name.content is Content.SNIPPETS:
                await asyncio.to_thread(check_snippet, name, staged)
        except BaseException:
            await driver.discard(name, token)
            raise
        return sink.size

    def _check_number(self, user: str) -> None:
        of_user = list(self._receiving.values()).count(user)
        if len(self._receiving) >= MOST_AT_ONCE or of_user >= MOST_OF_ONE:
            raise Busy(
                "too many uploads at a time",
                code="too-many-uploads",
                cause=f"one user may have {MOST_OF_ONE} under way, all together {MOST_AT_ONCE}",
                evidence=f"{user} has {of_user}, all together {len(self._receiving)}",
                fixes=[Fix(text="wait until one of them has ended")],
            )

    async def started(self, token: str) -> str | None:
        """The unfinished task that puts the file of `token` in its place, if there is one."""
        return next((r.upid for r in await self._jobs.unfinished() if r.args.get("token") == token), None)

    async def finish(
        self,
        user: str,
        received: Received,
        *,
        checksum: str | None = None,
        algorithm: str | None = None,
        keep: bool = False,
    ) -> str:
        """Start the task that puts the file in its place; returns the UPID. An existing file is overwritten.
        `checksum`: one that is still to be compared. `keep`: the file stays when the task cannot be started."""
        args: dict[str, Any] = {"storage": received.storage, "volume": str(received.name), "token": received.token}
        if checksum is not None:
            args |= {"checksum": checksum, "algorithm": algorithm}
        volid = f"{received.storage}:{received.name}"
        try:
            return await self._jobs.submit(
                "imgcopy", id="", user=user, args={**args, "size": received.size}, queues=[f"volume/{volid}"]
            )
        except BaseException:
            if not keep:
                await self.drop(received)
            raise

    async def drop(self, received: Received) -> None:
        """Give up a file that was received."""
        await self._storages.files(received.storage).discard(received.name, received.token)

    async def sweep(self) -> list[str]:
        """Remove what earlier daemons left half received. Called at the start, before anything works: the hidden files
        of unfinished jobs stay, and those of work that goes on meanwhile would be taken for leftovers."""
        keep: set[str] = {*self._receiving, *(token for tokens in self.kept for token in tokens())}
        for record in await self._jobs.unfinished():
            keep.add(str(record.args.get("token", "")))
            keep.add(record.upid)
            keep.update(f"{record.upid} {step.args.get('volid')}" for step in record.steps)
        removed: list[str] = []

        async def clean(driver: FileStorage) -> None:
            # A storage that is not there now, or hangs, is cleaned at a later start.
            with contextlib.suppress(HostFailure, TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    removed.extend(await driver.sweep(keep))

        async with asyncio.TaskGroup() as group:
            for driver in self._storages.usable():
                if driver.capabilities.files and self._storages.probe[driver.id].active:
                    group.create_task(clean(self._storages.files(driver.id)))
        return removed

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        title = f"put {args['storage']}:{args['volume']} in its place ({human_size(args['size'])})"
        step_args = {key: args[key] for key in ("storage", "volume", "token")}
        steps = [PlannedStep(step="upload-finish", title=title, args=step_args)]
        if args.get("checksum"):
            both = {key: args[key] for key in ("checksum", "algorithm")}
            compare = f"compare the {args['algorithm']} checksum"
            steps.insert(0, PlannedStep(step="upload-verify", title=compare, args={**step_args, **both}))
        return Plan(
            steps=tuple(steps),
            result={"volid": f"{args['storage']}:{args['volume']}"},
        )

    async def _do_verify(
        self, ctx: StepContext, storage: str, volume: str, token: str, checksum: str, algorithm: str
    ) -> None:
        name = parse_volume_name(volume)
        staged = self._storages.files(storage, name.content).staged(name, token)
        if ctx.resumed and not await asyncio.to_thread(staged.exists):
            return  # it has its name already
        found = Checksum(algorithm)
        with await asyncio.to_thread(staged.open, "rb") as file:
            size, done = (await asyncio.to_thread(os.fstat, file.fileno())).st_size, 0
            while piece := await asyncio.to_thread(_hashed, file, found):
                done += piece
                ctx.progress(done, size, "bytes")
        found.compare(checksum, name.file)
        ctx.log(f"{algorithm} checksum is right")

    async def _undo_verify(self, ctx: StepContext, storage: str, volume: str, token: str, **_: Any) -> None:
        await self._storages.files(storage).discard(parse_volume_name(volume), token)

    async def _do_finish(self, ctx: StepContext, storage: str, volume: str, token: str) -> dict[str, str]:
        name = parse_volume_name(volume)
        driver = self._storages.files(storage, name.content)
        await examine(driver, self._jail, name, token)
        volid = await put_in_place(driver, self._jail, name, token, replace=True)
        return {"volid": str(volid)}

    async def _undo_finish(self, ctx: StepContext, storage: str, volume: str, token: str) -> None:
        await self._storages.files(storage).discard(parse_volume_name(volume), token)


def _hashed(file: BinaryIO, found: Checksum) -> int:
    """Take the next piece of a file into a checksum; how long it was. Blocks."""
    piece = file.read(_PIECE)
    found.update(piece)
    return len(piece)
