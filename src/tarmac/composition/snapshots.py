"""Snapshots: `services.snapshots`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.services.clones.features import VmFeatures
from tarmac.services.registry import Services
from tarmac.services.snapshots.disks import SnapshotDisks
from tarmac.services.snapshots.lost_points import LostPoints
from tarmac.services.snapshots.machine_states import MachineStates
from tarmac.services.snapshots.plans import SnapshotPlans
from tarmac.services.snapshots.rollback import VmRollback
from tarmac.services.snapshots.schedules import SnapshotSchedules
from tarmac.services.snapshots.snapshots import VmSnapshots


async def add_snapshots(ground: Ground, s: Services) -> None:
    guests, jobs, registry = s.guests, ground.jobs, ground.registry
    plans = SnapshotPlans(s.storages)
    disks = SnapshotDisks(
        guests=guests, storages=s.storages, runtime=s.runtime, agents=s.agents, probe=s.probe, registry=registry
    )
    states = MachineStates(
        guests=guests,
        storages=s.storages,
        runtime=s.runtime,
        launcher=s.launcher,
        probe=s.probe,
        disks=disks,
        registry=registry,
    )
    s.vm_snapshots = VmSnapshots(guests=guests, jobs=jobs, plans=plans, states=states, registry=registry)
    s.vm_rollback = VmRollback(
        guests=guests, jobs=jobs, plans=plans, states=states, access=ground.access, registry=registry
    )
    s.snapshot_schedules = SnapshotSchedules(
        store=ground.store, guests=guests, snapshots=s.vm_snapshots, access=ground.access, pools=s.pools
    )
    await s.snapshot_schedules.load()
    s.lost_points = LostPoints(storages=s.storages, guests=guests, jobs=jobs, registry=registry)
    s.orphans.others.append(s.lost_points.listing)
    s.vm_features = VmFeatures(guests=guests, storages=s.storages, snapshots=s.vm_snapshots, node=ground.node)
