"""Power: start, stop, shutdown, reboot, reset, suspend, resume, and what a guest is doing now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import OBJECT, UPID, Allow, Call, get, post
from tarmac.faces.api.endpoints.common import Guest, Locked
from tarmac.faces.api.shapes import guests as shapes
from tarmac.model.job import Started
from tarmac.model.settings import setting

POWER = Allow("/vms/{vmid}", "VM.PowerMgmt")


@dataclass(frozen=True, kw_only=True)
class Start(Locked):
    timeout: int | None = setting(
        None, ge=0, unit="s", default_text="30, or the memory in GiB if more", help="How long QEMU may take to start."
    )
    machine: str | None = setting(None, max_length=40, built=False, help="Another machine type for this start.")
    force_cpu: str | None = setting(None, name="force-cpu", built=False, help="Another CPU for this start.")
    stateuri: str | None = setting(None, max_length=128, built=False, help="Take the state from there.")
    targetstorage: tuple[str, ...] = setting((), built=False, help="Where disks go in a migration.")
    migratedfrom: str | None = setting(None, format="pve-node", built=False, help="The node it comes from.")
    migration_type: str | None = setting(
        None, choices=("secure", "insecure"), built=False, help="How a migration is protected."
    )
    migration_network: str | None = setting(None, built=False, help="The network of a migration.")
    nets_host_mtu: str | None = setting(
        None, name="nets-host-mtu", pattern=r"net\d+=\d+(,net\d+=\d+)*", built=False, help="MTUs of the origin's cards."
    )
    with_conntrack_state: bool = setting(
        False, name="with-conntrack-state", built=False, help="Take connections' firewall state along."
    )


@dataclass(frozen=True, kw_only=True)
class Stop(Locked):
    timeout: int | None = setting(None, ge=0, unit="s", help="How long it may take before QEMU is killed.")
    overrule_shutdown: bool = setting(
        False, name="overrule-shutdown", help="Cancel a shutdown of the guest that is under way."
    )
    keep_active: bool = setting(False, name="keepActive", help="Taken, without effect: volumes are not deactivated.")
    migratedfrom: str | None = setting(None, format="pve-node", built=False, help="The node it comes from.")


@dataclass(frozen=True, kw_only=True)
class Shutdown(Locked):
    timeout: int | None = setting(None, ge=0, unit="s", help="How long the guest may take.")
    force_stop: bool = setting(False, name="forceStop", help="Cut the power if it does not end in time.")
    keep_active: bool = setting(False, name="keepActive", help="Taken, without effect: volumes are not deactivated.")


@dataclass(frozen=True, kw_only=True)
class Reboot(Guest):
    timeout: int | None = setting(None, ge=0, unit="s", help="How long the guest may take to shut down.")


@dataclass(frozen=True, kw_only=True)
class Suspend(Locked):
    todisk: bool = setting(False, built=False, help="Write the guest's state to disk and end it.")
    statestorage: str | None = setting(None, format="pve-storage-id", built=False, help="Where the state goes.")


@dataclass(frozen=True, kw_only=True)
class Resume(Locked):
    nocheck: bool = setting(False, built=False, help="For migrations.")


@get(
    "/nodes/{node}/qemu/{vmid}/status/current",
    reply=shapes.GuestStatus,
    params=Guest,
    allow=Allow("/vms/{vmid}", "VM.Audit"),
    returns=OBJECT,
    cli="vm status {vmid}",
    help="What a guest is doing now, and what it uses.",
)
async def current(call: Call, p: Guest) -> Any:
    return call.services.vm_status.current(p.vmid)


@post(
    "/nodes/{node}/qemu/{vmid}/status/start",
    params=Start,
    allow=POWER,
    returns=UPID,
    cli="vm start {vmid}",
    help="Start a guest.",
)
async def start(call: Call, p: Start) -> Started:
    return await call.services.vms.start(call.identity, p.vmid, dryrun=call.dryrun)


@post(
    "/nodes/{node}/qemu/{vmid}/status/stop",
    params=Stop,
    allow=POWER,
    returns=UPID,
    cli="vm stop {vmid}",
    help="Stop a guest at once, as if its power were cut.",
)
async def stop(call: Call, p: Stop) -> Started:
    return await call.services.vms.stop(
        call.identity, p.vmid, timeout=p.timeout, overrule=p.overrule_shutdown, dryrun=call.dryrun
    )


@post(
    "/nodes/{node}/qemu/{vmid}/status/shutdown",
    params=Shutdown,
    allow=POWER,
    returns=UPID,
    cli="vm shutdown {vmid}",
    help="Ask a guest to shut down.",
)
async def shutdown(call: Call, p: Shutdown) -> Started:
    return await call.services.vms.shutdown(
        call.identity, p.vmid, timeout=p.timeout, force=p.force_stop, dryrun=call.dryrun
    )


@post(
    "/nodes/{node}/qemu/{vmid}/status/reboot",
    params=Reboot,
    allow=POWER,
    returns=UPID,
    cli="vm reboot {vmid}",
    help="Shut a guest down and start it again; pending changes come into force.",
)
async def reboot(call: Call, p: Reboot) -> Started:
    return await call.services.vms.reboot(call.identity, p.vmid, timeout=p.timeout, dryrun=call.dryrun)


@post(
    "/nodes/{node}/qemu/{vmid}/status/reset",
    params=Locked,
    allow=POWER,
    returns=UPID,
    cli="vm reset {vmid}",
    help="Reset a guest, as with its button.",
)
async def reset(call: Call, p: Locked) -> Started:
    return await call.services.vms.reset(call.identity, p.vmid, dryrun=call.dryrun)


@post(
    "/nodes/{node}/qemu/{vmid}/status/suspend",
    params=Suspend,
    allow=POWER,
    returns=UPID,
    cli="vm suspend {vmid}",
    help="Stop a guest's processors; its memory stays.",
)
async def suspend(call: Call, p: Suspend) -> Started:
    return await call.services.vms.suspend(call.identity, p.vmid, dryrun=call.dryrun)


@post(
    "/nodes/{node}/qemu/{vmid}/status/resume",
    params=Resume,
    allow=POWER,
    returns=UPID,
    cli="vm resume {vmid}",
    help="Let a suspended guest go on.",
)
async def resume(call: Call, p: Resume) -> Started:
    return await call.services.vms.resume(call.identity, p.vmid, dryrun=call.dryrun)
