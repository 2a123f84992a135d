"""Uploads: a file of a client into a storage, streamed to disk, checked, and put in place by a task.

The bytes go into a hidden file beside their later place while they come in; the checksum is computed on the way. Only
when all of it is on disk does the task `imgcopy` start, whose one step checks a disk image in the jail and gives the
file its name. A crash leaves a hidden file at most, which the next start removes unless an unfinished task owns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content, VolumeName, parse_volume_name, upload_name
from tarmac.model.errors import HostFailure, InvalidInput
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.units import human_size
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.intake import Sink, checksum_problems, examine, put_in_place
from tarmac.services.storage.storages import Storages

Started = str | Plan
SWEEP_SECONDS = 10.0
SNIPPET_MAX = 256 * 1024  # as much as a cloud-init document may have


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
        self._receiving: set[str] = set()
        registry.step("upload-finish", self._do_finish, self._undo_finish)
        registry.kind("imgcopy", self._plan, recover="resume")

    async def receive(
        self, storage: str, fields: UploadFields, chunks: AsyncIterable[bytes], *, size: int | None = None
    ) -> Received:
        """Take the file in. `size`: how many bytes the client announced, if it did, to refuse early.

        Raises InvalidInput (content type, extension, checksum, a snippet that is too long or no text), NotFound,
        NoSpace; whatever ends it early, a client that goes away too, leaves nothing behind."""
        name = upload_name(fields.content, fields.filename, snippets=True)
        driver = self._storages.get(storage, name.content)
        await self._storages.space.check(driver, size or 0)
        token = f"upload-{secrets.token_hex(12)}"
        self._receiving.add(token)
        try:
            staged = await driver.stage(name, token)
            try:
                async with await Sink.open(staged, fields.algorithm) as sink:
                    async for chunk in chunks:
                        await sink.write(chunk)
                        _check_size(name, sink.size)
                    await sink.end()
                sink.check(fields.checksum, name.file)
                if name.content is Content.SNIPPETS:
                    await asyncio.to_thread(_check_text, staged)
            except BaseException:
                await driver.discard(name, token)
                raise
        finally:
            self._receiving.discard(token)
        return Received(storage=storage, name=name, token=token, size=sink.size)

    async def finish(self, user: str, received: Received) -> str:
        """Start the task that puts the file in its place; returns the UPID. An existing file is overwritten."""
        args = {"storage": received.storage, "volume": str(received.name), "token": received.token}
        volid = f"{received.storage}:{received.name}"
        try:
            return await self._jobs.submit(
                "imgcopy", id="", user=user, args={**args, "size": received.size}, queues=[f"volume/{volid}"]
            )
        except BaseException:
            await self.drop(received)
            raise

    async def drop(self, received: Received) -> None:
        """Give up a file that was received."""
        await self._storages.get(received.storage).discard(received.name, received.token)

    async def sweep(self) -> list[str]:
        """Remove what earlier daemons left half received. Called at the start, before anything works: the hidden files
        of unfinished jobs stay, and those of work that goes on meanwhile would be taken for leftovers."""
        keep: set[str] = set(self._receiving)
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
                if self._storages.probe[driver.id].active:
                    group.create_task(clean(driver))
        return removed

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        title = f"put {args['storage']}:{args['volume']} in its place ({human_size(args['size'])})"
        step_args = {key: args[key] for key in ("storage", "volume", "token")}
        return Plan(
            steps=(PlannedStep(step="upload-finish", title=title, args=step_args),),
            result={"volid": f"{args['storage']}:{args['volume']}"},
        )

    async def _do_finish(self, ctx: StepContext, storage: str, volume: str, token: str) -> dict[str, str]:
        name = parse_volume_name(volume)
        driver = self._storages.get(storage, name.content)
        await examine(driver, self._jail, name, token)
        volid = await put_in_place(driver, self._jail, name, token, replace=True)
        return {"volid": str(volid)}

    async def _undo_finish(self, ctx: StepContext, storage: str, volume: str, token: str) -> None:
        await self._storages.get(storage).discard(parse_volume_name(volume), token)


def _check_size(name: VolumeName, size: int) -> None:
    if name.content is Content.SNIPPETS and size > SNIPPET_MAX:
        raise InvalidInput.of(
            "filename", f"a snippet may have up to {human_size(SNIPPET_MAX)}", code="snippet-too-long"
        )


def _check_text(path: Path) -> None:
    """Snippets are texts: what reads them reads nothing else."""
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError as problem:
        raise InvalidInput.of(
            "filename",
            f"a snippet is a text in UTF-8: {problem.reason} at byte {problem.start}",
            code="snippet-no-text",
        ) from None
