"""Which version of the API this is."""

from __future__ import annotations

from typing import Any

from tarmac.faces.api.declare import OBJECT, Allow, Call, NoParams, get
from tarmac.faces.api.endpoints.common import Node


@get("/version", allow=Allow.login, returns=OBJECT, cli="node version", help="The API's version, and this program's.")
async def version(call: Call, p: NoParams) -> dict[str, Any]:
    return {**call.services.nodes.version(), "tarmac": call.services.version}


@get(
    "/nodes/{node}/version",
    params=Node,
    allow=Allow.login,
    returns=OBJECT,
    help="The API's version on a node.",
)
async def node_version(call: Call, p: Node) -> dict[str, Any]:
    return {**call.services.nodes.version(), "tarmac": call.services.version}
