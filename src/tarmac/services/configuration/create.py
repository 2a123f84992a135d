"""Making a guest: reserve its number, allocate its disks, write its configuration, start it if asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.model.job import JobRecord, Plan, PlannedStep, Started
from tarmac.model.vm import VmConfig
from tarmac.model.vm_privileges import is_drive
from tarmac.model.vm_rules import check_change
from tarmac.services.access.access import Identity
from tarmac.services.access.pools import Pools, pool_step
from tarmac.services.configuration.configs import VmConfigs
from tarmac.services.configuration.disk_plans import DiskPlans
from tarmac.services.configuration.values import refuse_internal, without_secrets
from tarmac.services.guests.birth_marks import birth_marks, completed
from tarmac.services.guests.guests import Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.guests.work import submit_for_guest
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext


def default_boot_order(config: VmConfig) -> list[str]:
    """The first disk, the first CD-ROM drive, the first network card: what a new guest boots from unless told
    otherwise. Source: get_default_bootdevices of PVE::QemuServer."""
    disks = [key for key, disk in config.disks.items() if not disk.is_cdrom]
    drives = [key for key, disk in config.disks.items() if disk.is_cdrom and not disk.is_cloudinit]
    cards = [f"net{index}" for index in config.net]
    return [*disks[:1], *drives[:1], *cards[:1]]


class VmCreate:
    """`qmcreate`. The number is taken in memory when the call is answered, on disk by the first step; a failure or a
    crash frees both and removes the volumes that were made."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        configs: VmConfigs,
        disks: DiskPlans,
        pools: Pools,
        uids: Uids,
        registry: Registry,
        qemu_version: str,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._configs = configs
        self._disks = disks
        self._pools = pools
        self._uids = uids
        self._qemu_version = qemu_version
        registry.step("guest-reserve", self._do_reserve, self._undo_reserve)
        registry.step("guest-pool", self._do_pool, self._undo_pool)
        registry.step("guest-write", self._do_write, commits=True)
        registry.step("guest-start-after", self._do_start)
        registry.kind("qmcreate", self._plan)
        jobs.on_end.append(self._ended)

    async def create(
        self,
        identity: Identity,
        texts: Mapping[str, str],
        *,
        vmid: int | None = None,
        storage: str | None = None,
        pool: str | None = None,
        start: bool = False,
        dryrun: bool = False,
    ) -> Started:
        """A new guest; without `vmid` the lowest free number. Returns the UPID (its `id` is the number), or the plan.

        Raises InvalidInput (a wrong key, a taken number), Denied, NotFound (the pool)."""
        if pool is not None:
            self._pools.check(pool)
        number = self._guests.numbers.lend() if vmid is None else vmid
        self._guests.numbers.check_free(number)
        keys = [key for key in texts if not is_drive(key)]
        self._configs.check_keys(identity, number, keys, pool=pool, texts=[texts])
        self._configs.check_values(identity, number, texts, default_storage=storage)
        self._configs.check_tags(identity, texts.get("tags", ""))
        refuse_internal(texts)
        args = {
            "vmid": number,
            "texts": await without_secrets(texts),
            "storage": storage,
            "start": start,
            "pool": pool,
        }
        plan = await self._plan(args)
        if dryrun:
            if vmid is None:
                self._guests.numbers.take_back(number)
            return plan
        self._guests.numbers.claim(number)
        try:
            return await submit_for_guest(self._jobs, "qmcreate", number, user=identity.name, args=args)
        except BaseException:
            self._guests.numbers.unclaim(number)
            raise

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        vmid = args["vmid"]
        asked = completed(args["texts"], self._guests.mac_prefix())
        steps, texts = await self._disks.prepare(vmid, asked, (), default_storage=args["storage"])
        texts |= birth_marks(texts, self._qemu_version)
        if "boot" not in texts and (order := default_boot_order(VmConfig.parse(texts))):
            texts["boot"] = f"order={';'.join(order)}"
        config = VmConfig.parse(texts)
        check_change(config, texts)
        self._guests.check_beside(vmid, GuestFile(current=texts))
        reserve = PlannedStep(step="guest-reserve", title=f"take the number {vmid}", args={"vmid": vmid})
        pool = args.get("pool")
        member = [pool_step(pool, vmid)] if pool else []
        write = PlannedStep(step="guest-write", title="write the configuration", args={"vmid": vmid, "texts": texts})
        tail = [PlannedStep(step="guest-start-after", title="start it", args={"vmid": vmid})] if args["start"] else []
        return Plan(steps=(reserve, *member, *steps, write, *tail), result={"vmid": vmid})

    async def _do_reserve(self, ctx: StepContext, vmid: int) -> None:
        """The number is taken on disk: a guest that has nothing but `lock: create`."""
        uid = await self._uids.allocate(vmid)
        await self._guests.create(vmid, print_conf(GuestFile(current={"lock": "create"})), uid=uid, user=ctx.user)

    async def _undo_reserve(self, ctx: StepContext, vmid: int) -> None:
        guest = self._guests.find(vmid)
        if guest is not None and guest.file.current == {"lock": "create"}:
            await self._guests.remove(vmid)
        await self._uids.release(vmid)

    async def _do_pool(self, ctx: StepContext, vmid: int, pool: str) -> None:
        await self._pools.add_guest(pool, vmid, by=ctx.user)

    async def _undo_pool(self, ctx: StepContext, vmid: int, pool: str) -> None:
        guest = self._guests.find(vmid)
        if guest is None or "lock" in guest.file.current:  # of several clones a complete one stays
            await self._pools.forget_guest(vmid, by=ctx.user)

    async def _do_write(self, ctx: StepContext, vmid: int, texts: Mapping[str, str]) -> None:
        guest = self._guests.get(vmid)
        if guest.file.current.get("lock") in ("create", "clone"):
            await self._guests.write(guest, GuestFile(current=dict(texts)), user=ctx.user, keep_history=False)

    async def _do_start(self, ctx: StepContext, vmid: int) -> None:
        """The start is a task of its own, as in Proxmox: the guest exists whether or not it starts."""
        upid = await submit_for_guest(self._jobs, "qmstart", vmid, user=ctx.user, args={"vmid": vmid})
        ctx.log(f"started as {upid}")

    def _ended(self, record: JobRecord) -> None:
        if record.kind == "qmcreate":
            self._guests.numbers.unclaim(int(record.id))
