"""Second factors of logins: authenticator programs (TOTP), security keys (WebAuthn), recovery keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import ANY, LIST, OBJECT, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.endpoints.access.access import confirm
from tarmac.faces.api.shapes import access as shapes
from tarmac.model.errors import Denied
from tarmac.model.settings import setting
from tarmac.services.access import tfa

KINDS = ("totp", "u2f", "webauthn", "recovery", "yubico")


@dataclass(frozen=True, kw_only=True)
class OfUser:
    userid: str = setting(max_length=64, format="pve-userid", help="Whose.")


@dataclass(frozen=True, kw_only=True)
class Kinds(OfUser):
    multiple: bool = setting(False, help="All kinds as a list.")


@dataclass(frozen=True, kw_only=True)
class One(OfUser):
    id: str = setting(max_length=64, help="Which one.")


@dataclass(frozen=True, kw_only=True)
class Confirmed(One):
    password: str | None = setting(None, max_length=64, secret=True, help="The caller's own password.")


@dataclass(frozen=True, kw_only=True)
class Add(OfUser):
    type: str = setting(choices=KINDS, help="What kind; `totp`, `webauthn` and `recovery` are built.")
    description: str | None = setting(None, max_length=255, help="Which telephone, say.")
    totp: str | None = setting(None, secret=True, help="The otpauth:// address that the authenticator program got.")
    value: str | None = setting(
        None, secret=True, help="The proof: a code of the program; of a security key, the browser's answer as JSON."
    )
    challenge: str | None = setting(
        None, help="WebAuthn: the challenge that the browser answered; without it, one is given."
    )
    password: str | None = setting(None, max_length=64, secret=True, help="The caller's own password.")


@dataclass(frozen=True, kw_only=True)
class Update(Confirmed):
    description: str | None = setting(None, max_length=255, help="Which telephone, say.")
    enable: bool | None = setting(None, default_text="1", help="Whether it is asked for.")


async def _may_see(call: Call, p: Any) -> None:
    if not call.services.users.is_self(call.identity, p.userid):
        call.services.users.check_rights(call.identity, p.userid, ["User.Modify", "Sys.Audit"])


async def _may_change(call: Call, p: Any) -> None:
    if not call.services.users.is_self(call.identity, p.userid):
        call.services.users.check_rights(call.identity, p.userid, ["User.Modify"])


async def _may_unlock(call: Call, p: Any) -> None:
    call.services.users.check_rights(call.identity, p.userid, ["User.Modify"])


READERS = Allow.by(_may_see, "the user, or User.Modify or Sys.Audit on the user's groups")
CHANGERS = Allow.by(_may_change, "the user, or User.Modify on the user's groups")
UNLOCKERS = Allow.by(_may_unlock, "User.Modify on the user's groups")


@get(
    "/access/tfa",
    reply=list[shapes.FactorsOf],
    allow=Allow.login,
    returns=LIST,
    cli="tfa list",
    help="Users with second factors.",
)
async def everybodys(call: Call, p: NoParams) -> Any:
    def seen(userid: str) -> bool:
        try:
            call.services.users.check_rights(call.identity, userid, ["User.Modify", "Sys.Audit"])
        except Denied:
            return False
        return True

    return call.services.second_factors.all(call.identity, seen)


@get(
    "/access/tfa/{userid}",
    reply=list[shapes.Factor],
    params=OfUser,
    allow=READERS,
    returns=LIST,
    cli="tfa show {userid}",
    help="A user's second factors.",
)
async def entries(call: Call, p: OfUser) -> Any:
    return call.services.second_factors.list(p.userid)


@get("/access/tfa/{userid}/{id}", params=One, allow=READERS, returns=OBJECT, help="One second factor.")
async def entry(call: Call, p: One) -> Any:
    return call.services.second_factors.get(p.userid, p.id)


@post(
    "/access/tfa/{userid}",
    reply=shapes.NewFactor,
    params=Add,
    allow=CHANGERS,
    returns=OBJECT,
    tokens=False,
    cli="tfa add {userid} {type}",
    help="Add a second factor; recovery keys are shown this once.",
)
async def add(call: Call, p: Add) -> Any:
    await confirm(call, p.password, "password")
    factors, told, by = call.services.second_factors, p.description or "", call.identity.name
    if p.type == tfa.TOTP:
        return await factors.add_totp(p.userid, p.totp or "", p.value or "", description=told, by=by)
    if p.type == tfa.WEBAUTHN:
        if p.challenge is None:
            return factors.begin_webauthn(p.userid, call.host)
        return await factors.add_webauthn(p.userid, p.challenge, p.value or "", description=told, by=by)
    if p.type == tfa.RECOVERY:
        return await factors.add_recovery(p.userid, description=told, by=by)
    raise tfa.not_built(p.type)


@put(
    "/access/tfa/{userid}/{id}",
    params=Update,
    allow=CHANGERS,
    tokens=False,
    cli="tfa set {userid} {id}",
    help="Change a second factor.",
)
async def update(call: Call, p: Update) -> None:
    await confirm(call, p.password, "password")
    await call.services.second_factors.update(
        p.userid, p.id, description=p.description, enable=p.enable, by=call.identity.name
    )


@delete(
    "/access/tfa/{userid}/{id}",
    params=Confirmed,
    allow=CHANGERS,
    tokens=False,
    cli="tfa delete {userid} {id}",
    help="Remove a second factor.",
)
async def remove(call: Call, p: Confirmed) -> None:
    await confirm(call, p.password, "password")
    await call.services.second_factors.delete(p.userid, p.id, by=call.identity.name)


@get(
    "/access/users/{userid}/tfa",
    params=Kinds,
    allow=READERS,
    returns=OBJECT,
    help="Which kinds of second factor a user has.",
)
async def kinds(call: Call, p: Kinds) -> Any:
    found = call.services.second_factors.kinds(p.userid)
    if p.multiple:
        return {"types": found}
    return {"user": "oath"} if tfa.TOTP in found else {}


@put(
    "/access/users/{userid}/unlock-tfa",
    params=OfUser,
    allow=UNLOCKERS,
    returns=ANY,
    cli="tfa unlock {userid}",
    help="Let a user try again after too many wrong codes; whether anything was locked.",
)
async def unlock(call: Call, p: OfUser) -> Any:
    return await call.services.second_factors.unlock(p.userid, by=call.identity.name)
