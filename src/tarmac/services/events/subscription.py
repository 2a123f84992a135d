"""One follower of the event stream: what it has seen, what it may see, what it wants.

It holds no messages, only a position: each message is made when the last one has left. A follower that does not read
therefore costs its position, and goes on with the present state when it reads again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tarmac.services.access.access import Identity
from tarmac.services.figures.figures import Figures
from tarmac.services.resources.cluster import Sees
from tarmac.services.resources.encoded_rows import SLICE_SECONDS

if TYPE_CHECKING:
    from tarmac.services.events.events import Events

MOST_WATCHED = 5_000
MOST_LOGS = 100
ROWS_AT_ONCE = 250
LINES_AT_ONCE = 1_000
EVERYTHING = "*"
COLUMNS = ("id", *Figures.COLUMNS)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its `type`, the JSON text, and the number that is complete with it (None: not a position)."""

    type: str
    text: bytes
    seq: int | None = None


class Subscription:
    """Iterate over `messages()`; the other methods may be called meanwhile. Close it at the end."""

    def __init__(self, events: Events, identity: Identity, *, until: float, epoch: str, since: int | None) -> None:
        self._events = events
        self._identity = identity
        self._until = until
        self._epoch, self._since = epoch, since
        self._sees: Sees = events.sees(identity)
        self._seq = 0
        self._wake = asyncio.Event()
        self._end = ""
        self._rights_changed = False
        self._due: set[str] = set()
        self._logs: dict[str, int] = {}
        self._grown: set[str] = set()
        self.watched: frozenset[str] = frozenset()

    # -- what it wants ------------------------------------------------------------------------------------------

    def watch(self, ids: Iterable[str]) -> None:
        """Follow the figures of these objects, second by second, instead of those before; `*` stands for all, at
        the pace at which they are sampled anyway."""
        self.watched = frozenset(list(ids)[:MOST_WATCHED])
        self.sampled(self.watched - {EVERYTHING})

    def follow(self, upids: Iterable[str]) -> None:
        """Follow the logs of these tasks from their first line, instead of those before."""
        wanted = [upid for upid in upids if upid.startswith("UPID:") and upid.count(":") == 8][:MOST_LOGS]
        self._logs = {upid: self._logs.get(upid, 0) for upid in wanted}
        self._grown = set(self._logs)
        self._wake.set()

    def close(self) -> None:
        self._events.unsubscribe(self)

    # -- what it is told ----------------------------------------------------------------------------------------

    def changed(self) -> None:
        self._wake.set()

    def rights_changed(self) -> None:
        self._rights_changed = True
        self.check()
        self._wake.set()

    def check(self) -> None:
        """End it when the login, the user or the token has ended."""
        if time.time() >= self._until:
            self.end("the login has ended")
        elif not self._events.tickets.is_active(self._identity):
            self.end("the user or token is disabled, has expired or is gone")

    def end(self, why: str) -> None:
        self._end = self._end or why
        self._wake.set()

    def log_grown(self, upid: str) -> None:
        if upid in self._logs:
            self._grown.add(upid)
            self._wake.set()

    def sampled(self, ids: Collection[str]) -> None:
        due = set(ids) if EVERYTHING in self.watched else self.watched.intersection(ids)
        if due:
            self._due |= due
            self._wake.set()

    # -- what it sends ------------------------------------------------------------------------------------------

    async def messages(self, idle_seconds: float | None = None) -> AsyncIterator[Message | None]:
        """Snapshot or what was missed, then changes, until the login ends; then `end` with the reason. None when
        nothing happened for `idle_seconds`."""
        async for message in self._begin():
            yield message
        while True:
            try:
                async with asyncio.timeout(idle_seconds):
                    await self._wake.wait()
            except TimeoutError:
                yield None
            self._wake.clear()
            if self._end:
                yield Message("end", _encode({"type": "end", "reason": self._end}))
                return
            if self._rights_changed:
                self._rights_changed = False
                async for message in self._difference():
                    yield message
            async for message in self._go_on():
                yield message
            if self._due:
                yield self._metrics()
            async for message in self._lines():
                yield message

    async def _begin(self) -> AsyncIterator[Message]:
        since = self._since
        if since is not None:
            why = self._cannot_resume(since)
            if not why:
                yield self._head("resume", since)
                async for message in self._deltas(since):
                    yield message
                return
            yield Message("resync", _encode({"type": "resync", "reason": why}))
        async for message in self._snapshot():
            yield message

    async def _go_on(self) -> AsyncIterator[Message]:
        """What changed since the last message; everything anew when so much is gone meanwhile that it is forgotten."""
        if self._seq >= self._events.changes.floor:
            async for message in self._deltas(self._seq):
                yield message
            return
        yield Message("resync", _encode({"type": "resync", "reason": "too much has changed meanwhile"}))
        async for message in self._snapshot():
            yield message

    def _cannot_resume(self, since: int) -> str:
        """Why a snapshot is needed; empty: everything since then is known."""
        changes = self._events.changes
        if self._epoch != self._events.epoch:
            return "the daemon was restarted"
        if not changes.floor <= since <= changes.seq:
            return "it is too long ago"
        return "rights have changed" if self._events.acl_seq > since else ""

    def _head(self, type: str, seq: int) -> Message:
        self._seq = seq
        return Message(type, _encode({"type": type, "epoch": self._events.epoch, "seq": seq}), seq)

    async def _snapshot(self) -> AsyncIterator[Message]:
        """All rows in parts; only the last part completes the number. What changes meanwhile follows as deltas."""
        events, seq = self._events, self._events.changes.seq
        parts, more = _parts(filter(self._sees, events.everything())), True
        part = next(parts, [])
        while more:
            following = next(parts, [])
            more = bool(following)
            rows = await self._whole_rows(part)
            tasks = [] if more else self._rows(events.tasks())[0]
            head = _encode({"type": "snapshot", "epoch": events.epoch, "seq": seq, "more": int(more)})
            text = b'%b,"rows":[%b],"tasks":[%b]}' % (head[:-1], b",".join(rows), b",".join(tasks))
            yield Message("snapshot", text, None if more else seq)
            await asyncio.sleep(0)
            part = following
        self._seq = seq

    async def _whole_rows(self, keys: Iterable[str]) -> list[bytes]:
        """Rows of a snapshot; the loop is given up every few milliseconds, because some may have to be made."""
        rows, until = [], time.perf_counter() + SLICE_SECONDS
        for key in keys:
            row = self._events.cluster.find(key)
            if row is not None:
                rows.append(row)
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_SECONDS
        return rows

    async def _deltas(self, since: int) -> AsyncIterator[Message]:
        """What changed after `since` and may be seen, as it is now."""
        seq = self._events.changes.seq
        keys = [key for key in self._events.changes.since(since) if self._sees(key)]
        for start in range(0, len(keys), ROWS_AT_ONCE):
            last = start + ROWS_AT_ONCE >= len(keys)
            # A part that is not the last one leaves the position where it was.
            yield self._delta(keys[start : start + ROWS_AT_ONCE], seq if last else since)
            await asyncio.sleep(0)
        self._seq = seq

    def _delta(self, keys: Sequence[str], seq: int, *, gone: Sequence[str] = ()) -> Message:
        rows, lost = self._rows([key for key in keys if not key.startswith("UPID:")])
        tasks, forgotten = self._rows([key for key in keys if key.startswith("UPID:")])
        head = _encode({"type": "delta", "seq": seq, "gone": [*gone, *lost, *forgotten]})
        text = b'%b,"rows":[%b],"tasks":[%b]}' % (head[:-1], b",".join(rows), b",".join(tasks))
        return Message("delta", text, seq)

    def _rows(self, keys: Sequence[str]) -> tuple[list[bytes], list[str]]:
        """The visible ones that are there, and those that are gone."""
        rows, gone = [], []
        for key in keys:
            if not self._sees(key):
                continue
            row = self._events.row(key)
            if row is None:
                gone.append(key)
            else:
                rows.append(row)
        return rows, gone

    async def _difference(self) -> AsyncIterator[Message]:
        """After a change of rights: what may be seen now and could not before, and the reverse."""
        events, before = self._events, self._sees
        self._sees = events.sees(self._identity)
        for part in _parts(itertools.chain(events.everything(), events.tasks())):
            new = [key for key in part if self._sees(key) and not before(key)]
            lost = [key for key in part if before(key) and not self._sees(key)]
            if new or lost:
                yield self._delta(new, self._seq, gone=lost)
            await asyncio.sleep(0)

    def _metrics(self) -> Message:
        due, self._due = self._due, set()
        rows = []
        for id in due:
            figures = self._events.figures.of(id) if self._sees(id) else None
            if figures is not None:
                rows.append([id, *figures])
        body = {"type": "metrics", "time": round(time.time(), 3), "columns": COLUMNS, "rows": rows}
        return Message("metrics", _encode(body))

    async def _lines(self) -> AsyncIterator[Message]:
        """New lines of the logs that are followed; a log that has ended is told so and followed no more."""
        while self._grown:
            upid = self._grown.pop()
            start = self._logs.get(upid)
            if start is None or not self._sees(upid):
                continue
            ended = self._events.task_ended(upid)
            total, lines = await self._events.logs.read(upid, start, LINES_AT_ONCE)
            after = start + len(lines)
            over = ended and after >= total
            if lines or over:
                body = {"type": "log", "upid": upid, "start": start, "lines": lines, "end": int(over)}
                yield Message("log", _encode(body))
            if over:
                self._logs.pop(upid, None)
            elif upid in self._logs:
                self._logs[upid] = after
                if after < total:
                    self._grown.add(upid)


def _parts(keys: Iterable[str]) -> Iterator[list[str]]:
    """As many at a time as are looked at in one go."""
    left = iter(keys)
    while part := list(itertools.islice(left, ROWS_AT_ONCE)):
        yield part
