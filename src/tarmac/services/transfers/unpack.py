"""Unpacking a stream while it comes in, in bounded pieces, however far it unfolds."""

from __future__ import annotations

import asyncio
import bz2
import zlib
from collections.abc import Awaitable, Callable

from tarmac.model.errors import DataCorrupt
from tarmac.model.units import MIB

COMPRESSIONS = ("gz", "lzo", "zst", "bz2")
UNPACKED = ("gz", "bz2")


class Unpacker:
    """One compressed file of a kind in `UNPACKED`."""

    def __init__(self, compression: str) -> None:
        self._gzip = zlib.decompressobj(31) if compression == "gz" else None
        self._bzip2 = bz2.BZ2Decompressor() if compression == "bz2" else None

    async def feed(self, data: bytes, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Unpack one piece and write what comes out, at most a MiB at a time. Raises DataCorrupt."""
        more = True
        while more and not self._ended:
            out, data, more = await asyncio.to_thread(self._step, data)
            if out:
                await write(out)

    def _step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """(bytes out, input that is left, whether there is more to come out)."""
        try:
            if self._gzip is not None:
                out = self._gzip.decompress(data, MIB)
                rest = self._gzip.unconsumed_tail
                return out, rest, bool(rest) or len(out) == MIB
            assert self._bzip2 is not None
            out = self._bzip2.decompress(data, MIB)
            return out, b"", not self._bzip2.needs_input
        except (zlib.error, OSError, EOFError) as problem:
            raise DataCorrupt(
                "the compressed file is damaged",
                code="download-broken",
                cause="it cannot be unpacked",
                evidence=str(problem),
            ) from problem

    @property
    def _ended(self) -> bool:
        return self._gzip.eof if self._gzip is not None else self._bzip2 is not None and self._bzip2.eof

    def end(self) -> None:
        """Raises DataCorrupt when the stream is not at its end."""
        if not self._ended:
            raise DataCorrupt(
                "the compressed file is cut off", code="download-broken", cause="it ends before its own end mark"
            )
