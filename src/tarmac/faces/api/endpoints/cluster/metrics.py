"""Figures for those who keep them elsewhere: the page that Prometheus reads, and the servers they are sent to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tarmac.faces.api.declare import LIST, OBJECT, RAW, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.endpoints.common import Changing
from tarmac.faces.api.replies import HEADERS
from tarmac.faces.api.shapes import nodes as shapes
from tarmac.model.metric_server import MetricServer, MetricServerOptions
from tarmac.model.settings import setting
from tarmac.services.figures.prometheus import CONTENT_TYPE

SEE, CHANGE = Allow("/", "Sys.Audit"), Allow("/", "Sys.Modify")


@dataclass(frozen=True, kw_only=True)
class One:
    id: str = setting(format="pve-configid", help="The server's name here.")


@dataclass(frozen=True, kw_only=True)
class Change(One, Changing):
    pass


@get(
    "/metrics",
    allow=Allow("/", "Sys.Metrics") | Allow("/", "Sys.Audit"),
    returns=RAW,
    help="All figures as Prometheus reads them; also answered at `/metrics`. A token needs no more than `Sys.Metrics`.",
)
async def metrics(call: Call, p: NoParams) -> web.StreamResponse:
    body = b"".join(await call.services.prometheus.pieces())
    return web.Response(body=body, headers={**HEADERS, "Content-Type": CONTENT_TYPE})


@get(
    "/cluster/metrics/server",
    reply=list[shapes.MetricServerRow],
    allow=SEE,
    returns=LIST,
    cli="metric-server list",
    help="The servers that figures are sent to, with why that fails, if it does.",
)
async def servers(call: Call, p: NoParams) -> list[dict[str, Any]]:
    found = call.services.metrics.servers
    return [_row(call, name, found.shown(name)) for name in found]


def _row(call: Call, name: str, shown: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {key: shown[key] for key in ("type", "server", "port", "disable") if key in shown}
    row = {"id": name, "disable": 0, **told}
    problem = call.services.metrics.problems.get(name)
    return {**row, "problem": problem} if problem else row


@get(
    "/cluster/metrics/server/{id}",
    params=One,
    allow=SEE,
    returns=OBJECT,
    cli="metric-server show {id}",
    help="A metric server.",
)
async def server(call: Call, p: One) -> dict[str, Any]:
    found = call.services.metrics.servers
    return {**found.shown(p.id), "digest": found.digest}


@post(
    "/cluster/metrics/server/{id}",
    params=One,
    config=MetricServer,
    allow=CHANGE,
    cli="metric-server add {id}",
    help="Send figures to a server: InfluxDB or Graphite.",
)
async def create(call: Call, p: One) -> None:
    await call.services.metrics.servers.create(p.id, call.config)


@put(
    "/cluster/metrics/server/{id}",
    params=Change,
    config=MetricServerOptions,
    allow=CHANGE,
    cli="metric-server set {id}",
    help="Change a metric server.",
)
async def update(call: Call, p: Change) -> None:
    await call.services.metrics.servers.update(p.id, call.config, delete=p.delete, digest=p.digest)


@delete(
    "/cluster/metrics/server/{id}",
    params=One,
    allow=CHANGE,
    cli="metric-server remove {id}",
    help="Send nothing to a server any more.",
)
async def remove(call: Call, p: One) -> None:
    await call.services.metrics.servers.delete(p.id)
