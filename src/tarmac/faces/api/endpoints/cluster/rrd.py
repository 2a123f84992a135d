"""Figures over time: `rrddata` of nodes, guests and storages. Pictures (`rrd`) are not made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, Allow, Call, get
from tarmac.faces.api.endpoints.common import Guest, Node
from tarmac.faces.api.endpoints.storage.storage import SEE, OnNode
from tarmac.faces.api.shapes import nodes as shapes
from tarmac.model.settings import setting

FRAMES = ("hour", "day", "week", "month", "year")
HELP = "How far back."


def _cf() -> Any:
    return setting("AVERAGE", choices=("AVERAGE", "MAX"), help="Averages, or the highest values.")


@dataclass(frozen=True, kw_only=True)
class OfNode(Node):
    timeframe: str = setting(choices=(*FRAMES, "decade"), help=HELP)
    cf: str = _cf()


@dataclass(frozen=True, kw_only=True)
class OfGuest(Guest):
    timeframe: str = setting(choices=FRAMES, help=HELP)
    cf: str = _cf()


@dataclass(frozen=True, kw_only=True)
class OfStorage(OnNode):
    timeframe: str = setting(choices=FRAMES, help=HELP)
    cf: str = _cf()


@get(
    "/nodes/{node}/rrddata",
    reply=list[shapes.Figures],
    params=OfNode,
    allow=Allow("/nodes/{node}", "Sys.Audit"),
    returns=LIST,
    cli="node figures {timeframe}",
    help="A node's figures over time.",
)
async def of_node(call: Call, p: OfNode) -> Any:
    id = f"node/{call.services.node}"
    return await call.services.history.rows(id, p.timeframe, maximum=p.cf == "MAX")


@get(
    "/nodes/{node}/qemu/{vmid}/rrddata",
    reply=list[shapes.Figures],
    params=OfGuest,
    allow=Allow("/vms/{vmid}", "VM.Audit"),
    returns=LIST,
    cli="vm figures {vmid} {timeframe}",
    help="A guest's figures over time; nothing of the time when it did not run.",
)
async def of_guest(call: Call, p: OfGuest) -> Any:
    call.services.guests.get(p.vmid)
    return await call.services.history.rows(f"qemu/{p.vmid}", p.timeframe, maximum=p.cf == "MAX")


@get(
    "/nodes/{node}/storage/{storage}/rrddata",
    reply=list[shapes.Figures],
    params=OfStorage,
    allow=Allow("/storage/{storage}", *SEE, any=True),
    returns=LIST,
    cli="storage figures {storage} {timeframe}",
    help="A storage's space over time.",
)
async def of_storage(call: Call, p: OfStorage) -> Any:
    call.services.storages.definition(p.storage)
    return await call.services.history.rows(f"storage/{p.storage}", p.timeframe, maximum=p.cf == "MAX")
