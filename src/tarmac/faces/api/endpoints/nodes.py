"""The node: its figures, its network, and all its guests at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, NULL, OBJECT, UPID, Allow, Call, NoParams, Started, get, post
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class StartAll(Node):
    force: bool = setting(False, help="Also guests that are not set to start with the host.")
    vms: tuple[str, ...] = setting((), format="pve-vmid", help="Only these guests.")
    max_workers: int | None = setting(
        None, name="max-workers", ge=1, le=64, built=False, help="How many at once; here a group starts together."
    )


@dataclass(frozen=True, kw_only=True)
class StopAll(Node):
    force_stop: bool = setting(True, name="force-stop", help="Cut the power of guests that do not end in time.")
    timeout: int = setting(180, ge=0, le=7200, unit="s", help="How long each guest may take.")
    vms: tuple[str, ...] = setting((), format="pve-vmid", help="Only these guests.")
    max_workers: int | None = setting(
        None, name="max-workers", ge=1, le=64, built=False, help="How many at once; here a group ends together."
    )


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
    allow=Allow("/nodes/{node}", "VM.PowerMgmt") | Allow("/", "VM.PowerMgmt") | Allow("/vms", "VM.PowerMgmt"),
    returns=UPID,
    cli="node startall",
    help="Start the guests that start with the host, in their order.",
)
async def start_all(call: Call, p: StartAll) -> Started:
    result: Started = await call.services.autostart.start_all(
        call.identity, force=p.force, vms=[int(v) for v in p.vms], dryrun=call.dryrun
    )
    return result


@post(
    "/nodes/{node}/stopall",
    params=StopAll,
    allow=Allow("/nodes/{node}", "VM.PowerMgmt") | Allow("/", "VM.PowerMgmt") | Allow("/vms", "VM.PowerMgmt"),
    returns=UPID,
    cli="node stopall",
    help="Shut down all running guests, in their order.",
)
async def stop_all(call: Call, p: StopAll) -> Started:
    result: Started = await call.services.autostart.stop_all(
        call.identity, force=p.force_stop, timeout=p.timeout, vms=[int(v) for v in p.vms], dryrun=call.dryrun
    )
    return result
