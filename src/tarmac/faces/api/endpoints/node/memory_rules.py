"""How carefully a node counts its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import OBJECT, Allow, Call, get, put
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.settings import setting
from tarmac.model.units import MIB


@dataclass(frozen=True, kw_only=True)
class MemoryRules(Node):
    keep_free: int | None = setting(
        None, name="keep-free", ge=0, le=16_777_216, unit="MiB", default_text="as it is",
        help="What the host keeps for itself: no start and no clone may take it.",
    )  # fmt: skip
    instant_reserve: int | None = setting(
        None, name="instant-reserve", ge=0, le=100, unit="%", default_text="as it is",
        help="How much of its memory an instant clone counts as its own from the start, unless `reserve` says another.",
    )  # fmt: skip


@get(
    "/nodes/{node}/memory-rules",
    params=Node,
    allow=Allow("/nodes/{node}", "Sys.Audit"),
    returns=OBJECT,
    cli="node memory-rules",
    help="What a node keeps free, how much an instant clone is counted for, and what is promised to clones now.",
)
async def memory_rules(call: Call, p: Node) -> dict[str, Any]:
    rules = call.services.memory_settings.rules
    return {
        "keep-free": rules.keep_free // MIB,
        "instant-reserve": rules.instant_reserve,
        "promised": call.services.clone_admission.outstanding(),
    }


@put(
    "/nodes/{node}/memory-rules",
    params=MemoryRules,
    allow=Allow("/nodes/{node}", "Sys.Modify"),
    cli="node set-memory-rules",
    help="Change what a node keeps free, and how much an instant clone is counted for.",
)
async def set_memory_rules(call: Call, p: MemoryRules) -> None:
    keep = None if p.keep_free is None else p.keep_free * MIB
    await call.services.memory_settings.change(keep_free=keep, instant_reserve=p.instant_reserve)
