"""Live templates: a running guest is frozen, its machine written down, and what it was becomes a template.

`qmlivetemplate`: hold the guest, write its state to a volume of its own (complete and on disk), and only then end it
and turn its disks into base images. Until its end it can go on as before, and does when anything fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Mapping
from typing import Any

from tarmac.drivers.qemu.live import freeze, memory, state_file, stream
from tarmac.drivers.qemu.live.machine import Machine
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.errors import Fix, HostFailure, TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.lifecycle import State
from tarmac.model.units import human_size
from tarmac.model.vm import VmConfig
from tarmac.services.access.access import Identity
from tarmac.services.clones.templates import Templates
from tarmac.services.configuration.steps import file_record
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.instant.capture import COPIED_PER_SECOND
from tarmac.services.instant.sources import LiveSources, source_record
from tarmac.services.instant.states import LiveStates, describe_disk
from tarmac.services.instant.twins import LiveTwins, in_shared_file
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.runtime import Runtime
from tarmac.services.storage.storages import Storages

STOP_SECONDS = 30
WRITE_SECONDS = 900.0


class LiveTemplates:
    """`make` freezes a running guest into a live template."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        runtime: Runtime,
        sources: LiveSources,
        storages: Storages,
        templates: Templates,
        states: LiveStates,
        twins: LiveTwins,
        registry: Registry,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._runtime = runtime
        self._sources = sources
        self._storages = storages
        self._templates = templates
        self._states = states
        self._twins = twins
        self._calls = HostCalls("live-template", limit=4)
        registry.step("live-freeze", self._do_freeze, self._undo_freeze)
        registry.step("live-end", self._do_end, commits=True)
        registry.step("live-fill", self._do_fill)
        registry.kind("qmlivetemplate", self._plan)

    async def make(self, identity: Identity, vmid: int, *, dryrun: bool = False) -> Started:
        """`POST template` with `live`. Returns the task, or the plan.

        Raises WrongState for a guest that does not run, InvalidInput naming what in it cannot be frozen."""
        guest = self._guests.get(vmid)
        args = {"vmid": vmid}
        if dryrun:
            return await self._jobs.plan("qmlivetemplate", args)
        if self._jobs.lock_of(f"guest/{vmid}") is None:
            self._check(guest)
        return await submit_for_guest(self._jobs, "qmlivetemplate", vmid, user=identity.name, args=args)

    # -- the plan -----------------------------------------------------------------------------------------------

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        guest = self._guests.get(args["vmid"])
        process = self._check(guest)
        await freeze.check_idle(process.monitor())
        machine = await self._sources.machine(guest, process)
        volid = self._sources.state_volume(guest, guest.vmid)
        size = state_file.capacity(machine.memory)
        in_use = min(machine.memory, int(guest.usage.get("mem", machine.memory)))  # pages of zeros are not written
        bases, texts = self._templates.base_steps(guest)
        known = {"vmid": guest.vmid}
        texts |= {
            "template": "1",
            "vmstate": volid,
            "runningmachine": machine.machine,
            "runningcpu": machine.cpu,
        }
        file = dataclasses.replace(guest.file, current=texts)
        allocate = {"volid": volid, "size": size}
        return Plan(
            steps=(
                PlannedStep(step="volume-allocate", title=f"make room for its state: {volid}", args=allocate),
                PlannedStep(
                    step="live-freeze",
                    title=f"freeze guest {guest.vmid} and write its state",
                    args={**known, "volid": volid, "ran": guest.state is State.RUNNING},
                    takes={VolumeId.parse(volid).storage: in_use},
                ),
                PlannedStep(step="live-end", title=f"end guest {guest.vmid}", args=known),
                *bases,
                PlannedStep(
                    step="config-put",
                    title=f"make guest {guest.vmid} a live template",
                    args={**known, "file": file_record(file)},
                ),
                PlannedStep(step="live-fill", title="bring its memory in place for clones", args=known),
            ),
            effects=(
                f"guest {guest.vmid} ends where it is now, and can no longer be started, only cloned",
                self._pause_words(machine, process),
                "who may clone it gets at all that is in its memory: keys, passwords, open sessions",
            ),
        )

    @staticmethod
    def _pause_words(machine: Machine, process: GuestProcess) -> str:
        if in_shared_file(process):
            return f"freezing takes less than 0.5 s; {human_size(machine.memory)} of RAM are written after that"
        seconds = machine.memory / COPIED_PER_SECOND
        return f"freezing takes about {seconds:.1f} s, because its {human_size(machine.memory)} of RAM are copied"

    def _check(self, guest: Guest) -> GuestProcess:
        """What refuses the guest at once."""
        if guest.template:
            raise WrongState("you can't convert a template to a template", code="template-already")
        if guest.file.snapshots:
            raise WrongState(
                "unable to create template, because VM contains snapshots",
                code="template-has-snapshots",
                cause="a base image must be one image that never changes",
                evidence=", ".join(guest.file.snapshots),
                fixes=[
                    Fix(text="make instant clones of the guest itself", parameters={"instant": "1"}),
                    Fix(text="remove the snapshots", action=f"DELETE .../qemu/{guest.vmid}/snapshot/NAME"),
                ],
            )
        return self._sources.check(guest)

    # -- steps --------------------------------------------------------------------------------------------------

    async def _do_freeze(self, ctx: StepContext, vmid: int, volid: str, ran: bool) -> dict[str, Any]:
        """Hold the guest and write everything; it stays held until the next step ends it, or the undo lets it go."""
        guest = self._guests.get(vmid)
        process = self._check(guest)
        machine = await self._sources.machine(guest, process)
        media = await self._sources.media(guest)
        state = bytearray()
        agent = self._sources.agent(guest)
        began = time.monotonic()
        async with freeze.held(process, agent, ctx.log) as hold, contextlib.AsyncExitStack() as stack:
            held = time.monotonic()
            source = await stack.enter_async_context(self._twins.memory_in_file(guest, process, machine))
            await stream.save(source, state.extend, without_ram=True)
            saved = time.monotonic()
            pieces = {"state": bytes(state), **{f"medium-{key}": data for key, data in media.items()}}
            record = {
                "machine": machine.as_record(),
                "quiet": hold.quiet,
                "source": source_record(guest, time.time()),
            }
            used = await self._within_limit(vmid, self._preserve(ctx, guest, volid, source, record, pieces))
            hold.ended = True
        times = {"hold": held - began, "device-state": saved - held, "write": time.monotonic() - saved}
        ctx.publish("times", {name: round(seconds, 4) for name, seconds in times.items()})
        return {"quiet": hold.quiet, "bytes": used, "state": len(state)}

    async def _preserve(
        self,
        ctx: StepContext,
        guest: Guest,
        volid: str,
        source: GuestProcess,
        record: dict[str, Any],
        pieces: dict[str, bytes],
    ) -> int:
        """The whole set on disk; returns how many bytes of the volume count."""
        record |= {"disks": await self._disks(guest)}
        names = json.dumps(record, sort_keys=True).encode()
        record["set"] = hashlib.sha256(names + pieces["state"]).hexdigest()
        return await self._write(ctx, volid, source, record, pieces, record["machine"]["memory"])

    @staticmethod
    async def _within_limit(vmid: int, writing: Awaitable[int]) -> int:
        """A storage that hangs must not keep the guest frozen: after the limit it goes on."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                return await writing
        except TimeoutError:
            raise HostFailure(
                f"the state of guest {vmid} could not be written in time",
                code="live-write-timeout",
                cause="its storage hangs, or is very slow",
                evidence=f"not done after {WRITE_SECONDS:.0f} s",
            ) from None

    async def _disks(self, guest: Guest) -> dict[str, Any]:
        """What the base disks are known again by. QEMU has let go of them by now: they are as the clones find them."""
        found = {}
        for key, volume in VmConfig.parse(guest.file.current, lenient=True).volumes.items():
            disk = guest.config.disk(key)
            if key.startswith("unused") or key == "vmstate" or (disk is not None and disk.is_cdrom):
                continue
            driver, volid = self._storages.file_of(volume)
            found[key] = await self._calls.run(describe_disk, driver.path(volid))
        return found

    async def _write(
        self,
        ctx: StepContext,
        volid: str,
        process: GuestProcess,
        record: dict[str, Any],
        pieces: dict[str, bytes],
        size: int,
    ) -> int:
        driver, parsed = self._storages.file_of(volid)
        path = driver.path(parsed)
        loop = asyncio.get_running_loop()

        def advance(done: int, total: int) -> None:
            loop.call_soon_threadsafe(ctx.progress, done, total, "bytes")

        def write() -> int:
            ram = memory.open_memory(process.pid, process.record.argv)
            if ram is None:
                raise HostFailure(f"the memory of {process.record.label} cannot be read", code="live-memory")
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    return state_file.write(fd, record, pieces, ram, size, advance)
                finally:
                    os.close(fd)
            except OSError as error:
                problem = failure_of(error, f"cannot write the saved state {path}")
                raise problem from error
            finally:
                os.close(ram)

        return await self._calls.run(write)

    async def _undo_freeze(self, ctx: StepContext, vmid: int, volid: str, ran: bool) -> None:
        """The guest goes on, whether it was held by this daemon or by one that is gone."""
        guest = self._guests.find(vmid)
        if guest is None or guest.process is None:
            return
        await self._twins.end(vmid)
        await freeze.let_go(guest.process, self._sources.agent(guest), ctx.log, ran=ran)
        await self._runtime.observe(guest)

    async def _do_end(self, ctx: StepContext, vmid: int) -> None:
        await self._runtime.stop(self._guests.get(vmid), STOP_SECONDS)

    async def _do_fill(self, ctx: StepContext, vmid: int) -> None:
        """So that the first clone need not wait for it; without room now it is filled when it is needed."""
        try:
            await self._states.get(self._guests.get(vmid), ctx.log)
        except TarmacError as problem:
            ctx.warn(f"{problem.message} ({problem.evidence})")
