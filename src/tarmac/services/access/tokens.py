"""API tokens: a name under a user and a secret that is shown once. Only its hash is kept.

The secret is a UUID of 122 random bits, so a plain SHA-256 keeps it and checking costs microseconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from tarmac.model.errors import Fix, InvalidInput, NotFound, Unauthenticated
from tarmac.model.users import REALM, Grants, Token, User, split_token
from tarmac.services.access.access import Identity
from tarmac.services.access.directory import Directory, Key
from tarmac.services.access.users import no_such_user

_NAME = re.compile(REALM)
Rows = list[dict[str, Any]]


class Tokens:
    """Verbs on tokens. `by` is the name of who makes a change; every change is durable before a method returns."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock

    def list(self, userid: str) -> Rows:
        """Rows of `GET /access/users/{userid}/token`. Raises NotFound `no such user ('x@pve')`."""
        return [{"tokenid": name, **token.info()} for name, token in sorted(self._user(userid).tokens.items())]

    def get(self, userid: str, name: str) -> dict[str, Any]:
        """A token without its secret. Raises NotFound `no such token 'n' for user 'x@pve'`."""
        return self._token(userid, name).info()

    async def create(
        self, userid: str, name: str, *, by: str, expire: int = 0, privsep: bool = True, comment: str = ""
    ) -> dict[str, Any]:
        """A new token: `{"full-tokenid", "value", "info"}`; `value` is told here and never again.

        Raises NotFound for an unknown user, InvalidInput for a bad name or one that exists."""
        if not _NAME.fullmatch(name):
            raise InvalidInput.of("tokenid", "value does not match the regex pattern")
        async with self._directory.lock:
            if name in self._user(userid).tokens:
                raise InvalidInput.of(
                    "tokenid",
                    "Token already exists.",
                    code="token-exists",
                    fixes=[Fix(text="choose another name, or delete it first")],
                )
            value = str(uuid.uuid4())
            token = Token(expire=expire, privsep=privsep, comment=comment, secret=_hash(value))
            await self._put(userid, name, token, by=by, what="create")
        return {"full-tokenid": f"{userid}!{name}", "value": value, "info": token.info()}

    async def update(
        self,
        userid: str,
        name: str,
        *,
        by: str,
        expire: int | None = None,
        privsep: bool | None = None,
        comment: str | None = None,
        delete: Sequence[str] = (),
        regenerate: bool = False,
    ) -> dict[str, Any]:
        """Change what is given; `delete` may name `comment`; `regenerate` makes a new secret, told as in `create`."""
        for key in delete:
            if key != "comment":
                raise InvalidInput.of("delete", f"unknown option '{key}'")
        given: dict[str, Any] = {
            "expire": expire,
            "privsep": privsep,
            "comment": "" if "comment" in delete else comment,
        }
        async with self._directory.lock:
            token = dataclasses.replace(self._token(userid, name), **{k: v for k, v in given.items() if v is not None})
            value = str(uuid.uuid4()) if regenerate else ""
            if value:
                token = dataclasses.replace(token, secret=_hash(value))
            await self._put(userid, name, token, by=by, what="update")
        return {**token.info(), **({"full-tokenid": f"{userid}!{name}", "value": value} if value else {})}

    async def delete(self, userid: str, name: str, *, by: str) -> None:
        """Remove a token and what is granted to it; from now on it opens nothing."""
        async with self._directory.lock:
            self._token(userid, name)
            user = self._user(userid)
            rest = {n: token for n, token in user.tokens.items() if n != name}
            records: dict[Key, Any] = {("user", userid): dataclasses.replace(user, tokens=rest)}
            owner = f"user:{userid}"
            grants = self._directory.grants.get(owner, Grants())
            kept = tuple(entry for entry in grants.entries if entry.who != f"{userid}!{name}")
            if kept != grants.entries:
                records[("grants", owner)] = Grants(entries=kept) if kept else None
            await self._directory.commit(records, by=by, what=f"delete token {userid}!{name}")

    async def verify(self, text: str) -> Identity:
        """The identity behind `USER@REALM!NAME=SECRET`. Raises Unauthenticated, the same whatever is wrong with it,
        so that nobody learns which users and tokens exist."""
        tokenid, _, value = text.rpartition("=")
        try:
            userid, name = split_token(tokenid)
        except ValueError:
            raise _refused("it has not the form USER@REALM!NAME=SECRET") from None
        user = self._directory.users.get(userid)
        token = user.tokens.get(name) if user else None
        fits = hmac.compare_digest(_hash(value), token.secret if token else "0" * 64)
        if user is None or token is None or not fits:
            raise _refused("there is no such token with this secret")
        now = self._clock()
        if not user.enable or 0 < user.expire < now or 0 < token.expire < now:
            raise _refused("the token or its user has expired or is disabled")
        return Identity(userid, name)

    async def _put(self, userid: str, name: str, token: Token, *, by: str, what: str) -> None:
        user = self._user(userid)
        record = dataclasses.replace(user, tokens={**user.tokens, name: token})
        await self._directory.commit({("user", userid): record}, by=by, what=f"{what} token {userid}!{name}")

    def _user(self, userid: str) -> User:
        user = self._directory.users.get(userid)
        if user is None:
            raise no_such_user(userid)
        return user

    def _token(self, userid: str, name: str) -> Token:
        token = self._user(userid).tokens.get(name)
        if token is None:
            raise NotFound(
                f"no such token '{name}' for user '{userid}'",
                code="no-such-token",
                cause="the user has no token of this name",
                evidence=f"{userid}!{name}",
                fixes=[Fix(text="list the user's tokens", action=f"GET /access/users/{userid}/token")],
            )
        return token


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _refused(cause: str) -> Unauthenticated:
    return Unauthenticated(
        "Authentication failed!",
        code="bad-token",
        cause="the API token is not valid",
        evidence=cause,
        fixes=[Fix(text="check user, token name and secret; a lost secret cannot be shown again, make a new token")],
    )
