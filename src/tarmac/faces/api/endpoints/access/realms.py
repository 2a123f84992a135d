"""Realms: where users come from, and logging in by a provider of OpenID Connect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, TEXT, UPID, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.endpoints.common import Changing
from tarmac.faces.api.shapes import access as shapes
from tarmac.model import realms as model
from tarmac.model.job import Started
from tarmac.model.settings import setting
from tarmac.services.access.realm_jobs import check_sync

ON = "/access/realm"
CHANGE = Allow(ON, "Realm.Allocate")


@dataclass(frozen=True, kw_only=True)
class One:
    realm: str = setting(max_length=32, format="pve-realm", help="The realm.")


@dataclass(frozen=True, kw_only=True)
class Create(One):
    type: str = setting(choices=model.TYPES, help="Where its users are known; pam and pve are there once.")


@dataclass(frozen=True, kw_only=True)
class Update(One, Changing):
    pass


@dataclass(frozen=True, kw_only=True)
class Sync(One):
    dry_run: bool = setting(False, name="dry-run", help="Only tell, in the task's log, what would change.")
    enable_new: bool = setting(True, name="enable-new", help="New users may log in at once.")
    full: bool | None = setting(None, help="Older form of remove-vanished=entry;properties.")
    purge: bool | None = setting(None, help="Older form of remove-vanished=acl.")
    remove_vanished: str | None = setting(
        None,
        name="remove-vanished",
        pattern=model.REMOVE_VANISHED,
        default_text="none",
        help="What goes with those who are no longer there: `entry`, `properties`, `acl`, separated by `;`.",
    )
    scope: str | None = setting(None, choices=("users", "groups", "both"), help="What is synchronized.")


@get(
    "/access/domains",
    reply=list[shapes.RealmRow],
    allow=Allow.everybody,
    returns=LIST,
    cli="realm list",
    help="The realms users can be of.",
)
async def realms(call: Call, p: NoParams) -> Any:
    return call.services.realms.list()


@post(
    "/access/domains",
    params=Create,
    config=model.RealmOptions,
    allow=CHANGE,
    cli="realm add {realm} {type}",
    help="Make a realm.",
)
async def create(call: Call, p: Create) -> None:
    await call.services.realms.create(p.realm, p.type, call.config, by=call.identity.name)


@get(
    "/access/domains/{realm}",
    params=One,
    allow=Allow(ON, "Realm.Allocate", "Sys.Audit", any=True),
    returns=OBJECT,
    cli="realm show {realm}",
    help="One realm, without its secrets.",
)
async def realm(call: Call, p: One) -> Any:
    return call.services.realms.get(p.realm)


@put(
    "/access/domains/{realm}",
    params=Update,
    config=model.RealmChanges,
    allow=CHANGE,
    cli="realm set {realm}",
    help="Change a realm.",
)
async def update(call: Call, p: Update) -> None:
    await call.services.realms.update(p.realm, call.config, by=call.identity.name, delete=p.delete, digest=p.digest)


@delete(
    "/access/domains/{realm}",
    params=One,
    allow=CHANGE,
    cli="realm delete {realm}",
    help="Remove a realm; its users stay, and cannot log in.",
)
async def remove(call: Call, p: One) -> None:
    await call.services.realms.delete(p.realm, by=call.identity.name)


async def _may_sync(call: Call, p: Any) -> None:
    check_sync(call.services.access, call.identity, p.realm)


@post(
    "/access/domains/{realm}/sync",
    params=Sync,
    allow=Allow.by(_may_sync, "Realm.AllocateUser on the realm and User.Modify on /access/groups"),
    returns=UPID,
    cli="realm sync {realm}",
    help="Bring the users and groups of an LDAP or AD realm here.",
)
async def sync(call: Call, p: Sync) -> Started:
    given = model.SyncDefaults(
        enable_new=p.enable_new, full=p.full, purge=p.purge, remove_vanished=p.remove_vanished, scope=p.scope
    )
    return await call.services.realm_sync.sync(
        call.identity.name, p.realm, given, said=call.sent, dry=p.dry_run, dryrun=call.dryrun
    )


@dataclass(frozen=True, kw_only=True)
class Begin(One):
    redirect_url: str = setting(name="redirect-url", max_length=255, help="Where the provider sends the browser back.")


@dataclass(frozen=True, kw_only=True)
class Return:
    code: str = setting(max_length=4096, secret=True, help="The provider's code, from the address it sent back to.")
    redirect_url: str = setting(name="redirect-url", max_length=255, help="The same as at the beginning.")
    state: str = setting(max_length=1024, secret=True, help="The state, from the same address.")


@post(
    "/access/openid/auth-url",
    reply=str,
    params=Begin,
    allow=Allow.everybody,
    returns=TEXT,
    csrf=False,
    help="Begin a login by OpenID Connect: where the browser goes.",
)
async def openid_auth_url(call: Call, p: Begin) -> str:
    return await call.services.openid.auth_url(p.realm, p.redirect_url)


@post(
    "/access/openid/login",
    reply=shapes.Ticket,
    params=Return,
    allow=Allow.everybody,
    returns=OBJECT,
    csrf=False,
    help="End a login by OpenID Connect: a ticket, as for a password.",
)
async def openid_login(call: Call, p: Return) -> Any:
    return await call.services.openid.login(p.state, p.code, p.redirect_url, source=call.peer)
