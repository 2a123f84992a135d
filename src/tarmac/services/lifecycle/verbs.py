"""The verbs of a guest's life: start, stop, shutdown, reboot, reset, suspend, resume.

Each is a job: planned by `model.lifecycle`'s table and the guest's state at its turn, executed by
`services.running.runtime`. How guests are made and changed is in `services.configuration`, and
removed in `services.lifecycle.removal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model import lifecycle
from tarmac.model.errors import Fix, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import Verb
from tarmac.model.snapshots import kept_by
from tarmac.model.vm import VmConfig
from tarmac.model.vm_change import apply_pending
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.instant.admission import CloneAdmission
from tarmac.services.instant.records import InstantRecords
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.lifecycle.admission import check_memory
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.volume_steps import free_step

STOP_SECONDS = 30
SHUTDOWN_SECONDS = 60


class Vms:
    """Starts jobs on guests; what they do to the host is `runtime`'s."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        runtime: Runtime,
        records: InstantRecords,
        admission: CloneAdmission,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._records = records
        self._admission = admission
        registry.step("config-apply", self._do_apply)
        registry.step("guest-launch", self._do_launch, self._undo_launch)
        registry.step("guest-stop", self._do_stop)
        registry.step("guest-shutdown", self._do_shutdown)
        registry.step("guest-reset", self._do_reset)
        registry.step("guest-suspend", self._do_suspend)
        registry.step("guest-resume", self._do_resume)
        registry.kind("qmstart", self._plan_start)
        registry.kind("qmstop", self._plan_stop, recover="resume")
        registry.kind("qmshutdown", self._plan_shutdown, recover="resume")
        registry.kind("qmreboot", self._plan_reboot, recover="resume")
        registry.kind("qmreset", self._plan_simple(Verb.RESET))
        registry.kind("qmpause", self._plan_simple(Verb.SUSPEND))
        registry.kind("qmresume", self._plan_simple(Verb.RESUME))

    # -- verbs --------------------------------------------------------------------------------------------------

    async def start(self, identity: Identity, vmid: int, *, dryrun: bool = False) -> Started:
        """`qmstart`. That the guest runs already fails the task, not the call, as in Proxmox."""
        return await self._begin(identity, "qmstart", vmid, {}, dryrun)

    async def stop(
        self, identity: Identity, vmid: int, *, timeout: int | None = None, overrule: bool = False, dryrun: bool = False
    ) -> Started:
        """`qmstop`: QEMU ends at once, as if the power went. `overrule` cancels shutdowns of the guest under way."""
        if overrule and not dryrun:
            await self._cancel(vmid, "qmshutdown")
        return await self._begin(identity, "qmstop", vmid, {"timeout": timeout or STOP_SECONDS}, dryrun)

    async def shutdown(
        self,
        identity: Identity,
        vmid: int,
        *,
        timeout: int | None = None,
        force: bool = False,
        dryrun: bool = False,
    ) -> Started:
        """`qmshutdown`: agent or ACPI; after `timeout` seconds a failure, or with `force` the power is cut."""
        args = {"timeout": SHUTDOWN_SECONDS if timeout is None else timeout, "force": force}
        return await self._begin(identity, "qmshutdown", vmid, args, dryrun)

    async def reboot(
        self, identity: Identity, vmid: int, *, timeout: int | None = None, dryrun: bool = False
    ) -> Started:
        """`qmreboot`: shut down and start again, so that pending changes come into force."""
        args = {"timeout": SHUTDOWN_SECONDS if timeout is None else timeout}
        return await self._begin(identity, "qmreboot", vmid, args, dryrun, Verb.REBOOT)

    async def reset(self, identity: Identity, vmid: int, *, dryrun: bool = False) -> Started:
        return await self._begin(identity, "qmreset", vmid, {}, dryrun, Verb.RESET)

    async def suspend(self, identity: Identity, vmid: int, *, dryrun: bool = False) -> Started:
        """`qmpause`: the CPUs stop, memory stays. (Suspending to disk is refused by the face until it is built.)"""
        return await self._begin(identity, "qmpause", vmid, {}, dryrun, Verb.SUSPEND)

    async def resume(self, identity: Identity, vmid: int, *, dryrun: bool = False) -> Started:
        return await self._begin(identity, "qmresume", vmid, {}, dryrun, Verb.RESUME)

    async def _begin(
        self,
        identity: Identity,
        kind: str,
        vmid: int,
        args: Mapping[str, Any],
        dryrun: bool,
        verb: Verb | None = None,
    ) -> Started:
        """Submit; a `verb` that the present state forbids is refused now, unless work that may change it is queued.
        (A dry run plans, which asks the same.)"""
        guest = self._guests.get(vmid)
        if verb is not None and not dryrun and self._jobs.lock_of(f"guest/{vmid}") is None:
            lifecycle.after(guest.state, verb, vmid)
        full = {"vmid": vmid, **args}
        if dryrun:
            return await self._jobs.plan(kind, full)
        return await submit_for_guest(self._jobs, kind, vmid, user=identity.name, args=full)

    async def _cancel(self, vmid: int, kind: str) -> None:
        for record in self._jobs.running():
            if record.kind == kind and record.id == str(vmid):
                await self._jobs.cancel(record.upid)

    # -- plans --------------------------------------------------------------------------------------------------

    async def _plan_start(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        lifecycle.after(guest.state, Verb.START, guest.vmid)
        if guest.template:
            raise WrongState(
                "you can't start a vm if it's a template",
                code="is-template",
                cause="clones stand on its disks, so they must not change",
                evidence="template: 1",
                fixes=[Fix(text="clone it and start the clone", action=f"POST .../qemu/{guest.vmid}/clone")],
            )
        texts = guest.file.merged()
        config = VmConfig.parse(texts)
        await self._runtime.check(guest, texts)
        check_memory(guest.vmid, config, keep_free=self._admission.keep_free, promised=self._admission.outstanding())
        return Plan(steps=(*self._launch_steps(guest, config), *self._identity_step(guest)))

    def _identity_step(self, guest: Guest) -> tuple[PlannedStep, ...]:
        """An instant clone that was stopped before it had its own identity would boot as its template."""
        record = self._records.find(guest.vmid)
        if record is None or not record.pending:
            return ()
        title = "finish its identity, which is its template's still"
        return (PlannedStep(step="identity-boot", title=title, args={"vmid": guest.vmid}),)

    @staticmethod
    def _launch_steps(guest: Guest, config: VmConfig) -> tuple[PlannedStep, ...]:
        """What a cold boot takes: what was pending comes into force, the cloud-init medium is brought up to date."""
        args = {"vmid": guest.vmid}
        steps = [PlannedStep(step="guest-launch", title=f"start QEMU for guest {guest.vmid}", args=args)]
        if any(disk.is_cloudinit for disk in config.disks.values()):
            steps.insert(0, PlannedStep(step="cloudinit-write", title="bring cloud-init up to date", args=args))
        file = guest.file
        if file.pending or file.pending_delete:
            steps.insert(0, PlannedStep(step="config-apply", title="apply what was pending", args=args))
            freed = [
                volid
                for volid in apply_pending(file.current, file.pending, file.pending_delete).freed
                if not kept_by(file, volid)  # a snapshot that was taken since: it must not keep the guest from starting
            ]
            steps += map(free_step, freed)
        return tuple(steps)

    async def _plan_stop(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        lifecycle.after(guest.state, Verb.STOP, guest.vmid)
        return Plan(
            steps=(PlannedStep(step="guest-stop", title=f"stop guest {guest.vmid}", args=dict(args)),),
            effects=("the guest loses its power; what it had not written to disk is lost",),
        )

    async def _plan_shutdown(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        lifecycle.after(guest.state, Verb.SHUTDOWN, guest.vmid)
        title = f"ask guest {guest.vmid} to shut down (up to {args['timeout']} s)"
        return Plan(steps=(PlannedStep(step="guest-shutdown", title=title, args=dict(args)),))

    async def _plan_reboot(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        lifecycle.after(guest.state, Verb.REBOOT, guest.vmid)
        title = f"ask guest {guest.vmid} to shut down (up to {args['timeout']} s)"
        down = PlannedStep(step="guest-shutdown", title=title, args={**args, "force": False})
        up = self._launch_steps(guest, VmConfig.parse(guest.file.merged()))
        return Plan(steps=(down, *up, *self._identity_step(guest)))

    def _plan_simple(self, verb: Verb) -> Any:
        async def plan(args: Mapping[str, Any]) -> Plan:
            guest = self._guests.get(args["vmid"])
            lifecycle.after(guest.state, verb, guest.vmid)
            step = PlannedStep(step=f"guest-{verb}", title=f"{verb} guest {guest.vmid}", args={"vmid": guest.vmid})
            return Plan(steps=(step,))

        return plan

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_apply(self, ctx: StepContext, vmid: int) -> None:
        await self._guests.apply_pending(self._guests.get(vmid), user=ctx.user, task=ctx.upid)

    async def _do_launch(self, ctx: StepContext, vmid: int) -> dict[str, Any]:
        guest = self._guests.get(vmid)
        if ctx.resumed and guest.process is not None:
            return {"pid": guest.process.record.pid}
        return await self._runtime.launch(guest, ctx.log)

    async def _undo_launch(self, ctx: StepContext, vmid: int) -> None:
        guest = self._guests.find(vmid)
        if guest is not None:
            await self._runtime.stop(guest, 10)

    async def _do_stop(self, ctx: StepContext, vmid: int, timeout: int) -> None:
        await self._runtime.stop(self._guests.get(vmid), timeout)

    async def _do_shutdown(self, ctx: StepContext, vmid: int, timeout: int, force: bool) -> None:
        await self._runtime.shutdown(self._guests.get(vmid), timeout, force=force, say=ctx.log)

    async def _do_reset(self, ctx: StepContext, vmid: int) -> None:
        await self._runtime.monitor(self._guests.get(vmid)).system_reset()

    async def _do_suspend(self, ctx: StepContext, vmid: int) -> None:
        guest = self._guests.get(vmid)
        await self._runtime.monitor(guest).stop()
        await self._runtime.observe(guest)

    async def _do_resume(self, ctx: StepContext, vmid: int) -> None:
        guest = self._guests.get(vmid)
        await self._runtime.monitor(guest).cont()
        await self._runtime.observe(guest)
