"""Guests and their running side: `services.guests`, `services.running`, `services.clones`."""

from __future__ import annotations

import contextlib

import psutil

from tarmac.composition.ground import Ground
from tarmac.composition.instant import add_instant
from tarmac.drivers.network.tap import Taps
from tarmac.drivers.qemu import cgroups
from tarmac.services.clones.clones import Clones
from tarmac.services.clones.disks import CloneDisks
from tarmac.services.clones.flatten import Flatten
from tarmac.services.clones.live import CloneLive
from tarmac.services.clones.templates import Templates
from tarmac.services.guests.autostart import Autostart
from tarmac.services.guests.bulk import BulkActions
from tarmac.services.guests.config import VmConfigs
from tarmac.services.guests.create import VmCreate
from tarmac.services.guests.disk_plans import DiskPlans
from tarmac.services.guests.lifecycle import Vms
from tarmac.services.guests.live_changes import VmLive
from tarmac.services.guests.resize import VmDisks
from tarmac.services.guests.status import VmStatus
from tarmac.services.guests.storage_rights import StorageRights
from tarmac.services.guests.tags import TagRules
from tarmac.services.instant.admission import CloneAdmission
from tarmac.services.instant.frozen_records import FrozenRecords
from tarmac.services.instant.records import InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.node.cluster import Cluster
from tarmac.services.node.memory_settings import MemorySettings
from tarmac.services.registry import Services
from tarmac.services.running.agents import Agents
from tarmac.services.running.console_sessions import ConsoleSessions
from tarmac.services.running.consoles import Consoles
from tarmac.services.running.human_monitor import HumanMonitor
from tarmac.services.running.io_errors import IoErrors
from tarmac.services.running.launcher import Launcher
from tarmac.services.running.runtime import Runtime
from tarmac.services.running.usage import UsageSampler
from tarmac.services.storage.disk_gifts import DiskGifts
from tarmac.services.storage.disk_mirrors import DiskMirrors
from tarmac.services.storage.disk_moves import DiskMoves
from tarmac.services.storage.medium_moves import MediumMoves


def add_running(ground: Ground, s: Services, stack: contextlib.AsyncExitStack) -> None:
    """The running side."""
    s.agents = Agents(s.guests)
    s.instant_records = InstantRecords(ground.store)
    s.frozen_records = FrozenRecords(ground.store)
    s.consoles = Consoles(guests=s.guests)
    s.launcher = Launcher(
        runtime_root=ground.instance.runtime,
        instance=ground.instance.id,
        cgroups=cgroups.detect(),
        taps=Taps(ground.mark),
        volumes=s.volumes,
        probe=s.probe,
        keyboard=lambda: s.datacenter.value.keyboard,
    )
    s.runtime = Runtime(
        guests=s.guests,
        launcher=s.launcher,
        consoles=s.consoles,
        agents=s.agents,
        supervisor=ground.supervisor,
    )
    stack.push_async_callback(s.runtime.let_go)
    s.human_monitor = HumanMonitor(guests=s.guests, runtime=s.runtime, access=ground.access)
    s.live_states = LiveStates(
        guests=s.guests, storages=s.storages, launcher=s.launcher, probe=s.probe, records=s.instant_records
    )
    stack.push_async_callback(s.live_states.close)
    s.memory_settings = MemorySettings(ground.store, total=psutil.virtual_memory().total)
    s.clone_admission = CloneAdmission(
        guests=s.guests, records=s.instant_records, states=s.live_states, settings=s.memory_settings
    )
    s.console_sessions = ConsoleSessions(
        consoles=s.consoles,
        tickets=s.tickets,
        access=ground.access,
        directory=ground.users,
        jobs=ground.jobs,
        registry=ground.registry,
    )
    s.usage = UsageSampler(s.guests, ground.mark)


def add_guests(ground: Ground, s: Services) -> None:
    """The verbs."""
    guests, jobs, registry, access = s.guests, ground.jobs, ground.registry, ground.access
    disks = DiskPlans(storages=s.storages, plans=s.volumes.plans, cloudinit=s.cloudinit)
    live = VmLive(runtime=s.runtime, launcher=s.launcher)
    s.vms = Vms(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        volumes=s.volumes,
        cloudinit=s.cloudinit,
        uids=s.uids,
        acls=s.acls,
        records=s.instant_records,
        states=s.live_states,
        admission=s.clone_admission,
        pools=s.pools,
        registry=registry,
    )
    s.io_errors = IoErrors(guests=guests, runtime=s.runtime, storages=s.storages, vms=s.vms, jobs=jobs)
    s.tags = TagRules(guests=guests, access=access, options=lambda: s.datacenter.value)
    s.vm_configs = VmConfigs(
        guests=guests,
        jobs=jobs,
        access=access,
        disks=disks,
        live=live,
        volumes=s.volumes,
        storage_rights=StorageRights(access=access, storages=s.storages),
        tags=s.tags,
        registry=registry,
    )
    s.vm_create = VmCreate(
        guests=guests,
        jobs=jobs,
        configs=s.vm_configs,
        disks=disks,
        pools=s.pools,
        uids=s.uids,
        registry=registry,
        qemu_version=s.nodes.facts.qemu_version,
    )
    s.templates = Templates(
        guests=guests, jobs=jobs, access=access, storages=s.storages, volumes=s.volumes, registry=registry
    )
    mirrors = DiskMirrors(runtime=s.runtime, storages=s.storages, probe=s.probe, agents=s.agents)
    s.clones = Clones(
        guests=guests,
        jobs=jobs,
        configs=s.vm_configs,
        access=access,
        pools=s.pools,
        disks=CloneDisks(storages=s.storages, plans=s.volumes.plans, cloudinit=s.cloudinit),
        live=CloneLive(guests=guests, mirrors=mirrors, storages=s.storages, registry=registry),
        cloudinit=s.cloudinit,
        uids=s.uids,
        registry=registry,
        qemu_version=s.nodes.facts.qemu_version,
    )
    s.flatten = Flatten(guests=guests, jobs=jobs, storages=s.storages, runtime=s.runtime, registry=registry)
    s.disk_gifts = DiskGifts(guests=guests, jobs=jobs, access=access, storages=s.storages, registry=registry)
    s.disk_moves = DiskMoves(
        guests=guests,
        jobs=jobs,
        access=access,
        storages=s.storages,
        volumes=s.volumes,
        mirrors=mirrors,
        media=MediumMoves(storages=s.storages, cloudinit=s.cloudinit, live=live),
        gifts=s.disk_gifts,
        registry=registry,
    )
    s.vm_disks = VmDisks(guests=guests, jobs=jobs, runtime=s.runtime, storages=s.storages, registry=registry)
    s.vm_status = VmStatus(
        guests=guests, jobs=jobs, nodes=s.nodes, access=access, records=s.instant_records, states=s.live_states
    )
    add_instant(ground, s, live)
    s.autostart = Autostart(
        node=ground.node,
        guests=guests,
        jobs=jobs,
        registry=registry,
        onboot_delay=lambda: s.node_config.value.startall_onboot_delay or 0,
        default_workers=lambda: s.datacenter.value.max_workers,
    )
    s.bulk = BulkActions(
        guests=guests,
        jobs=jobs,
        access=access,
        registry=registry,
        default_workers=lambda: s.datacenter.value.max_workers,
    )
    s.cluster = Cluster(guests=guests, nodes=s.nodes, access=access, storages=s.storage_views.resources, pools=s.pools)
