"""Earlier configurations of a guest, and going back to one. Ours: Proxmox keeps none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, UPID, Call, get, post
from tarmac.faces.api.endpoints.common import Guest, digest_setting
from tarmac.faces.api.endpoints.guests.qemu import AUDIT, CONFIG
from tarmac.model.job import Started
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class Version(Guest):
    revision: int = setting(ge=1, help="The version's number, from the history.")


@dataclass(frozen=True, kw_only=True)
class Diff(Version):
    to: int | None = setting(None, ge=1, default_text="the present one", help="The version to compare with.")


@dataclass(frozen=True, kw_only=True)
class Restore(Version):
    keys: tuple[str, ...] = setting((), format="pve-configid", default_text="all", help="Only these keys.")
    digest: str | None = digest_setting()


@get(
    "/nodes/{node}/qemu/{vmid}/history",
    params=Guest,
    allow=AUDIT,
    returns=LIST,
    cli="vm history {vmid}",
    help="The versions of a guest's configuration, the present one first: who made each, when, and what it changed.",
)
async def history(call: Call, p: Guest) -> Any:
    return await call.services.guest_history.versions(p.vmid)


@get(
    "/nodes/{node}/qemu/{vmid}/history/{revision}",
    params=Version,
    allow=AUDIT,
    returns=OBJECT,
    help="One version of a guest's configuration.",
)
async def version(call: Call, p: Version) -> Any:
    return await call.services.guest_history.show(p.vmid, p.revision)


@get(
    "/nodes/{node}/qemu/{vmid}/history/{revision}/diff",
    params=Diff,
    allow=AUDIT,
    returns=LIST,
    cli="vm diff {vmid} {revision}",
    help="What differs now, or in another version, from this one.",
)
async def diff(call: Call, p: Diff) -> Any:
    return await call.services.guest_history.diff(p.vmid, p.revision, p.to)


@post(
    "/nodes/{node}/qemu/{vmid}/history/{revision}/restore",
    params=Restore,
    allow=CONFIG,
    returns=UPID,
    cli="vm restore {vmid} {revision}",
    help="Make the configuration what it was in a version; what cannot change in a running guest waits for its next"
    " start.",
)
async def restore(call: Call, p: Restore) -> Started:
    return await call.services.guest_history.restore(
        call.identity, p.vmid, p.revision, keys=p.keys, digest=p.digest, dryrun=call.dryrun
    )
