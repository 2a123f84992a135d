"""Resumable uploads: a file comes in by pieces, over as many connections as it takes; `docs/format/uploads.md`.

The bytes go into the same hidden file as a plain upload's. How far it has come is what that file holds, so nothing is
lost when the client, the connection or the daemon goes away. With the last byte the task `imgcopy` starts, which
compares the checksum, looks at a disk image in the jail, and gives the file its name.

Bounded: the whole of every open upload must fit beside the storage's reserve, so many may be open, and one that nobody
goes on with for a day is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterable, Callable
from dataclasses import replace

from tarmac.drivers.qemu.record import boot_id
from tarmac.model.errors import Busy, Conflict, DataCorrupt, Fix, HostFailure, InvalidInput, NotFound, TarmacError
from tarmac.model.units import MIB
from tarmac.services.storage.storages import Storages
from tarmac.services.transfers.intake import Sink, check_snippet_size
from tarmac.services.transfers.upload_files import UploadFiles
from tarmac.services.transfers.upload_records import UploadRecord, UploadRecords
from tarmac.services.transfers.upload_turns import UploadTurn, UploadTurns
from tarmac.services.transfers.uploads import MOST_AT_ONCE, MOST_OF_ONE, Received, UploadFields, Uploads

NOTE_EVERY = 64 * MIB
"""After so many bytes what has come in is synced and noted: so much at most is sent again after a power cut."""
KEPT_OF_ONE = 64
"""So many complete uploads of one user are remembered, for who asks how they ended."""
Check = Callable[[str], None]
"""Raises Denied unless somebody may put a volume of this id in its place."""
INTERRUPTED = "another request goes on with this upload"


def _anything(volid: str) -> None:
    """Nobody is refused."""


class ResumableUploads:
    """`create`, then `append` until all of it is there; `look` says how far it has come."""

    def __init__(
        self,
        *,
        storages: Storages,
        uploads: Uploads,
        records: UploadRecords,
        clock: Callable[[], float] = time.time,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        self._storages = storages
        self._uploads = uploads
        self._records = records
        self._clock = clock
        self._boot = boot
        self._turns = UploadTurns()
        self._files = UploadFiles(storages)
        self._beginning: list[UploadRecord] = []
        """Those that are being made: they count already, so that many at once find no way past the limits."""
        uploads.kept.append(lambda: [record.token for record in records])

    async def load(self) -> None:
        """Read what earlier daemons have begun; called before `Uploads.sweep`."""
        await self._records.load()

    async def create(
        self, user: str, storage: str, fields: UploadFields, size: int, *, check: Check = _anything
    ) -> UploadRecord:
        """Begin one; durable on return. One of 0 bytes is complete at once. `check`: whether the caller may put that
        volume in its place.

        Raises InvalidInput (content type, extension, checksum, a snippet that is too long), NotFound, NoSpace, Busy,
        Denied; then nothing has begun."""
        now = self._clock()
        record = UploadRecord(
            id=secrets.token_hex(16),
            user=user,
            storage=storage,
            content=fields.content,
            filename=fields.filename,
            size=size,
            checksum=fields.checksum,
            algorithm=fields.algorithm,
            created=now,
            touched=now,
            boot=self._boot(),
        )
        driver = self._storages.files(storage, record.name.content)
        check_snippet_size(record.name, size)
        check(f"{storage}:{record.name}")
        self._check_number(user)
        self._beginning.append(record)
        try:
            await self._storages.space.check(driver, await self._promised(storage))
            await driver.stage(record.name, record.token)
            try:
                await self._records.put(record)
            except BaseException:
                await driver.discard(record.name, record.token)
                raise
        finally:
            self._beginning.remove(record)
        await self._forget_ended(user)
        return await self._complete(record) if size == 0 else record

    def rows(self, user: str, storage: str) -> list[UploadRecord]:
        """One's own on a storage, oldest first."""
        return [record for record in self._records if record.user == user and record.storage == storage]

    async def look(self, user: str, storage: str, id: str) -> tuple[UploadRecord, int]:
        """The record, and how many bytes have come in. Whoever still sends is cut off, so that this is the last word.

        Raises NotFound."""
        self._known(user, storage, id)
        async with self._turns.take(id):
            record = self._known(user, storage, id)
            return record, await self._offset(record)

    async def offset(self, record: UploadRecord) -> int:
        """How many bytes have come in by now; nobody is disturbed. Raises NotFound."""
        return record.size if record.task else await self._files.size(record)

    async def append(
        self,
        user: str,
        storage: str,
        id: str,
        offset: int,
        chunks: AsyncIterable[bytes],
        checksum: tuple[str, str] | None = None,
        *,
        check: Check = _anything,
    ) -> tuple[UploadRecord, int]:
        """Take bytes in that begin at `offset`; returns the record and the new offset. `checksum`: algorithm and
        digest of these bytes. A request under way for the same upload is cut off first.

        Raises NotFound, Conflict (`upload-offset`: it has come to another place), InvalidInput for more bytes than
        announced, DataCorrupt (checksum: none of the bytes count), Busy (cut off by a later request), NoSpace, Denied
        (`check`, of the last piece). What had come in until then stays, but for a wrong checksum."""
        self._known(user, storage, id)
        async with self._turns.take(id) as turn:
            record = self._known(user, storage, id)
            there = await self._offset(record)
            if there != offset:
                raise _elsewhere(offset, there)
            if not record.task:
                record, there = await self._take(record, there, chunks, checksum, turn)
            if there == record.size and not record.task:
                check(f"{storage}:{record.name}")  # what was so when it began may not be so any more
                record = await self._complete(record)
            return record, there

    async def remove(self, user: str, storage: str, id: str) -> None:
        """Give it up. One that is complete is only forgotten: its task goes on. Raises NotFound."""
        self._known(user, storage, id)
        async with self._turns.take(id):
            await self._forget(self._known(user, storage, id))

    async def expire(self) -> list[str]:
        """Remove those that nobody went on with in time; the daemon calls it now and then. Returns their ids."""
        now = self._clock()
        late = [r for r in self._records if r.expires < now and r.id not in self._turns]
        gone = []
        for record in late:
            # A storage that is away or hangs keeps its record until it is back.
            with contextlib.suppress(HostFailure, TimeoutError):
                async with asyncio.timeout(10):
                    await self._forget(record)
                gone.append(record.id)
        return gone

    # -- inside -------------------------------------------------------------------------------------------------

    def _known(self, user: str, storage: str, id: str) -> UploadRecord:
        record = self._records.get(id)
        if record is None or record.user != user or record.storage != storage:
            raise NotFound(
                f"upload '{id[:64]}' does not exist",
                code="no-such-upload",
                cause="it was given up, has expired, or belongs to somebody else",
                fixes=[Fix(text="begin a new one", action=f"POST /nodes/NODE/storage/{storage}/uploads")],
            )
        return record

    def _check_number(self, user: str) -> None:
        open_ones = Counter(record.user for record in (*self._records, *self._beginning) if not record.task)
        if open_ones[user] < MOST_OF_ONE and open_ones.total() < MOST_AT_ONCE:
            return
        raise Busy(
            "too many uploads are open",
            code="too-many-uploads",
            cause=f"one user may have {MOST_OF_ONE} open uploads, all together {MOST_AT_ONCE}",
            evidence=f"{user} has {open_ones[user]}, all together {open_ones.total()}",
            fixes=[Fix(text="finish or remove some", action="tarmac storage uploads STORAGE")],
        )

    async def _forget_ended(self, user: str) -> None:
        """Complete ones count for no limit, so of many the oldest are forgotten before their time."""
        ended = [r for r in self._records if r.user == user and r.task and r.id not in self._turns]
        for record in ended[:-KEPT_OF_ONE]:
            await self._records.remove(record)

    async def _promised(self, storage: str) -> int:
        """Bytes that the open uploads of a storage have yet to bring, those that are being made among them."""
        total = sum(record.size for record in self._beginning if record.storage == storage)
        for record in self._records:
            if record.storage == storage and not record.task:
                with contextlib.suppress(TarmacError):
                    total += record.size - await self._files.size(record)
        return total

    async def _offset(self, record: UploadRecord) -> int:
        """How many good bytes the file holds; after a restart of the host it is cut to those."""
        if record.task:
            return record.size
        found = min(await self._files.size(record), record.size)
        if record.boot == self._boot():
            return found
        good = min(found, record.synced)
        await self._files.cut(record, good)
        await self._records.put(replace(record, synced=good, boot=self._boot()))
        return good

    async def _take(
        self,
        record: UploadRecord,
        start: int,
        chunks: AsyncIterable[bytes],
        checksum: tuple[str, str] | None,
        turn: UploadTurn,
    ) -> tuple[UploadRecord, int]:
        algorithm, digest = checksum or (None, None)
        async with await Sink.open(self._files.path(record), algorithm, at=start) as sink:
            try:
                async with asyncio.timeout(None) as turn.limit:
                    noted = 0
                    async for chunk in chunks:
                        if start + sink.size + len(chunk) > record.size:
                            raise _too_many(record)
                        await sink.write(chunk)
                        if sink.size - noted >= NOTE_EVERY and digest is None:
                            noted = sink.size
                            record = await self._note(record, await self._files.synced(record, sink))
            except TimeoutError:
                raise Busy(INTERRUPTED, code="upload-taken-over") from None
            finally:
                turn.limit = None
                if digest is None:
                    record = await self._note(record, await self._files.synced(record, sink))
            if digest is not None:
                await self._compare(record, sink, digest, start)
                record = await self._note(record, start + sink.size)
        return record, start + sink.size

    async def _compare(self, record: UploadRecord, sink: Sink, digest: str, start: int) -> None:
        await sink.end()
        try:
            sink.check(digest, record.filename)
        except DataCorrupt:
            await self._files.cut(record, start)
            raise

    async def _note(self, record: UploadRecord, synced: int) -> UploadRecord:
        return await self._records.put(replace(record, synced=synced, touched=self._clock(), boot=self._boot()))

    async def _complete(self, record: UploadRecord) -> UploadRecord:
        """Start the task that puts the file in its place; once for each upload."""
        received = Received(storage=record.storage, name=record.name, token=record.token, size=record.size)
        upid = await self._uploads.started(record.token)
        if upid is None:
            upid = await self._uploads.finish(
                record.user, received, checksum=record.checksum, algorithm=record.algorithm, keep=True
            )
        return await self._records.put(replace(record, task=upid, touched=self._clock()))

    async def _forget(self, record: UploadRecord) -> None:
        if not record.task:
            await self._files.discard(record)
        await self._records.remove(record)


def _elsewhere(offset: int, there: int) -> Conflict:
    return Conflict(
        f"the upload stands at {there}, not at {offset}",
        code="upload-offset",
        cause="the bytes before the offset are not there, or more are there already",
        evidence=f"the request begins at {offset}, {there} bytes have come in",
        fixes=[Fix(text=f"go on at {there}")],
    )


def _too_many(record: UploadRecord) -> InvalidInput:
    return InvalidInput(
        f"more bytes than the {record.size} that were announced",
        code="upload-too-long",
        cause="the file has become longer, or the size that was announced is not that of the file",
        fixes=[Fix(text="remove this upload and begin a new one")],
    )
