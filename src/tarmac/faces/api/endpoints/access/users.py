"""Users and their API tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, delete, get, post, put
from tarmac.faces.api.endpoints.access.access import REALM
from tarmac.faces.api.shapes import access as shapes
from tarmac.model.settings import setting

GROUP = r"[A-Za-z0-9._-]+"


@dataclass(frozen=True, kw_only=True)
class Listing:
    enabled: bool | None = setting(None, help="Only enabled (1) or only disabled (0) users.")
    full: bool = setting(False, help="With groups and tokens.")


@dataclass(frozen=True, kw_only=True)
class One:
    userid: str = setting(max_length=64, format="pve-userid", help="The user, `name@realm`.")


@dataclass(frozen=True, kw_only=True)
class Fields(One):
    comment: str | None = setting(None, max_length=2048, help="Notes.")
    email: str | None = setting(None, max_length=254, help="Mail address.")
    enable: bool | None = setting(None, default_text="1", help="Whether the user may log in.")
    expire: int | None = setting(None, ge=0, unit="s", help="When the account ends (Unix time); 0 for never.")
    firstname: str | None = setting(None, max_length=1024, help="First name.")
    lastname: str | None = setting(None, max_length=1024, help="Last name.")
    keys: str | None = setting(None, pattern=r"[0-9a-zA-Z!=]{0,4096}", help="Keys for two-factor login.")
    groups: tuple[str, ...] | None = setting(None, pattern=GROUP, help="The user's groups.")

    def given(self) -> dict[str, Any]:
        """The fields by the service's names; None where not given."""
        names = ("comment", "email", "enable", "expire", "firstname", "lastname", "keys")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Create(Fields):
    password: str | None = setting(
        None, max_length=64, pattern=r"[\s\S]{8,}", secret=True, help="The first password, from 8 characters."
    )


@dataclass(frozen=True, kw_only=True)
class Update(Fields):
    append: bool = setting(False, help="Add the groups instead of replacing them.")


@dataclass(frozen=True, kw_only=True)
class Token(One):
    tokenid: str = setting(pattern=REALM, help="The token's name.")


@dataclass(frozen=True, kw_only=True)
class TokenCreate(Token):
    comment: str | None = setting(None, help="Notes.")
    expire: int | None = setting(None, ge=0, unit="s", default_text="as the user", help="When it ends (Unix time).")
    privsep: bool = setting(True, help="The token has rights of its own, at most its user's.")


@dataclass(frozen=True, kw_only=True)
class TokenUpdate(Token):
    comment: str | None = setting(None, help="Notes.")
    expire: int | None = setting(None, ge=0, unit="s", default_text="as the user", help="When it ends (Unix time).")
    privsep: bool | None = setting(None, default_text="1", help="The token has rights of its own, at most its user's.")
    delete: tuple[str, ...] = setting((), format="pve-configid", help="Fields to clear.")


async def _may_create(call: Call, p: Any) -> None:
    users = call.services.users
    users.check_realm(call.identity, p.userid)
    users.check_rights(call.identity, p.userid, ["User.Modify"], groups=p.groups or (), new=True)


async def _may_update(call: Call, p: Any) -> None:
    call.services.users.check_rights(call.identity, p.userid, ["User.Modify"], groups=p.groups)


async def _may_delete(call: Call, p: Any) -> None:
    call.services.users.check_realm(call.identity, p.userid)
    call.services.users.check_rights(call.identity, p.userid, ["User.Modify"])


async def _may_see(call: Call, p: Any) -> None:
    call.services.users.check_rights(call.identity, p.userid, ["User.Modify", "Sys.Audit"])


async def _may_manage_tokens(call: Call, p: Any) -> None:
    if not call.services.users.is_self(call.identity, p.userid):
        call.services.users.check_rights(call.identity, p.userid, ["User.Modify"])


