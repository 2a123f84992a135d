"""What every store does: the platform's state as versioned keys, with exactly what SQLite and etcd both have.

One global revision counts the transactions that changed something. Each entry carries the revision that wrote it, so
a writer says "only if nobody else wrote it meanwhile" (`Compare.unchanged`), and a reader follows from there (`watch`).

    entry = await store.get("guests/100")
    revision = await store.transact([Compare.unchanged(entry.key, entry.revision)], puts={entry.key: b"..."})
    snapshot = await store.snapshot("guests/")
    async with store.watch("guests/", since=snapshot.revision) as events:
        async for event in events: ...

Keys are texts ordered by their UTF-8 bytes, values are bytes. Metrics and logs never go in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound, Unavailable

MAX_REQUEST_BYTES = 1536 * 1024  # etcd --max-request-bytes: 1.5 MiB
MAX_OPERATIONS = 128  # etcd --max-txn-ops
MIN_LEASE_SECONDS = 2.0  # etcd's shortest lease with its usual election timeout
MAX_LEASE_SECONDS = 9_000_000_000.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it stands: `revision` is that of the transaction that wrote it last, `lease` the lease it ends with
    (0: none)."""

    key: str
    value: bytes
    revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Entries in order of their keys, and the store's revision at which they stood so."""

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One key of one transaction: written (`value`), or gone (`value` is None), deleted or with its lease."""

    revision: int
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition of a transaction: the key's revision is still `revision`; 0 means that the key is not there."""

    key: str
    revision: int

    @classmethod
    def absent(cls, key: str) -> Compare:
        return cls(key, 0)

    @classmethod
    def unchanged(cls, key: str, revision: int) -> Compare:
        return cls(key, revision)


class Watch(Protocol):
    """An async context manager and iterator over events after a revision, in order, none left out.

    Iterating raises Conflict `compacted` when this watch fell further behind than the store remembers, and ends
    (StopAsyncIteration) when the store is closed."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...  # fmt: skip # noqa: E501
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> Event: ...


class Store(Protocol):
    """The contract, tested by one suite for every store.

    A method that changes something returns when the change is durable; every later read, by whomever, sees it. A
    change that fails leaves nothing behind. A change whose caller is cancelled has happened wholly or not at all.
    All raise NoSpace (full disk), DataCorrupt (damaged file), HostFailure (another fault of the disk), Unavailable
    (closed, or no quorum)."""

    async def revision(self) -> int:
        """The revision of the newest transaction; 0 for a store that was never written."""
        ...

    async def get(self, key: str) -> Entry | None:
        """The entry, or None."""
        ...

    async def range(self, prefix: str) -> list[Entry]:
        """All entries whose keys begin with `prefix`, in order of the keys. They stood so at one instant."""
        ...

    async def snapshot(self, prefix: str) -> Snapshot:
        """As `range`, with the revision from which a watch continues without a gap."""
        ...

    async def put(self, key: str, value: bytes, *, expect: int | None = None, lease: int = 0) -> int:
        """Write one key; with `expect` only while its revision is that (0: only while it is not there).

        A transaction of one key; see there."""
        ...

    async def transact(
        self,
        compares: Sequence[Compare],
        puts: Mapping[str, bytes] | None = None,
        deletes: Iterable[str] = (),
        *,
        lease: int = 0,
    ) -> int:
        """Write and delete keys in one step if every condition holds; returns the store's revision afterwards.

        `lease` ties all keys of `puts` to a lease; without one a key is untied. Deleting what is not there is fine;
        a transaction that changes nothing makes no new revision. Raises Conflict `changed-meanwhile` naming the key,
        NotFound `no-such-lease`, InvalidInput `store-limit` beyond 128 operations or 1.5 MiB; then nothing changed."""
        ...

    def watch(self, prefix: str, since: int) -> Watch:
        """Events of keys that begin with `prefix` and of revisions after `since`.

        Raises Conflict `compacted` when the store no longer remembers `since`; the way out is a new `snapshot`. How
        much is remembered is the store's own matter; after a restart it may be nothing."""
        ...

    async def grant(self, seconds: float) -> int:
        """A new lease's id. Keys put under it vanish `seconds` after its grant or last renewal (or a little later).

        While the store is down a lease does not end; after a restart it has its full time again, so that a living
        holder can renew it. Raises InvalidInput `store-limit` below 2 s."""
        ...

    async def renew(self, lease: int) -> None:
        """Give the lease its full time again. Raises NotFound `no-such-lease` when it has ended."""
        ...

    async def revoke(self, lease: int) -> None:
        """End the lease and delete its keys now; that it has ended already is fine."""
        ...

    async def close(self) -> None:
        """Finish what is under way and end all watches."""
        ...


def check_request(compares: Sequence[Compare], puts: Mapping[str, bytes], deletes: Sequence[str]) -> None:
    """Raise InvalidInput unless a transaction stays within the limits that every store shares."""
    operations = max(len(compares), len(puts) + len(deletes))
    if operations > MAX_OPERATIONS:
        raise _limit(f"{operations} operations", f"at most {MAX_OPERATIONS} fit into one transaction")
    size = sum(len(k.encode()) + len(v) for k, v in puts.items()) + sum(len(k.encode()) for k in deletes)
    size += sum(len(c.key.encode()) for c in compares)
    if size > MAX_REQUEST_BYTES:
        raise _limit(f"{size} bytes", f"at most {MAX_REQUEST_BYTES} bytes fit into one transaction")
    for key in (*puts, *deletes, *(c.key for c in compares)):
        if not key or "\0" in key:
            raise _limit(f"key {key!r}", "a key is a text of one character or more, without NUL")
    if len(set(deletes)) != len(deletes) or not puts.keys().isdisjoint(deletes):
        raise _limit("a key given twice", "each key stands once in a transaction, written or deleted")


def check_lease_seconds(seconds: float) -> None:
    """Raise InvalidInput for a lease shorter than every store can promise."""
    if not MIN_LEASE_SECONDS <= seconds <= MAX_LEASE_SECONDS:
        raise _limit(f"a lease of {seconds} s", f"a lease lasts {MIN_LEASE_SECONDS:g} s or more")


def _limit(what: str, rule: str) -> InvalidInput:
    return InvalidInput(
        "the request exceeds a limit of the state store",
        code="store-limit",
        cause=rule,
        evidence=what,
        fixes=[Fix(text="split the change into smaller ones")],
    )


def changed_meanwhile(compare: Compare, found: int) -> Conflict:
    """The error for a condition that does not hold; `found` is the key's revision, 0 for none."""
    want = f"revision {compare.revision}" if compare.revision else "no such key"
    return Conflict(
        f"'{compare.key}' was changed meanwhile",
        code="changed-meanwhile",
        cause="somebody else wrote it between reading and writing",
        evidence=f"expected {want}, found {f'revision {found}' if found else 'no such key'}",
        fixes=[Fix(text="read it again, then repeat the change")],
    )


def no_such_lease(lease: int) -> NotFound:
    """The error for a lease that has ended or never was."""
    return NotFound(
        f"lease {lease} does not exist",
        code="no-such-lease",
        cause="it ended because it was not renewed in time, or it was revoked",
        evidence=f"lease {lease}",
        fixes=[Fix(text="take a new lease and claim again what was held under the old one")],
    )


def store_closed(name: str) -> Unavailable:
    """The error for a call after `close`."""
    return Unavailable(
        "the state store is closed",
        code="store-closed",
        cause="the daemon is stopping",
        evidence=name,
        fixes=[Fix(text="try again once the daemon has been started again")],
    )


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None when there is no such bound."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None
