"""PAM: the host decides, by the service `tarmac` in /etc/pam.d or, where there is none, by PAM's `other`.

python-pam speaks to the library; two things are added to what it does. An account without a password is refused (PAM
would let anybody in on it), and the modules learn where the login comes from. Each check runs in a thread of a small
pool of its own: a module that hangs holds up logins and nothing else.
"""

from __future__ import annotations

import asyncio
import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tarmac.model.errors import Fix, HostFailure

_DISALLOW_NULL = 0x1  # PAM_DISALLOW_NULL_AUTHTOK
_RHOST = 4  # PAM_RHOST
_REFUSALS = frozenset({6, 7, 8, 10, 11, 12, 13, 27})
"""The codes that mean no: permission denied, wrong password, no credentials, unknown user, too many tries, a password
or account that has expired. All others mean that PAM could not decide."""


class Pam:
    """See `base.HostUsers`. `confdir` is another place than /etc/pam.d to look for the service."""

    def __init__(self, service: str = "tarmac", *, confdir: Path | None = None, threads: int = 4) -> None:
        self._service = service
        self._confdir = confdir
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pam")

    async def fits(self, name: str, password: str, *, source: str) -> bool:
        if not name or not password or "\0" in name + password:
            return False
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, name, password, source)

    def _ask(self, name: str, password: str, source: str) -> bool:
        asked = self._asker(source)
        try:
            fits = asked.authenticate(name, password, service=self._service, resetcreds=False)
        except (UnicodeError, ValueError):
            return False
        if not fits and asked.code not in _REFUSALS:
            raise HostFailure(
                "the host cannot check passwords",
                code="pam-failed",
                cause=f"PAM service '{self._service}' failed",
                evidence=f"code {asked.code}: {asked.reason}",
                fixes=[Fix(text=f"look at /etc/pam.d/{self._service} and the host's log; use an API token meanwhile")],
            )
        return bool(fits)

    def _asker(self, source: str) -> Any:
        try:
            import pam

            asked = pam.PamAuthenticator()
            start, authenticate = self._start_function(asked), asked.pam_authenticate
        except (ImportError, OSError, AttributeError) as error:
            raise HostFailure(
                "the host cannot check passwords",
                code="pam-missing",
                cause="the PAM library is not there, or too old",
                evidence=str(error),
                fixes=[Fix(text="install the Debian package libpam0g", action="apt-get install libpam0g")],
            ) from error

        def begin(service: bytes, user: bytes, conversation: Any, handle: Any) -> int:
            code: int = start(service, user, conversation, handle)
            if code == 0 and source:
                asked.pam_set_item(handle._obj, _RHOST, ctypes.c_char_p(source.encode(errors="replace")))
            return code

        asked.pam_start = begin
        asked.pam_authenticate = lambda handle, flags: authenticate(handle, flags | _DISALLOW_NULL)
        return asked

    def _start_function(self, asked: Any) -> Any:
        if self._confdir is None:
            return asked.pam_start
        directory = str(self._confdir).encode()
        function = ctypes.CDLL("libpam.so.0").pam_start_confdir
        function.restype = ctypes.c_int
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, *asked.pam_start.argtypes[2:3], ctypes.c_char_p,
                             asked.pam_start.argtypes[3]]  # fmt: skip
        return lambda service, user, conversation, handle: function(service, user, conversation, directory, handle)
