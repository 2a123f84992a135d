"""Keys that sign what the daemon hands out: made by itself, kept 0600, changed daily with the previous one still good.

A signature is an HMAC-SHA-256 in base64. Purposes are kept apart, so what was signed as one thing never passes as
another.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tarmac.lib.files import failure_of, read_bounded, write_atomic
from tarmac.model.errors import DataCorrupt, Fix

KEY_SECONDS = 24 * 3600.0


class _Keys(msgspec.Struct):
    """The file's contents: keys in base64, `since` in seconds since 1970."""

    current: bytes
    since: float
    previous: bytes = b""


class Signer:
    """Signs with the current key and checks against the current and the previous one."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._keys = _Keys(current=b"", since=0.0)
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, directory: Path) -> Signer:
        """The signer whose keys lie in `directory/auth.key`; see `load`."""
        signer = cls(directory / "auth.key")
        await signer.load()
        return signer

    async def load(self) -> None:
        """Read the keys, or make the first one. Raises DataCorrupt for a damaged file, and what `failure_of` makes of
        a disk's errors."""
        self._keys = await asyncio.to_thread(self._read)
        await self.rotate()

    async def rotate(self) -> None:
        """Put a new key in front when the current one is a day old (or from the future); durable before it is used."""
        if 0 <= self._clock() - self._keys.since < KEY_SECONDS and self._keys.current:
            return
        async with self._lock:
            if 0 <= self._clock() - self._keys.since < KEY_SECONDS and self._keys.current:
                return
            fresh = _Keys(current=secrets.token_bytes(32), since=self._clock(), previous=self._keys.current)
            await asyncio.to_thread(self._write, fresh)
            self._keys = fresh

    def sign(self, purpose: str, text: str) -> str:
        """A signature of `text`; call `rotate` before, where one can wait."""
        return base64.b64encode(_mac(self._keys.current, purpose, text)).decode()

    def is_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether it is a signature of ours, letter by letter (base64 has several spellings of the same bytes), in
        constant time."""
        given = signature.encode("utf-8", "surrogatepass")
        keys = [key for key in (self._keys.current, self._keys.previous) if key]
        return any(hmac.compare_digest(base64.b64encode(_mac(key, purpose, text)), given) for key in keys)

    def _read(self) -> _Keys:
        try:
            return msgspec.json.decode(read_bounded(self._path, 4096), type=_Keys)
        except FileNotFoundError:
            return _Keys(current=b"", since=0.0)
        except OSError as error:
            raise failure_of(error, f"cannot read {self._path.name}") from error
        except msgspec.MsgspecError as problem:
            raise DataCorrupt(
                f"{self._path.name} is damaged",
                cause="it does not hold the keys that sign tickets",
                evidence=f"{self._path}: {problem}",
                fixes=[Fix(text=f"remove {self._path}; everybody who is logged in has to log in again")],
            ) from problem

    def _write(self, keys: _Keys) -> None:
        try:
            write_atomic(self._path, msgspec.json.encode(keys), mode=0o600)
        except OSError as error:
            raise failure_of(error, f"cannot write {self._path.name}") from error


def _mac(key: bytes, purpose: str, text: str) -> bytes:
    return hmac.digest(key, f"{purpose}\0{text}".encode(errors="surrogatepass"), "sha256")
