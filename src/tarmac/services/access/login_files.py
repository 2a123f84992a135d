"""Files that let root@pam in: a secret that is good once, and a password file, which nobody else may read."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from tarmac.lib.files import failure_of, read_bounded, remove_durably, write_atomic
from tarmac.model.errors import Fix, InvalidInput, TarmacError

log = logging.getLogger(__name__)
ONE_TIME_SECONDS = 3600


class OneTimeSecret:
    """A secret in a file of the data directory: good once, within an hour. All of it blocks."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock

    def make(self) -> str:
        """The secret: the same until it is used or over. Raises what `failure_of` makes of a disk's errors."""
        secret, until = self._read()
        if secret and self._clock() < until:
            return secret
        secret = secrets.token_urlsafe(24)
        try:
            write_atomic(self._path, f"{secret} {int(self._clock()) + ONE_TIME_SECONDS}\n", mode=0o600)
        except OSError as error:
            raise failure_of(error, f"cannot write {self._path.name}") from error
        return secret

    def use(self, password: str) -> bool:
        """Whether it is the secret; if so it is gone from the disk before anybody is let in."""
        try:
            secret, until = self._read()
        except TarmacError as problem:
            log.error("%s", problem.message, extra={"evidence": problem.evidence})
            return False
        fits = hmac.compare_digest(secret.encode(), password.encode(errors="surrogatepass"))
        if not secret or not fits or self._clock() >= until:
            return False
        return remove_durably(self._path)

    def _read(self) -> tuple[str, int]:
        try:
            words = read_bounded(self._path, 4096).decode(errors="replace").split()
        except FileNotFoundError:
            return "", 0
        except OSError as error:
            raise failure_of(error, f"cannot read {self._path.name}") from error
        return (words[0], int(words[1])) if len(words) == 2 and words[1].isdecimal() else ("", 0)


def check_private(path: Path) -> None:
    """Blocks. Raises InvalidInput unless only its owner can read a password file, OSError when it is not there."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return  # a pipe: whoever gave it knows who can read it
    trusted = status.st_uid in (0, os.geteuid())
    if trusted and not status.st_mode & 0o077:
        return
    raise InvalidInput(
        f"others may read the password file {path}" if trusted else f"the password file {path} is somebody else's",
        code="password-file-rights",
        cause="the password of root@pam is in it, so nobody but the user of the daemon may read or change it",
        evidence=f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}",
        fixes=[Fix(text="make it private", action=f"chmod 600 {path}")],
    )
