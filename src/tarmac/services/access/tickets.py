"""Tickets: what a login hands out, what a browser sends back, and what opens a console.

    PVE:<user@realm>:<8 hex time>::<base64>      a login, good for two hours
    <8 hex time>:<base64>                        the CSRF token beside it, for changes made with a ticket
    PVE:!tfa!<JSON>:<8 hex time>::<base64>       the first step of a login with a second factor, good for its second
    PVEVNC:<8 hex time>::<base64>                opens one console: bound to user, path and port, good for 40 s

Clients take the first two apart, so their form is Proxmox's. A ticket is only as good as its user: who is disabled,
has expired or is gone is refused at once.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from tarmac.lib.signing import Signer
from tarmac.model.errors import Fix, Unauthenticated
from tarmac.model.users import split_user
from tarmac.services.access.access import Identity
from tarmac.services.access.directory import Directory

LIFETIME = 7200
VNC_LIFETIME = 40
TFA_LIFETIME = 300
_AHEAD = 300  # clocks of other nodes may run ahead by so much
_VNC_AHEAD = 20
_MAX_LENGTH = 4096
_MAX_PARTIAL = 32 * 1024  # it names a user's security keys
_TICKET = re.compile(r"PVE:([^\s:]+):([0-9A-F]{8})::([A-Za-z0-9+/]{43}=)")
_PARTIAL = re.compile(r"(PVE:!tfa![A-Za-z0-9._~%-]+:([0-9A-F]{8}))::([A-Za-z0-9+/]{43}=)")
_CSRF = re.compile(r"([0-9A-F]{8}):([A-Za-z0-9+/]{43}=)")
_VNC = re.compile(r"(?:.{8}:)?PVEVNC:([0-9A-F]{8})::([A-Za-z0-9+/]{43}=)")


class Tickets:
    """Issues and checks. `clock` tells seconds since 1970."""

    def __init__(self, directory: Directory, signer: Signer, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._signer = signer
        self._clock = clock

    async def issue(self, userid: str) -> str:
        """A ticket for a user whose password was checked."""
        await self._signer.rotate()
        text = f"PVE:{userid}:{self._now()}"
        return f"{text}::{self._signer.sign('ticket', text)}"

    async def issue_partial(self, userid: str, challenge: Mapping[str, Any]) -> str:
        """A ticket that opens nothing but the second step of a login: `PVE:!tfa!<challenge as JSON>:...`."""
        await self._signer.rotate()
        shown = quote(json.dumps(challenge, separators=(",", ":")), safe="")
        text = f"PVE:!tfa!{shown}:{self._now()}"
        return f"{text}::{self._signer.sign('tfa', _bound(text, userid))}"

    def check_partial(self, text: str, userid: str) -> dict[str, Any]:
        """The challenge of a first step. Raises Unauthenticated unless it is the user's own ticket of the last five
        minutes."""
        match = _PARTIAL.fullmatch(text) if len(text) <= _MAX_PARTIAL else None
        if match is None or not self._signer.is_signed("tfa", _bound(match[1], userid), match[3]):
            raise _invalid("PVE", "it is not this user's ticket of a first step")
        if not self._is_fresh(match[2], TFA_LIFETIME, _AHEAD):
            raise _invalid("PVE", f"the first step was more than {TFA_LIFETIME} s ago")
        self._check_user(userid, "PVE")
        challenge: dict[str, Any] = json.loads(unquote(match[1].split(":")[1].removeprefix("!tfa!")))
        return challenge

    def csrf(self, userid: str) -> str:
        """The CSRF token that goes with a user's tickets."""
        now = self._now()
        return f"{now}:{self._signer.sign('csrf', f'{now}:{userid}')}"

    async def verify(self, text: str) -> Identity:
        """The user behind a ticket. Raises Unauthenticated `permission denied - invalid PVE ticket`."""
        match = _TICKET.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            raise _invalid("PVE", "it has not the form of a ticket")
        userid, stamp, signature = match.groups()
        if not self._signer.is_signed("ticket", f"PVE:{userid}:{stamp}", signature):
            raise _invalid("PVE", "its signature is not ours, or its key was replaced")
        if not self._is_fresh(stamp, LIFETIME, _AHEAD):
            raise _invalid("PVE", f"it is older than {LIFETIME} s")
        self._check_user(userid, "PVE")
        return Identity(userid)

    def expires(self, text: str) -> float:
        """When a (verified) ticket ends, in seconds since 1970: until then a session on it may last."""
        match = _TICKET.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        return int(match[2], 16) + LIFETIME if match else 0.0

    def check_csrf(self, identity: Identity, text: str) -> None:
        """Raise Unauthenticated `Permission denied - invalid csrf token` unless it is the user's own, fresh one."""
        match = _CSRF.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if (
            match is None
            or not self._is_fresh(match[1], LIFETIME, _AHEAD)
            or not self._signer.is_signed("csrf", f"{match[1]}:{identity.user}", match[2])
        ):
            raise Unauthenticated(
                "Permission denied - invalid csrf token",
                code="bad-csrf-token",
                cause="a change with a ticket needs the CSRFPreventionToken of the same login",
                evidence="the header is missing" if not text else "it is not valid, or too old",
                fixes=[Fix(text="send the header CSRFPreventionToken with the login's value, or log in again")],
            )

    async def vnc(self, identity: Identity, path: str, port: int | str) -> str:
        """A ticket that opens the console at `path` (`/vms/100`) and `port` for 40 s."""
        await self._signer.rotate()
        text = f"PVEVNC:{self._now()}"
        return f"{text}::{self._signer.sign('vnc', _console(text, identity, path, port))}"

    async def verify_vnc(self, text: str, identity: Identity, path: str, port: int | str) -> None:
        """Raise Unauthenticated unless the ticket is this user's for this path and port, and fresh. The older form
        with the VNC password in front (`12345678:PVEVNC:...`) is accepted."""
        match = _VNC.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            raise _invalid("PVEVNC", "it has not the form of a console ticket")
        signed = _console(f"PVEVNC:{match[1]}", identity, path, port)
        if not self._signer.is_signed("vnc", signed, match[2]):
            raise _invalid("PVEVNC", "it is not for this user, path and port")
        if not self._is_fresh(match[1], VNC_LIFETIME, _VNC_AHEAD):
            raise _invalid("PVEVNC", f"it is older than {VNC_LIFETIME} s")
        self._check_user(identity.user, "PVEVNC")

    def is_active(self, identity: Identity) -> bool:
        """Whether the user (and its token) still exists, is enabled and has not expired: what a session asks after
        each change of the directory."""
        user, now = self._directory.users.get(identity.user), self._clock()
        if user is None or not user.enable or 0 < user.expire < now:
            return False
        token = user.tokens.get(identity.token)
        return not identity.token or (token is not None and not 0 < token.expire < now)

    def _check_user(self, userid: str, prefix: str) -> None:
        try:
            split_user(userid)
        except ValueError as problem:
            raise _invalid(prefix, str(problem)) from None
        if not self.is_active(Identity(userid)):
            raise _invalid(prefix, "its user is disabled, has expired or is gone")

    def _now(self) -> str:
        return f"{int(self._clock()):08X}"

    def _is_fresh(self, stamp: str, lifetime: int, ahead: int) -> bool:
        return -ahead < self._clock() - int(stamp, 16) < lifetime


def _bound(text: str, userid: str) -> str:
    return f"{text}\0{userid}"


def _console(text: str, identity: Identity, path: str, port: int | str) -> str:
    return "\0".join((text, identity.name, path, str(port)))


def _invalid(prefix: str, evidence: str) -> Unauthenticated:
    return Unauthenticated(
        f"permission denied - invalid {prefix} ticket",
        code="bad-ticket",
        cause="the ticket is not valid (any more)",
        evidence=evidence,
        fixes=[Fix(text="log in again", action="POST /access/ticket")],
    )