CREATORS = Allow.by(_may_create, "Realm.AllocateUser on the realm and User.Modify on the groups")
CHANGERS = Allow.by(_may_update, "User.Modify on the user's groups")
REMOVERS = Allow.by(_may_delete, "Realm.AllocateUser on the realm and User.Modify on the user's groups")
READERS = Allow.by(_may_see, "User.Modify or Sys.Audit on the user's groups")
OWNERS = Allow.by(_may_manage_tokens, "the user, or User.Modify on the user's groups")


@get(
    "/access/users",
    reply=list[shapes.UserRow],
    params=Listing,
    allow=Allow.login,
    returns=LIST,
    cli="user list",
    help="The users.",
)
async def users(call: Call, p: Listing) -> Any:
    return call.services.users.list(call.identity, enabled=p.enabled, full=p.full)


@post("/access/users", params=Create, allow=CREATORS, cli="user add {userid}", help="Make a user.")
async def create(call: Call, p: Create) -> None:
    await call.services.users.create(
        p.userid, by=call.identity.name, password=p.password, groups=p.groups or (), **p.given()
    )


@get("/access/users/{userid}", params=One, allow=READERS, returns=OBJECT, cli="user show {userid}", help="A user.")
async def user(call: Call, p: One) -> Any:
    return call.services.users.get(p.userid)


@put("/access/users/{userid}", params=Update, allow=CHANGERS, cli="user set {userid}", help="Change a user.")
async def update(call: Call, p: Update) -> None:
    await call.services.users.update(p.userid, by=call.identity.name, groups=p.groups, append=p.append, **p.given())


@delete(
    "/access/users/{userid}",
    params=One,
    allow=REMOVERS,
    cli="user delete {userid}",
    help="Remove a user with its tokens and grants.",
)
async def remove(call: Call, p: One) -> None:
    await call.services.users.delete(p.userid, by=call.identity.name)


@get(
    "/access/users/{userid}/token",
    reply=list[shapes.Token],
    params=One,
    allow=OWNERS,
    returns=LIST,
    cli="token list {userid}",
    help="A user's API tokens.",
)
async def tokens(call: Call, p: One) -> Any:
    return call.services.tokens.list(p.userid)


@get(
    "/access/users/{userid}/token/{tokenid}",
    params=Token,
    allow=OWNERS,
    returns=OBJECT,
    cli="token show {userid} {tokenid}",
    help="An API token, without its secret.",
)
async def token(call: Call, p: Token) -> Any:
    return call.services.tokens.get(p.userid, p.tokenid)


@post(
    "/access/users/{userid}/token/{tokenid}",
    reply=shapes.NewToken,
    params=TokenCreate,
    allow=OWNERS,
    returns=OBJECT,
    cli="token add {userid} {tokenid}",
    help="Make an API token; its secret (`value`) is shown this once.",
)
async def create_token(call: Call, p: TokenCreate) -> Any:
    return await call.services.tokens.create(
        p.userid,
        p.tokenid,
        by=call.identity.name,
        expire=p.expire or 0,
        privsep=p.privsep,
        comment=p.comment or "",
    )


@put(
    "/access/users/{userid}/token/{tokenid}",
    params=TokenUpdate,
    allow=OWNERS,
    returns=OBJECT,
    cli="token set {userid} {tokenid}",
    help="Change an API token.",
)
async def update_token(call: Call, p: TokenUpdate) -> Any:
    return await call.services.tokens.update(
        p.userid,
        p.tokenid,
        by=call.identity.name,
        expire=p.expire,
        privsep=p.privsep,
        comment=p.comment,
        delete=p.delete,
    )


@delete(
    "/access/users/{userid}/token/{tokenid}",
    params=Token,
    allow=OWNERS,
    cli="token delete {userid} {tokenid}",
    help="Remove an API token.",
)
async def remove_token(call: Call, p: Token) -> None:
    await call.services.tokens.delete(p.userid, p.tokenid, by=call.identity.name)
