"""Logging in by OpenID Connect: to the provider, and back with a code that is good once.

What a login needs to come back (realm, nonce, PKCE secret, address) travels in its `state`, sealed with a key of this
process: who only begins logins costs no memory. A state is good for ten minutes, once, for the address it was made for.
Source of the rules for users and groups: PVE::API2::OpenId of Proxmox VE 9.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from tarmac.drivers.auth.openid import Provider
from tarmac.model.errors import Fix, InvalidInput, LoginFailed, TarmacError
from tarmac.model.realms import OPENID, RealmOptions
from tarmac.model.users import Group, User, check_group_id, split_user
from tarmac.services.access.directory import Directory, Key
from tarmac.services.access.login import Login
from tarmac.services.access.login_limits import LoginLimits
from tarmac.services.access.realms import Realms

log = logging.getLogger(__name__)
STATE_SECONDS = 600
_MOST_USED = 20_000
_MOST_GROUPS, _BATCH = 200, 100
_CLAIMS = {"subject": "sub", "username": "preferred_username"}
_TEXTS = {"firstname": "given_name", "lastname": "family_name", "email": "email"}


class OpenIdLogins:
    """Verbs of `/access/openid`. `provider` makes what speaks to an issuer; `clock` tells seconds since 1970."""

    def __init__(
        self,
        *,
        directory: Directory,
        realms: Realms,
        login: Login,
        limits: LoginLimits,
        provider: Callable[[str], Provider] = Provider,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._realms = realms
        self._login = login
        self._limits = limits
        self._make = provider
        self._clock = clock
        self._providers: dict[str, Provider] = {}
        self._seal = Fernet(Fernet.generate_key())
        self._used: OrderedDict[str, None] = OrderedDict()

    async def auth_url(self, realm: str, redirect: str) -> str:
        """Where the browser goes. Raises NotFound, InvalidInput for a realm of another type, Unavailable."""
        options = self._options(realm)
        if not redirect.startswith(("https://", "http://")):
            raise InvalidInput.of("redirect-url", "value is not an http or https URL")
        nonce, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        told = {"r": realm, "n": nonce, "v": verifier, "u": redirect}
        state = self._seal.encrypt_at_time(json.dumps(told).encode(), int(self._clock())).decode()
        provider = self._provider(options)
        return await provider.address(options, redirect=redirect, state=state, nonce=nonce, verifier=verifier)

    async def login(self, state: str, code: str, redirect: str, *, source: str) -> dict[str, Any]:
        """A ticket for who came back, as `Login.login` gives it. Raises LoginFailed `authentication failure` with
        the reason, Unavailable and HostFailure for a provider that is away or broken."""
        try:
            return await self._login_by(state, code, redirect, source)
        except TarmacError as problem:
            told = {"source": source, "reason": problem.cause, "evidence": problem.evidence}
            log.warning("OpenID authentication failure", extra=told)
            raise

    async def _login_by(self, state: str, code: str, redirect: str, source: str) -> dict[str, Any]:
        if not self._limits.begin(f"openid {source}", source):
            raise _failure("too-many-failures", "there were too many failures from here", source)
        told = self._open(state)
        realm = told["r"]
        if told["u"] != redirect:
            raise _failure("openid-redirect", "the login was begun for another address", redirect)
        options = self._options(realm)
        claims = await self._provider(options).claims(
            options, code=code, redirect=redirect, nonce=told["n"], verifier=told["v"]
        )
        userid = _name(options, claims, realm)
        await self._take_in(userid, realm, options, claims)
        self._limits.succeeded(f"openid {source}", source)
        return await self._login.admit(userid, source)

    # -- parts --------------------------------------------------------------------------------------------------

    def _options(self, realm: str) -> RealmOptions:
        kind = self._realms.find(realm).type
        if kind != OPENID:
            raise InvalidInput.of("realm", f"wrong realm type ({kind} != {OPENID})")
        return self._realms.options(realm)

    def _provider(self, options: RealmOptions) -> Provider:
        issuer = options.issuer_url or ""
        found = self._providers.get(issuer)
        if found is None:
            known = {self._realms.options(r["realm"]).issuer_url for r in self._realms.list() if r["type"] == OPENID}
            self._providers = {k: p for k, p in self._providers.items() if k in known}
            found = self._providers[issuer] = self._make(issuer)
        return found

    def _open(self, state: str) -> dict[str, str]:
        """What a state says; it is used up by this."""
        try:
            raw = self._seal.decrypt_at_time(state, STATE_SECONDS, int(self._clock()))
        except (InvalidToken, ValueError):
            why = f"it is not of this daemon, or more than {STATE_SECONDS // 60} minutes old"
            raise _failure("openid-bad-state", "the login was not begun here, or too long ago", why) from None
        told: dict[str, str] = json.loads(raw)
        if told["n"] in self._used:
            raise _failure("openid-bad-state", "this login was already used", f"realm {told['r']}")
        self._used[told["n"]] = None
        if len(self._used) > _MOST_USED:
            self._used.popitem(last=False)
        return told

    async def _take_in(self, userid: str, realm: str, options: RealmOptions, claims: Mapping[str, Any]) -> None:
        """Make the user where that is wished, and put it into its groups."""
        async with self._directory.lock:
            records: dict[Key, Any] = {}
            if userid not in self._directory.users:
                if not options.autocreate:
                    raise _failure(
                        "openid-unknown-user",
                        "the provider knows the user, the platform does not",
                        userid,
                        Fix(text="make the user, or set autocreate", action="POST /access/users"),
                    )
                texts: dict[str, Any] = {name: _text(claims.get(claim)) for name, claim in _TEXTS.items()}
                records[("user", userid)] = User(userid=userid, **texts)
            if options.groups_claim:
                records |= self._groups(userid, realm, options, claims.get(options.groups_claim))
            items = list(records.items())
            for start in range(0, len(items), _BATCH):
                part = dict(items[start : start + _BATCH])
                await self._directory.commit(part, by=userid, what=f"OpenID login of {userid}")

    def _groups(self, userid: str, realm: str, options: RealmOptions, claim: Any) -> dict[Key, Group]:
        names = claim if isinstance(claim, list) else [claim] if isinstance(claim, str) else []
        wanted: set[str] = set()
        for name in names[:_MOST_GROUPS]:
            group = f"{name}-{realm}"
            try:
                check_group_id(group)
            except ValueError as problem:
                log.warning("a group of an OpenID login is left out", extra={"user": userid, "why": str(problem)[:200]})
                continue
            if group in self._directory.groups or options.groups_autocreate:
                wanted.add(group)
        found: dict[Key, Group] = {}
        for group in wanted:
            old = self._directory.groups.get(group, Group(groupid=group))
            if userid not in old.members or group not in self._directory.groups:
                members = tuple(sorted({*old.members, userid}))
                found[("group", group)] = dataclasses.replace(old, members=members)
        if options.groups_overwrite:
            for group in set(self._directory.groups_of(userid)) - wanted:
                old = self._directory.groups[group]
                left = tuple(member for member in old.members if member != userid)
                found[("group", group)] = dataclasses.replace(old, members=left)
        return found


def _name(options: RealmOptions, claims: Mapping[str, Any], realm: str) -> str:
    """The user's id, by the claim that the realm names."""
    wanted = options.username_claim or "subject"
    claim = _CLAIMS.get(wanted, wanted)
    name = claims.get(claim)
    if not isinstance(name, str) or not name:
        raise _failure(
            "openid-no-name", f"the provider does not say the user's {claim}", f"claims: {sorted(claims)}"[:300]
        )
    if claim == "email" and claims.get("email_verified") is False:
        raise _failure(
            "openid-unverified", "the provider has not verified the address that is the user's name", name[:64]
        )
    userid = f"{name}@{realm}"
    try:
        split_user(userid)
    except ValueError as problem:
        raise _failure("openid-bad-name", "the name that the provider gives cannot be a user's", str(problem)) from None
    return userid


def _text(value: Any) -> str:
    return "".join(c for c in value if c.isprintable())[:254] if isinstance(value, str) else ""


def _failure(code: str, cause: str, evidence: str, fix: Fix | None = None) -> LoginFailed:
    fixes = [fix or Fix(text="log in again")]
    return LoginFailed("authentication failure", code=code, cause=cause, evidence=evidence, fixes=fixes)
