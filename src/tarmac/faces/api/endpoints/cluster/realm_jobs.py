"""Realms synchronized by the clock (`services.access.realm_jobs`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, Allow, Call, NoParams, delete, get, post, put
from tarmac.model.realm_jobs import JobChanges, JobDefinition
from tarmac.model.settings import setting

PATH = "/cluster/jobs/realm-sync"
AUDIT = Allow("/", "Sys.Audit")


@dataclass(frozen=True, kw_only=True)
class One:
    id: str = setting(format="pve-configid", help="The job.")


@dataclass(frozen=True, kw_only=True)
class Named:
    id: str = setting(max_length=64, format="pve-configid", help="The job's name.")


@dataclass(frozen=True, kw_only=True)
class Change(Named):
    delete: tuple[str, ...] = setting((), format="pve-configid", help="Options to remove.")


async def _later(call: Call, p: Any) -> None:
    """The service decides: the realm of a job that is there stands in the job."""


MAKE = Allow.by(_later, "Realm.AllocateUser on /access/realm/{realm} and User.Modify on /access/groups")


@get(PATH, allow=AUDIT, returns=LIST, cli="realm-job list", help="The jobs that synchronize realms by the clock.")
async def jobs(call: Call, p: NoParams) -> Any:
    return call.services.realm_jobs.listing()


@get(f"{PATH}/{{id}}", params=One, allow=AUDIT, returns=OBJECT, cli="realm-job show {id}", help="One job.")
async def job(call: Call, p: One) -> Any:
    return call.services.realm_jobs.show(p.id)


@post(
    f"{PATH}/{{id}}",
    params=Named,
    config=JobDefinition,
    allow=MAKE,
    returns=NULL,
    cli="realm-job add {id}",
    help="Have a realm synchronized by the clock, with the rights of who asks for it.",
)
async def create(call: Call, p: Named) -> None:
    await call.services.realm_jobs.create(call.identity, p.id, call.config)


@put(
    f"{PATH}/{{id}}",
    params=Change,
    config=JobChanges,
    allow=MAKE,
    returns=NULL,
    cli="realm-job set {id}",
    help="Change a job; from then on it runs with the rights of who changed it.",
)
async def update(call: Call, p: Change) -> None:
    await call.services.realm_jobs.update(call.identity, p.id, call.config, p.delete)


@delete(
    f"{PATH}/{{id}}",
    params=One,
    allow=Allow("/", "Sys.Modify"),
    returns=NULL,
    cli="realm-job remove {id}",
    help="Forget a job.",
)
async def remove(call: Call, p: One) -> None:
    await call.services.realm_jobs.delete(p.id)
