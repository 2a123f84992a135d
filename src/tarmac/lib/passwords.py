"""Passwords: kept as scrypt with a salt each, checked in constant time, in a small pool of threads of its own.

A hash takes about 60 ms and 32 MiB, so at most two run at once, in turns (`lib.turns`): who floods waits for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

from tarmac.lib.turns import Turns
from tarmac.model.users import Password

_N, _R, _P = 2**15, 8, 1
_MEMORY = 128 * 1024 * 1024
_NOBODY = Password(salt="00" * 16, hash="00" * 32, n=_N, r=_R, p=_P)


class Hasher:
    """Hashes and checks; one for the whole daemon, so that its limit holds for all."""

    def __init__(self, *, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scrypt")
        self._turns = Turns(threads)

    async def hash(self, password: str) -> Password:
        """A password as it is stored."""
        salt = secrets.token_bytes(16)
        async with self._turns.turn(first=True):
            digest = await self._scrypt(password, salt, _N, _R, _P)
        return Password(salt=salt.hex(), hash=digest.hex(), n=_N, r=_R, p=_P)

    async def fits(self, record: Password | None, password: str, *, source: str = "", known: bool = False) -> bool:
        """Whether it is the password. Without a record the same work is done, so that nobody learns who exists.
        Callers of one `source` take turns with those of others; one who is `known` goes first. Raises Busy when too
        many wait."""
        kept = record or _NOBODY
        async with self._turns.turn(source, first=known):
            digest = await self._scrypt(password, bytes.fromhex(kept.salt), kept.n, kept.r, kept.p)
        return hmac.compare_digest(digest, bytes.fromhex(kept.hash)) and record is not None

    async def _scrypt(self, password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        raw = password.encode(errors="surrogatepass")

        def work() -> bytes:
            return hashlib.scrypt(raw, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
