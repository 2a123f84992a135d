"""Logging in: from a name and a password to a ticket.

Which password counts: for realm `pve` the one kept here; for realm `pam` the host's, by PAM; for realms of LDAP and
Active Directory their servers'. Users of OpenID Connect have none (`services.access.openid`). `root@pam` has two more
ways: a password file given at start (for daemons that do not run as root), and a secret that is good once, for the
first login where root has no password. A ticket renews itself when it is sent as the password.

Limits act before any hashing; whatever is wrong, the answer is the same, and it comes late.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tarmac.drivers.auth.base import HostUsers
from tarmac.drivers.auth.ldap import Directory as Server
from tarmac.lib.files import failure_of, read_bounded
from tarmac.lib.passwords import Hasher
from tarmac.lib.turns import Turns
from tarmac.model.errors import (
    Busy,
    Fix,
    HostFailure,
    InvalidInput,
    LoginFailed,
    NotBuilt,
    Unauthenticated,
    Unavailable,
)
from tarmac.model.realms import AD, LDAP, PAM, PVE, RealmOptions
from tarmac.model.users import ROOT, split_user
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.login_files import OneTimeSecret, check_private
from tarmac.services.access.login_limits import LoginLimits, network_of
from tarmac.services.access.realms import Realms
from tarmac.services.access.tfa import SecondFactors
from tarmac.services.access.tickets import Tickets
from tarmac.services.access.users import no_such_user

log = logging.getLogger(__name__)

FAILURE_SECONDS = 3.0
_OUTSIDE_SECONDS = 20.0  # how long the host or a realm's servers may take
_OUTSIDE_AT_ONCE = 4
_MAX_PASSWORD = 4096
_MIN_LENGTH, _MAX_LENGTH = 8, 64  # of a new password, as Proxmox has it


class Login:
    """`pam` asks the host, `server` makes what asks a realm's directory, `hasher` is the daemon's one, `clock` tells
    seconds since 1970."""

    def __init__(
        self,
        *,
        directory: Directory,
        access: Access,
        tickets: Tickets,
        hasher: Hasher,
        factors: SecondFactors,
        pam: HostUsers,
        realms: Realms | None = None,
        server: Callable[[str, RealmOptions], Server] = Server,
        data_dir: Path,
        limits: LoginLimits | None = None,
        failure_seconds: float = FAILURE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._access = access
        self._tickets = tickets
        self._hasher = hasher
        self._factors = factors
        self._pam = pam
        self._realms = realms or Realms(directory)
        self._server = server
        self._once = OneTimeSecret(data_dir / "login-once", clock)
        self._limits = limits or LoginLimits()
        self._failure_seconds = failure_seconds
        self._outside: dict[str, Turns] = {}  # a realm whose servers hang holds up its own users only

    async def login(
        self,
        username: str,
        password: str,
        *,
        realm: str | None = None,
        source: str = "",
        challenge: str | None = None,
        code: str | None = None,
        host: str = "",
    ) -> dict[str, Any]:
        """Check a password (or a ticket in its place) and hand out a ticket: `username`, `ticket`,
        `CSRFPreventionToken`, `cap`.

        A user with a second factor gets `NeedTFA` and a ticket for the second step: that comes as `challenge`, with
        the answer (`totp:123456`) as the password. With `code` both steps are one.

        `source` is the caller's address, `host` the name by which it speaks to us. Raises Unauthenticated
        `authentication failure`, at the earliest `failure_seconds` after the call began, whatever is wrong."""
        userid = self._known_as(f"{username}@{realm}" if realm else username)
        begun = asyncio.get_running_loop().time()
        if challenge is not None:
            why = await self._second_step(userid, password, challenge, source)
        else:
            why = await self._refusal(userid, password, source)
        wanted = None if challenge is not None or password.startswith("PVE:") else self._factors.challenge(userid, host)
        if not why and wanted is not None and code is not None:
            why, wanted = await self._factors.check(userid, f"totp:{code}"), None
        elif not why and wanted is None and challenge is None and not password.startswith("PVE:"):
            why = self._lacks_factor(userid)
        if why:
            log.warning("authentication failure", extra={"user": userid[:64], "source": source, "reason": why})
            await asyncio.sleep(max(0.0, begun + self._failure_seconds - asyncio.get_running_loop().time()))
            raise _failed()
        if wanted is not None:
            ticket = await self._tickets.issue_partial(userid, wanted)
            csrf, cap = self._tickets.csrf(userid), self._access.capabilities(Identity(userid))
            return {"username": userid, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": cap, "NeedTFA": 1}
        if not password.startswith("PVE:"):
            self._limits.succeeded(userid, source)
        return await self.admit(userid, source)

    async def admit(self, userid: str, source: str) -> dict[str, Any]:
        """What a login gets whose user was checked, by whatever means. Raises Unauthenticated for a user who is
        disabled, has expired or is gone."""
        if not self._tickets.is_active(Identity(userid)):
            log.warning("authentication failure", extra={"user": userid[:64], "source": source, "reason": "not active"})
            raise _failed()
        log.info("login", extra={"user": userid, "source": source})
        return {
            "username": userid,
            "ticket": await self._tickets.issue(userid),
            "CSRFPreventionToken": self._tickets.csrf(userid),
            "cap": self._access.capabilities(Identity(userid)),
        }

    async def verify(self, username: str, password: str, *, source: str = "") -> bool:
        """Whether it is the user's password, by the same rules and limits: to confirm a dangerous change."""
        if await self._refusal(username, password, source):
            return False
        self._limits.succeeded(username, source)
        return True

    # -- passwords ----------------------------------------------------------------------------------------------

    async def set_password(self, userid: str, password: str, *, by: str) -> None:
        """A new password for a user whose password is kept here. Raises NotFound, InvalidInput for one that is too
        short or long, NotBuilt for users of the host."""
        if not _MIN_LENGTH <= len(password) <= _MAX_LENGTH:
            words = f"value must be from {_MIN_LENGTH} to {_MAX_LENGTH} characters long"
            raise InvalidInput.of("password", words)
        if userid not in self._directory.users:
            raise no_such_user(userid)
        if split_user(userid)[1] != PVE and userid not in self._directory.passwords:
            raise _kept_elsewhere(userid)
        await self._keep(userid, password, by, f"set password of {userid}")

    async def use_password_file(self, path: Path) -> None:
        """Make a file's first line the password of root@pam; only its hash is kept. Raises InvalidInput for an empty
        file and for one that others may read or change, and what `failure_of` makes of one that cannot be read."""
        try:
            await asyncio.to_thread(check_private, path)
            text = (await asyncio.to_thread(read_bounded, path, _MAX_PASSWORD)).decode(errors="surrogateescape")
        except OSError as error:
            raise failure_of(error, f"cannot read the password file {path}") from error
        password = text.split("\n", 1)[0].rstrip("\r")
        if not password:
            raise InvalidInput.of("password-file", f"{path} has no password in its first line")
        known = self._directory.passwords.get(ROOT)
        if known is None or not await self._hasher.fits(known, password):
            await self._keep(ROOT, password, ROOT, "use password file for root@pam")

    async def one_time_secret(self) -> str:
        """A secret that is the password of root@pam once, within an hour: the same until it is used or over.

        It lies in the data directory, readable for the daemon's user only."""
        return await asyncio.to_thread(self._once.make)

    # -- deciding -----------------------------------------------------------------------------------------------

    async def _refusal(self, userid: str, password: str, source: str) -> str:
        """Why not; empty when the login is good."""
        try:
            name, realm = split_user(userid)
        except ValueError:
            return "not a user id"
        if realm not in self._realms:
            return "the realm does not exist (any more)"
        if not password or len(password) > _MAX_PASSWORD:
            return "no password, or one that is too long"
        if password.startswith("PVE:"):
            return await self._renewal(userid, password)
        if not self._limits.begin(userid, source):
            return "too many failures"
        try:
            fits = await self._fits(userid, name, realm, password, source)
        except Busy:
            return "too many logins wait already"
        if not fits:
            return "wrong password"
        if not self._tickets.is_active(Identity(userid)):
            return "the user is unknown, disabled or has expired"
        return ""

    async def _second_step(self, userid: str, answer: str, challenge: str, source: str) -> str:
        try:
            asked = self._tickets.check_partial(challenge, userid)
        except Unauthenticated as problem:
            return problem.evidence
        if not self._limits.begin(userid, source):
            return "too many failures"
        return await self._factors.check(userid, answer, asked)

    async def _renewal(self, userid: str, ticket: str) -> str:
        try:
            identity = await self._tickets.verify(ticket)
        except Unauthenticated as problem:
            return problem.evidence
        if identity.user != userid:
            return "the ticket is another user's"
        return ""

    async def _fits(self, userid: str, name: str, realm: str, password: str, source: str) -> bool:
        if userid == ROOT and await asyncio.to_thread(self._once.use, password):
            return True
        kept = self._directory.passwords.get(userid)
        lane, known = network_of(source), self._limits.knows(userid, source)
        if kept is not None or realm == PVE or userid not in self._directory.users:
            return await self._hasher.fits(kept, password, source=lane, known=known)
        kind = self._realms.kind(realm)
        turns = self._outside.setdefault(realm, Turns(_OUTSIDE_AT_ONCE))
        try:
            async with turns.turn(lane, first=known), asyncio.timeout(_OUTSIDE_SECONDS):
                if kind in (LDAP, AD):
                    return await self._server(kind, self._realms.options(realm)).fits(name, password)
                if kind == PAM:
                    return await self._pam.fits(name, password, source=source)
        except TimeoutError:
            log.error("realm %s did not answer", realm, extra={"seconds": _OUTSIDE_SECONDS, "user": userid})
        except (HostFailure, Unavailable) as problem:
            log.error("%s", problem.message, extra={"evidence": problem.evidence, "user": userid})
        return False

    def _known_as(self, userid: str) -> str:
        """The user's id as it is kept, where the realm does not tell `Ann` from `ann`."""
        realm = userid.rpartition("@")[2]
        if userid in self._directory.users or self._realms.kind(realm) not in (LDAP, AD):
            return userid
        if self._realms.options(realm).case_sensitive:
            return userid
        return next((known for known in self._directory.users if known.lower() == userid.lower()), userid)

    def _lacks_factor(self, userid: str) -> str:
        """Why a user without a second factor is kept out, where the realm demands one."""
        realm = split_user(userid)[1]
        demands = realm in self._realms and self._realms.options(realm).tfa
        return "the realm demands a second factor, and the user has none" if demands else ""

    async def _keep(self, userid: str, password: str, by: str, what: str) -> None:
        record = await self._hasher.hash(password)
        async with self._directory.lock:
            await self._directory.commit({("password", userid): record}, by=by, what=what)


def _kept_elsewhere(userid: str) -> NotBuilt:
    name, realm = split_user(userid)
    if realm == PAM:
        return NotBuilt(
            f"the password of '{userid}' is the host's",
            cause="users of realm pam have their password on the machine itself",
            evidence=userid,
            fixes=[Fix(text="change it on the host", action=f"passwd {name}")],
        )
    return NotBuilt(
        f"the password of '{userid}' is not kept here",
        cause=f"realm {realm} checks passwords (or has none) at servers of its own",
        evidence=userid,
        fixes=[Fix(text="change it there")],
    )


def _failed() -> LoginFailed:
    return LoginFailed(
        "authentication failure",
        code="authentication-failure",
        cause="user name and password do not fit, or there were too many failures from here",
        evidence="the daemon's log has the reason",
        fixes=[
            Fix(text="check user name, realm (name@pam, name@pve) and password; after five failures wait five minutes"),
            Fix(text="where the realm has servers of its own, see whether they answer"),
            Fix(text="on the machine itself, print a link that logs root@pam in once", action="tarmac login-link"),
        ],
    )
