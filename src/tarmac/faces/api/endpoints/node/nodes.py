"""The node: its figures, its network, and all its guests at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, UPID, Allow, Call, NoParams, get, post
from tarmac.faces.api.endpoints.common import Node, on_each
from tarmac.faces.api.shapes import nodes as shapes
from tarmac.model.errors import InvalidInput, NotFound
from tarmac.model.job import Started
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class AllGuests(Node):
    vms: tuple[str, ...] = setting((), format="pve-vmid", help="Only these guests.")
    max_workers: int | None = setting(
        None,
        name="max-workers",
        ge=1,
        le=64,
        default_text="the datacenter's max_workers, else all of one order",
        help="How many guests at a time.",
    )

    @property
    def vmids(self) -> list[int]:
        return [int(vmid) for vmid in self.vms]


@dataclass(frozen=True, kw_only=True)
class StartAll(AllGuests):
    force: bool = setting(False, help="Also guests that are not set to start with the host.")


@dataclass(frozen=True, kw_only=True)
class StopAll(AllGuests):
    force_stop: bool = setting(True, name="force-stop", help="Cut the power of guests that do not end in time.")
    timeout: int = setting(180, ge=0, le=7200, unit="s", help="How long each guest may take.")


@dataclass(frozen=True, kw_only=True)
class MigrateAll(AllGuests):
    target: str = setting(format="pve-node", help="The node to go to.")
    maxworkers: int | None = setting(None, ge=1, le=64, help="The same as max-workers.")
    with_local_disks: bool = setting(False, name="with-local-disks", help="Take local disks along.")


POWER = on_each("VM.PowerMgmt")


@dataclass(frozen=True, kw_only=True)
class Power(Node):
    command: str = setting(choices=("reboot", "shutdown"), help="What to do.")


@get("/nodes", allow=Allow.login, returns=LIST, cli="node list", help="The nodes and their load.")
async def nodes(call: Call, p: NoParams) -> Any:
    row = call.services.nodes.summary()
    if call.services.access.allowed(call.identity, f"/nodes/{row['node']}", ["Sys.Audit"]):
        return [row]
    return [{key: row[key] for key in ("node", "id", "type", "status", "level") if key in row}]


@get(
    "/nodes/{node}/status",
    reply=shapes.NodeStatus,
    params=Node,
    allow=Allow("/nodes/{node}", "Sys.Audit"),
    returns=OBJECT,
    cli="node status",
    help="A node's processor, memory, disks, load, and whether hardware acceleration works.",
)
async def status(call: Call, p: Node) -> Any:
    return call.services.nodes.status()


@post(
    "/nodes/{node}/status",
    params=Power,
    allow=Allow("/nodes/{node}", "Sys.PowerMgmt"),
    returns=NULL,
    cli="node power {command}",
    help="Restart the host or switch it off; its guests are shut down first.",
)
async def power(call: Call, p: Power) -> None:
    await call.services.host_changes.power(p.command)


@post(
    "/nodes/{node}/startall",
    params=StartAll,
    allow=POWER,
    returns=UPID,
    cli="node startall",
    help="Start the guests that start with the host, in their order.",
)
async def start_all(call: Call, p: StartAll) -> Started:
    return await call.services.autostart.start_all(
        call.identity, force=p.force, vms=p.vmids, workers=p.max_workers, dryrun=call.dryrun
    )


@post(
    "/nodes/{node}/stopall",
    params=StopAll,
    allow=POWER,
    returns=UPID,
    cli="node stopall",
    help="Shut down all running guests, in their order.",
)
async def stop_all(call: Call, p: StopAll) -> Started:
    return await call.services.autostart.stop_all(
        call.identity,
        force=p.force_stop,
        timeout=p.timeout,
        vms=p.vmids,
        workers=p.max_workers,
        dryrun=call.dryrun,
    )


@post(
    "/nodes/{node}/suspendall",
    params=AllGuests,
    allow=POWER,
    returns=UPID,
    cli="node suspendall",
    help="Suspend all running guests, in their order. Their memory stays where it is, and the task warns of it:"
    " suspending to disk, as Proxmox does here, is not built yet.",
)
async def suspend_all(call: Call, p: AllGuests) -> Started:
    return await call.services.autostart.suspend_all(
        call.identity, vms=p.vmids, workers=p.max_workers, dryrun=call.dryrun
    )


@post(
    "/nodes/{node}/migrateall",
    params=MigrateAll,
    allow=on_each("VM.Migrate"),
    returns=UPID,
    help="Answers as a Proxmox of one node: there is no other to go to.",
)
async def migrate_all(call: Call, p: MigrateAll) -> Started:
    node = call.services.node
    if p.target in (node, "localhost"):
        raise InvalidInput.of("target", "target is local node.", code="target-is-local")
    raise NotFound(
        f"no such cluster node '{p.target}'",
        code="no-such-node",
        cause=f"the only node here is '{node}'",
        evidence=f"asked for '{p.target}'",
    )
