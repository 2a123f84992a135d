"""What QEMU on a node can give a guest: processor models, flags, machine types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, get
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.cpu import FLAGS, VENDORS
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class ForArch(Node):
    arch: str | None = setting(
        None, choices=("x86_64", "aarch64"), default_text="the node's", help="For guests of this architecture."
    )


@get(
    "/nodes/{node}/capabilities/qemu/cpu",
    params=ForArch,
    allow=Allow.login,
    returns=LIST,
    cli="node cpus",
    help="The processor models a guest can have.",
)
async def cpu(call: Call, p: ForArch) -> Any:
    if p.arch == "aarch64":
        return []
    return [{"name": name, "vendor": vendor, "custom": 0} for name, vendor in sorted(VENDORS.items())]


@get(
    "/nodes/{node}/capabilities/qemu/cpu-flags",
    params=ForArch,
    allow=Allow.login,
    returns=LIST,
    help="The processor flags that a guest's configuration may switch.",
)
async def cpu_flags(call: Call, p: ForArch) -> Any:
    if p.arch == "aarch64":
        return []
    return [{"name": name, "description": f"the processor's flag {name}"} for name in FLAGS]


@get(
    "/nodes/{node}/capabilities/qemu/machines",
    params=ForArch,
    allow=Allow.login,
    returns=LIST,
    cli="node machines",
    help="The machine types that this node's QEMU has.",
)
async def machines(call: Call, p: ForArch) -> Any:
    found = call.services.nodes.facts.machines if p.arch != "aarch64" else ()
    rows = [
        {"id": id, "type": "q35" if "q35" in id else "i440fx", "version": id.rpartition("-")[2]}
        for id in found
        if id.rpartition("-")[2][:1].isdigit()
    ]
    return sorted(rows, key=lambda row: (row["type"], [int(n) for n in row["version"].split(".") if n.isdigit()]))


@get(
    "/nodes/{node}/capabilities/qemu/migration",
    params=Node,
    allow=Allow("/nodes/{node}", "Sys.Audit"),
    returns=OBJECT,
    help="What a migration from this node can carry.",
)
async def migration(call: Call, p: Node) -> Any:
    return {"has-dbus-vmstate": 0}
