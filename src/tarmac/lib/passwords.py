"""Passwords: kept as scrypt with a salt each, checked in constant time, in a small pool of threads of its own.

A hash takes about 60 ms and 32 MiB, so at most two run at once; who floods the login waits for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

from tarmac.model.users import Password

_N, _R, _P = 2**15, 8, 1
_MEMORY = 128 * 1024 * 1024
_NOBODY = Password(salt="00" * 16, hash="00" * 32, n=_N, r=_R, p=_P)


class Hasher:
    """Hashes and checks; one for the whole daemon, so that its limit holds for all."""

    def __init__(self, *, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scrypt")

    async def hash(self, password: str) -> Password:
        """A password as it is stored."""
        salt = secrets.token_bytes(16)
        digest = await self._scrypt(password, salt, _N, _R, _P)
        return Password(salt=salt.hex(), hash=digest.hex(), n=_N, r=_R, p=_P)

    async def fits(self, record: Password | None, password: str) -> bool:
        """Whether it is the password. Without a record the same work is done, so that nobody learns who exists."""
        kept = record or _NOBODY
        digest = await self._scrypt(password, bytes.fromhex(kept.salt), kept.n, kept.r, kept.p)
        return hmac.compare_digest(digest, bytes.fromhex(kept.hash)) and record is not None

    async def _scrypt(self, password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        raw = password.encode(errors="surrogatepass")

        def work() -> bytes:
            return hashlib.scrypt(raw, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
