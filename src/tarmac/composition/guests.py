"""What is done with guests, one by one and many at once: `services.configuration`, `services.lifecycle`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.services.configuration.configs import VmConfigs
from tarmac.services.configuration.create import VmCreate
from tarmac.services.configuration.disk_plans import DiskPlans
from tarmac.services.configuration.storage_rights import StorageRights
from tarmac.services.configuration.tags import TagRules
from tarmac.services.lifecycle.autostart import Autostart
from tarmac.services.lifecycle.bulk import BulkActions
from tarmac.services.lifecycle.io_errors import IoErrors
from tarmac.services.lifecycle.removal import VmRemoval
from tarmac.services.lifecycle.verbs import Vms
from tarmac.services.registry import Services
from tarmac.services.resources.cluster import Cluster
from tarmac.services.resources.status import VmStatus
from tarmac.services.running.live_changes import VmLive


def add_guests(ground: Ground, s: Services) -> None:
    """The life of one guest: started and ended, made, configured, shown."""
    guests, jobs, registry, access = s.guests, ground.jobs, ground.registry, ground.access
    s.vms = Vms(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        records=s.instant_records,
        admission=s.clone_admission,
        registry=registry,
    )
    s.vm_removal = VmRemoval(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        volumes=s.volumes,
        cloudinit=s.cloudinit,
        uids=s.uids,
        acls=s.acls,
        records=s.instant_records,
        states=s.live_states,
        pools=s.pools,
        registry=registry,
    )
    s.io_errors = IoErrors(guests=guests, runtime=s.runtime, storages=s.storages, vms=s.vms, jobs=jobs)
    s.tags = TagRules(guests=guests, access=access, options=lambda: s.datacenter.value)
    s.vm_live = VmLive(runtime=s.runtime, launcher=s.launcher)
    disks = DiskPlans(storages=s.storages, plans=s.volumes.plans, cloudinit=s.cloudinit)
    s.vm_configs = VmConfigs(
        guests=guests,
        jobs=jobs,
        access=access,
        disks=disks,
        live=s.vm_live,
        volumes=s.volumes,
        storage_rights=StorageRights(access=access, storages=s.storages),
        tags=s.tags,
        zone_of=s.networks.applied_zone_of,
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
    s.vm_status = VmStatus(
        guests=guests, jobs=jobs, nodes=s.nodes, access=access, records=s.instant_records, states=s.live_states
    )


def add_many_guests(ground: Ground, s: Services) -> None:
    """Many guests at once: with their host, in one call, in one list."""
    guests, jobs, registry, access = s.guests, ground.jobs, ground.registry, ground.access
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
    s.cluster = Cluster(
        guests=guests,
        nodes=s.nodes,
        access=access,
        storages=s.storage_views.resources,
        zones=s.network_views.resources,
        pools=s.pools,
    )
