"""The host as a system: its services, logs, packages; a report of all that matters for help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, TEXT, UPID, Allow, Call, Paged, get, post
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.job import Started
from tarmac.model.settings import setting
from tarmac.services.node import host_logs, packages, units
from tarmac.services.resources import report

AUDIT = Allow("/nodes/{node}", "Sys.Audit")
MODIFY = Allow("/nodes/{node}", "Sys.Modify")
LOGS = Allow("/nodes/{node}", "Sys.Syslog")
SERVICES = (
    "chrony", "corosync", "cron", "ksmtuned", "lxcfs", "postfix", "proxmox-firewall", "pve-cluster", "pve-firewall",
    "pve-ha-crm", "pve-ha-lrm", "pve-lxc-syscalld", "pvedaemon", "pvefw-logger", "pveproxy", "pvescheduler", "pvestatd",
    "qmeventd", "spiceproxy", "sshd", "syslog", "systemd-journald", "systemd-timesyncd",
)  # fmt: skip
DATE = r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?$"


@dataclass(frozen=True, kw_only=True)
class Service(Node):
    service: str = setting(choices=SERVICES, help="The service, by Proxmox's name.")


@dataclass(frozen=True, kw_only=True)
class Journal(Node):
    since: int | None = setting(None, ge=0, unit="s", help="From this time on (seconds since 1970).")
    until: int | None = setting(None, ge=0, unit="s", help="Until this time.")
    lastentries: int | None = setting(None, ge=0, help="So many lines at the most, the last ones.")
    startcursor: str | None = setting(None, help="What came after this cursor of an earlier answer.")
    endcursor: str | None = setting(None, help="What came before this cursor.")


@dataclass(frozen=True, kw_only=True)
class Syslog(Node):
    start: int = setting(0, ge=0, help="The first line.")
    limit: int = setting(50, ge=0, help="How many lines.")
    since: str | None = setting(None, pattern=DATE, help="From this date on.")
    until: str | None = setting(None, pattern=DATE, help="Until this date.")
    service: str | None = setting(None, max_length=128, help="Only of this service.")


@dataclass(frozen=True, kw_only=True)
class Refresh(Node):
    notify: bool = setting(False, built=False, help="Tell people what could be updated.")
    quiet: bool = setting(False, help="Taken and without effect: the task's log is short.")


@get(
    "/nodes/{node}/services",
    params=Node,
    allow=AUDIT,
    returns=LIST,
    cli="node services",
    help="The host's services that guests depend on; Proxmox's own daemons are Tarmac's one.",
)
async def services(call: Call, p: Node) -> Any:
    return await units.rows()


@get("/nodes/{node}/services/{service}/state", params=Service, allow=AUDIT, returns=OBJECT, help="A service's state.")
async def service_state(call: Call, p: Service) -> Any:
    return await units.row(p.service)


async def _change(call: Call, p: Service, verb: str) -> Started:
    units.unit_of(p.service)
    return await call.services.host_changes.change_unit(call.identity, p.service, verb, dryrun=call.dryrun)


@post("/nodes/{node}/services/{service}/start", params=Service, allow=MODIFY, returns=UPID, help="Start a service.")
async def service_start(call: Call, p: Service) -> Any:
    return await _change(call, p, "start")


@post("/nodes/{node}/services/{service}/stop", params=Service, allow=MODIFY, returns=UPID, help="Stop a service.")
async def service_stop(call: Call, p: Service) -> Any:
    return await _change(call, p, "stop")


@post(
    "/nodes/{node}/services/{service}/restart",
    params=Service,
    allow=MODIFY,
    returns=UPID,
    cli="node service-restart {service}",
    help="Restart a service. Guests go on when it is Tarmac's own.",
)
async def service_restart(call: Call, p: Service) -> Any:
    return await _change(call, p, "restart")


@post("/nodes/{node}/services/{service}/reload", params=Service, allow=MODIFY, returns=UPID, help="Reload a service.")
async def service_reload(call: Call, p: Service) -> Any:
    return await _change(call, p, "reload")


@get("/nodes/{node}/journal", params=Journal, allow=LOGS, returns=LIST, help="The host's log, with cursors.")
async def journal(call: Call, p: Journal) -> Any:
    return await host_logs.journal(
        since=p.since, until=p.until, last=p.lastentries, after=p.startcursor, before=p.endcursor
    )


@get(
    "/nodes/{node}/syslog", params=Syslog, allow=LOGS, returns=LIST, cli="node syslog", help="The host's log, in pages."
)
async def syslog(call: Call, p: Syslog) -> Any:
    rows, total = await host_logs.syslog(start=p.start, limit=p.limit, since=p.since, until=p.until, service=p.service)
    return Paged(rows, total)


@get(
    "/nodes/{node}/apt/versions",
    params=Node,
    allow=AUDIT,
    returns=LIST,
    cli="node versions",
    help="The versions of Tarmac and of what it runs guests with.",
)
async def versions(call: Call, p: Node) -> Any:
    return await packages.versions()


@get(
    "/nodes/{node}/apt/update",
    params=Node,
    allow=MODIFY,
    returns=LIST,
    cli="node updates",
    help="Packages of the host that could be updated.",
)
async def updates(call: Call, p: Node) -> Any:
    return await packages.updates()


@post("/nodes/{node}/apt/update", params=Refresh, allow=MODIFY, returns=UPID, help="Fetch the package lists anew.")
async def refresh(call: Call, p: Refresh) -> Any:
    return await call.services.host_changes.refresh_packages(call.identity, dryrun=call.dryrun)


@get(
    "/nodes/{node}/report",
    params=Node,
    allow=AUDIT,
    returns=TEXT,
    cli="node report",
    help="What somebody who helps wants to know of this node: versions, load, storages, guests. No secrets.",
)
async def node_report(call: Call, p: Node) -> Any:
    s = call.services
    return await report.text(nodes=s.nodes, storages=s.storages, guests=s.guests)
