"""What others keep in the same transaction as a guest's configuration: addresses of its cards.

async with beside:
    await store.transact([..., *beside.compares], puts={..., **beside.puts}, deletes=[..., *beside.deletes])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tarmac.drivers.store.base import Compare


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """`done` and `failed` are called when the transaction has ended the one way or the other."""

    compares: tuple[Compare, ...] = ()
    puts: Mapping[str, bytes] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    done: Callable[[], None] = _nothing
    failed: Callable[[], None] = _nothing

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.done()
        else:
            self.failed()


NOTHING_BESIDE = Beside()
