"""Certificates from an authority: accounts, orders, renewal, revocation. Names are proved by HTTP (standalone)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, TEXT, UPID, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.errors import NotFound
from tarmac.model.job import Started
from tarmac.model.settings import setting
from tarmac.services.acme.accounts import DIRECTORIES
from tarmac.services.acme.orders import STANDALONE

MODIFY, AUDIT = Allow("/", "Sys.Modify"), Allow("/", "Sys.Audit")
ON_NODE = Allow("/nodes/{node}", "Sys.Modify")
URL = r"https?://.*"
CERTIFICATE = "/nodes/{node}/certificates/acme/certificate"


@dataclass(frozen=True, kw_only=True)
class Authority:
    directory: str = setting(DIRECTORIES[0]["url"], pattern=URL, help="The authority's directory.")


@dataclass(frozen=True, kw_only=True)
class Register(Authority):
    contact: str = setting(format="email-list", help="Addresses that the authority may write to.")
    name: str = setting("default", format="pve-configid", help="The account's name here.")
    tos_url: str | None = setting(None, help="The terms of service that you agree to.")
    eab_kid: str | None = setting(None, name="eab-kid", built=False, help="Key of an external account.")
    eab_hmac_key: str | None = setting(
        None, name="eab-hmac-key", built=False, secret=True, help="Secret of an external account."
    )


@dataclass(frozen=True, kw_only=True)
class One:
    name: str = setting("default", format="pve-configid", help="The account's name here.")


@dataclass(frozen=True, kw_only=True)
class Update(One):
    contact: str | None = setting(None, format="email-list", help="Addresses; without it the account is read anew.")


@dataclass(frozen=True, kw_only=True)
class Order(Node):
    force: bool = setting(False, help="In spite of a certificate that is there and good.")


@dataclass(frozen=True, kw_only=True)
class Plugins:
    type: str | None = setting(None, choices=("dns", "standalone"), help="Only plugins of this type.")


@dataclass(frozen=True, kw_only=True)
class Plugin:
    id: str = setting(format="pve-configid", help="The plugin.")


def _addresses(text: str | None) -> list[str]:
    return [part for part in (text or "").replace(";", ",").replace(" ", ",").split(",") if part]


@get("/cluster/acme/account", allow=Allow.login, returns=LIST, cli="acme accounts", help="The accounts.")
async def accounts(call: Call, p: NoParams) -> Any:
    return [{"name": name} for name in call.services.acme_accounts.names()]


@post(
    "/cluster/acme/account",
    params=Register,
    allow=MODIFY,
    returns=UPID,
    cli="acme register",
    help="Register an account with an authority, and agree to its terms of service.",
)
async def register(call: Call, p: Register) -> Started:
    return await call.services.acme_accounts.register(
        call.identity, p.name, _addresses(p.contact), directory=p.directory, tos=p.tos_url, dryrun=call.dryrun
    )


@get(
    "/cluster/acme/account/{name}",
    params=One,
    allow=MODIFY,
    returns=OBJECT,
    cli="acme account {name}",
    help="An account, as its authority last told it.",
)
async def account(call: Call, p: One) -> Any:
    return call.services.acme_accounts.show(p.name)


@put(
    "/cluster/acme/account/{name}",
    params=Update,
    allow=MODIFY,
    returns=UPID,
    cli="acme update {name}",
    help="Change an account's contact, or read it anew.",
)
async def update(call: Call, p: Update) -> Started:
    return await call.services.acme_accounts.update(call.identity, p.name, _addresses(p.contact), dryrun=call.dryrun)


@delete(
    "/cluster/acme/account/{name}",
    params=One,
    allow=MODIFY,
    returns=UPID,
    cli="acme deactivate {name}",
    help="Deactivate an account for ever, and forget it.",
)
async def deactivate(call: Call, p: One) -> Started:
    return await call.services.acme_accounts.deactivate(call.identity, p.name, dryrun=call.dryrun)


@get("/cluster/acme/directories", allow=Allow.login, returns=LIST, cli="acme directories", help="Known authorities.")
async def directories(call: Call, p: NoParams) -> Any:
    return [dict(row) for row in DIRECTORIES]


@get("/cluster/acme/tos", params=Authority, allow=AUDIT, returns=TEXT, cli="acme tos", help="An authority's terms.")
async def terms(call: Call, p: Authority) -> Any:
    return (await call.services.acme_accounts.meta(p.directory)).get("termsOfService", "")


@get("/cluster/acme/meta", params=Authority, allow=AUDIT, returns=OBJECT, help="What an authority says of itself.")
async def meta(call: Call, p: Authority) -> Any:
    found = await call.services.acme_accounts.meta(p.directory)
    return {key: int(value) if isinstance(value, bool) else value for key, value in found.items()}


@get("/cluster/acme/challenge-schema", allow=Allow.login, returns=LIST, help="How names can be proved: by HTTP.")
async def challenge_schema(call: Call, p: NoParams) -> Any:
    return [{"id": STANDALONE, "name": STANDALONE, "type": STANDALONE, "schema": {}}]


@get("/cluster/acme/plugins", params=Plugins, allow=MODIFY, returns=LIST, help="How names can be proved: by HTTP.")
async def plugins(call: Call, p: Plugins) -> Any:
    return [] if p.type == "dns" else [{"plugin": STANDALONE, "type": STANDALONE}]


@get("/cluster/acme/plugins/{id}", params=Plugin, allow=MODIFY, returns=OBJECT, help="A plugin.")
async def plugin(call: Call, p: Plugin) -> Any:
    if p.id != STANDALONE:
        raise NotFound(f"ACME plugin '{p.id}' does not exist", code="no-such-plugin", evidence=STANDALONE)
    return {"plugin": STANDALONE, "type": STANDALONE}


@post(
    CERTIFICATE,
    params=Order,
    allow=ON_NODE,
    returns=UPID,
    cli="acme order",
    help="Order a certificate for the names in the node's configuration, and show it.",
)
async def order(call: Call, p: Order) -> Started:
    return await call.services.acme_orders.order(call.identity, force=p.force, dryrun=call.dryrun)


@put(
    CERTIFICATE,
    params=Order,
    allow=ON_NODE,
    returns=UPID,
    cli="acme renew",
    help="Renew the certificate; the daemon does it by itself 30 days before its end.",
)
async def renew(call: Call, p: Order) -> Started:
    return await call.services.acme_orders.renew(call.identity, force=p.force, dryrun=call.dryrun)


@delete(
    CERTIFICATE,
    params=Node,
    allow=ON_NODE,
    returns=UPID,
    cli="acme revoke",
    help="Revoke the certificate that was ordered, and show the node's own again.",
)
async def revoke(call: Call, p: Node) -> Started:
    return await call.services.acme_orders.revoke(call.identity, dryrun=call.dryrun)
