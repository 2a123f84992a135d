"""Guests that come from others, and disks that grow or go elsewhere: `services.clones`, `services.disks`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.services.clones.clones import Clones
from tarmac.services.clones.disks import CloneDisks
from tarmac.services.clones.flatten import Flatten
from tarmac.services.clones.live import CloneLive
from tarmac.services.clones.numbers import CloneNumbers
from tarmac.services.clones.templates import Templates
from tarmac.services.disks.gifts import DiskGifts
from tarmac.services.disks.medium_moves import MediumMoves
from tarmac.services.disks.mirrors import DiskMirrors
from tarmac.services.disks.moves import DiskMoves
from tarmac.services.disks.resize import DiskResize
from tarmac.services.registry import Services


def add_copies(ground: Ground, s: Services) -> None:
    """Templates, clones, and what is done with disks."""
    guests, jobs, registry, access = s.guests, ground.jobs, ground.registry, ground.access
    mirrors = DiskMirrors(runtime=s.runtime, storages=s.storages, probe=s.probe, agents=s.agents)
    s.templates = Templates(
        guests=guests, jobs=jobs, access=access, storages=s.storages, volumes=s.volumes, registry=registry
    )
    s.clone_numbers = CloneNumbers(guests=guests, uids=s.uids, registry=registry)
    s.clones = Clones(
        guests=guests,
        numbers=s.clone_numbers,
        jobs=jobs,
        configs=s.vm_configs,
        access=access,
        pools=s.pools,
        disks=CloneDisks(storages=s.storages, plans=s.volumes.plans, cloudinit=s.cloudinit),
        live=CloneLive(guests=guests, mirrors=mirrors, storages=s.storages, registry=registry),
        cloudinit=s.cloudinit,
        registry=registry,
        qemu_version=s.nodes.facts.qemu_version,
    )
    s.flatten = Flatten(guests=guests, jobs=jobs, storages=s.storages, runtime=s.runtime, registry=registry)
    s.disk_resize = DiskResize(guests=guests, jobs=jobs, runtime=s.runtime, storages=s.storages, registry=registry)
    s.disk_gifts = DiskGifts(guests=guests, jobs=jobs, access=access, storages=s.storages, registry=registry)
    s.disk_moves = DiskMoves(
        guests=guests,
        jobs=jobs,
        access=access,
        storages=s.storages,
        volumes=s.volumes,
        mirrors=mirrors,
        media=MediumMoves(storages=s.storages, cloudinit=s.cloudinit, live=s.vm_live),
        gifts=s.disk_gifts,
        registry=registry,
    )
