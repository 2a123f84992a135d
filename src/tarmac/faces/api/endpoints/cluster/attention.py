"""What somebody should look at. (Not of Proxmox.)"""

from __future__ import annotations

from tarmac.faces.api.declare import LIST, Allow, Call, NoParams, Paged, get
from tarmac.faces.api.shapes.attention import Finding


@get(
    "/cluster/attention",
    allow=Allow.login,
    returns=LIST,
    reply=list[Finding],
    cli="node attention",
    help="What somebody should look at, the most severe first, each with its cause and what helps.",
)
async def attention(call: Call, p: NoParams) -> Paged:
    total, rows = await call.services.attention.listing(call.identity)
    return Paged(rows, total)
