"""Logging in, and what one may do: tickets, permissions, passwords, grants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, NoParams, get, post, put
from tarmac.faces.api.shapes import access as shapes
from tarmac.model.errors import InvalidInput
from tarmac.model.realms import OPENID
from tarmac.model.settings import setting
from tarmac.model.users import ROOT

REALM = r"[A-Za-z][A-Za-z0-9._-]+"
USER_OR_TOKEN = rf"[^\s:/@!]+@{REALM}(!{REALM})?"


@dataclass(frozen=True, kw_only=True)
class Login:
    username: str = setting(max_length=64, help="The user, with or without `@realm`.")
    password: str = setting(secret=True, help="The password; a valid ticket in its place makes a new one.")
    realm: str | None = setting(None, max_length=32, pattern=REALM, help="The realm, if the name is without.")
    otp: str | None = setting(None, secret=True, help="The code of the second factor, to log in in one step.")
    path: str | None = setting(None, max_length=64, built=False, help="Only check a ticket: for this path.")
    privs: tuple[str, ...] = setting((), built=False, help="Only check a ticket: for these privileges.")
    new_format: bool = setting(True, name="new-format", built=False, help="Whether TFA challenges have the new form.")
    tfa_challenge: str | None = setting(
        None,
        name="tfa-challenge",
        secret=True,
        help="The ticket of the first step; the password is then `totp:CODE`, `recovery:KEY` or `webauthn:JSON`.",
    )


@dataclass(frozen=True, kw_only=True)
class Permissions:
    path: str | None = setting(None, max_length=512, help="Only this path.")
    userid: str | None = setting(None, pattern=USER_OR_TOKEN, help="Another user or token.")


@dataclass(frozen=True, kw_only=True)
class Why:
    path: str = setting(max_length=512, help="The path: `/vms/100`, `/storage/local`.")
    privs: tuple[str, ...] = setting(pattern=r"[A-Za-z.]+", help="The privileges: `VM.PowerMgmt`.")
    userid: str | None = setting(None, pattern=USER_OR_TOKEN, default_text="the caller", help="A user or token.")


@dataclass(frozen=True, kw_only=True)
class Password:
    userid: str = setting(max_length=64, format="pve-userid", help="Whose password.")
    password: str = setting(max_length=64, secret=True, help="The new password, from 8 characters.")
    confirmation: str | None = setting(
        None,
        name="confirmation-password",
        max_length=64,
        secret=True,
        help="The caller's own password; root@pam need not give it.",
    )


@dataclass(frozen=True, kw_only=True)
class Grant:
    path: str = setting(max_length=512, help="Where the grant holds: `/`, `/vms/100`, `/storage/local`.")
    roles: tuple[str, ...] = setting(pattern=r"[A-Za-z0-9._-]+", help="The roles.")
    users: tuple[str, ...] = setting((), format="pve-userid", help="To these users.")
    groups: tuple[str, ...] = setting((), pattern=r"[A-Za-z0-9._-]+", help="To these groups.")
    tokens: tuple[str, ...] = setting((), format="pve-tokenid", help="To these tokens.")
    propagate: bool = setting(True, help="Also below the path.")
    delete: bool = setting(False, help="Take the grant away.")


@post(
    "/access/ticket",
    reply=shapes.Ticket,
    params=Login,
    allow=Allow.everybody,
    returns=OBJECT,
    tokens=False,
    csrf=False,
    help="Log in: a ticket for two hours, and the CSRF token that changes need beside it.",
)
async def login(call: Call, p: Login) -> Any:
    return await call.services.login.login(
        p.username, p.password, realm=p.realm, source=call.peer, challenge=p.tfa_challenge, code=p.otp, host=call.host
    )


@get("/access/ticket", allow=Allow.everybody, returns=NULL, help="Nothing; for forms that submit there.")
async def no_ticket(call: Call, p: NoParams) -> None:
    return None


@get(
    "/access/permissions",
    reply=dict[str, dict[str, int]],
    params=Permissions,
    allow=Allow.login,
    returns=OBJECT,
    cli="user permissions",
    help="Where the caller (or another) has which privileges.",
)
async def permissions(call: Call, p: Permissions) -> Any:
    return call.services.access.report(call.identity, userid=p.userid, path=p.path)


@get(
    "/access/why",
    reply=shapes.WhyReply,
    params=Why,
    allow=Allow.login,
    returns=OBJECT,
    cli="user why {path} {privs}",
    help="Whether somebody has privileges on a path, which grant decides it, and why other grants do not.",
)
async def why(call: Call, p: Why) -> Any:
    return call.services.access_why.explain(call.identity, p.path, p.privs, userid=p.userid)


async def confirm(call: Call, password: str | None, name: str) -> None:
    """A change of logins needs the caller's own password, but for root@pam. Raises InvalidInput for `name`."""
    if call.services.realms.kind(call.user.rpartition("@")[2]) == OPENID:
        words = "users of OpenID Connect have no password to confirm this with; an administrator can do it for them"
        raise InvalidInput.of(name, words, code="not-confirmed")
    if call.user != ROOT and not await call.services.login.verify(call.user, password or "", source=call.peer):
        raise InvalidInput.of(name, "this is not your password", code="not-confirmed")


async def _may_set_password(call: Call, p: Any) -> None:
    """Oneself; or who may change users of that realm."""
    users = call.services.users
    if not users.is_self(call.identity, p.userid):
        users.check_realm(call.identity, p.userid)
        users.check_rights(call.identity, p.userid, ["User.Modify"])


@put(
    "/access/password",
    params=Password,
    allow=Allow.by(
        _may_set_password, "the user; or Realm.AllocateUser on the realm and User.Modify on the user's groups"
    ),
    tokens=False,
    help="Set a user's password.",
)
async def set_password(call: Call, p: Password) -> None:
    await confirm(call, p.confirmation, "confirmation-password")
    await call.services.login.set_password(p.userid, p.password, by=call.identity.name)


@get(
    "/access/acl",
    reply=list[shapes.GrantRow],
    allow=Allow.login,
    returns=LIST,
    cli="user grants",
    help="The grants that the caller may see.",
)
async def grants(call: Call, p: NoParams) -> Any:
    return call.services.acls.list(call.identity)


async def _may_grant(call: Call, p: Any) -> None:
    call.services.acls.check_modify(call.identity, p.path)


@put(
    "/access/acl",
    params=Grant,
    allow=Allow.by(_may_grant, "Permissions.Modify on the path"),
    cli="user grant {path}",
    help="Grant roles on a path, or take them away.",
)
async def grant(call: Call, p: Grant) -> None:
    await call.services.acls.update(
        call.identity,
        p.path,
        roles=p.roles,
        users=p.users,
        groups=p.groups,
        tokens=p.tokens,
        propagate=p.propagate,
        delete=p.delete,
    )
