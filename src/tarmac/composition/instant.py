"""Instant clones: `services.instant`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.services.clones.disks import CloneDisks
from tarmac.services.instant.capture import LiveCaptures
from tarmac.services.instant.clones import InstantClones
from tarmac.services.instant.freezing import LiveFreezing
from tarmac.services.instant.frozen_disks import FrozenDisks
from tarmac.services.instant.frozen_ends import FrozenEnds
from tarmac.services.instant.identity_giving import InstantIdentity
from tarmac.services.instant.identity_later import Identities
from tarmac.services.instant.launch import CloneLauncher
from tarmac.services.instant.members import CloneMembers
from tarmac.services.instant.sources import LiveSources
from tarmac.services.instant.templates import LiveTemplates
from tarmac.services.instant.twins import LiveTwins
from tarmac.services.registry import Services


def add_instant(ground: Ground, s: Services) -> None:
    """Live templates, and what goes on from them."""
    guests, jobs, registry = s.guests, ground.jobs, ground.registry
    sources = LiveSources(launcher=s.launcher, agents=s.agents, storages=s.storages)
    twins = LiveTwins(launcher=s.launcher, probe=s.probe, storages=s.storages)
    s.live_templates = LiveTemplates(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        sources=sources,
        storages=s.storages,
        templates=s.templates,
        states=s.live_states,
        twins=twins,
        registry=registry,
    )
    identity = InstantIdentity(
        runtime=s.runtime, agents=s.agents, live=s.vm_live, cloudinit=s.cloudinit, records=s.instant_records
    )
    s.identities = Identities(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        states=s.live_states,
        identity=identity,
        records=s.instant_records,
        registry=registry,
    )
    freezing = _freezing(ground, s, sources, twins)
    s.frozen_ends = FrozenEnds(
        guests=guests,
        jobs=jobs,
        volumes=s.volumes,
        states=s.live_states,
        records=s.frozen_records,
        freezing=freezing,
        registry=registry,
    )
    s.instant_clones = InstantClones(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        uids=s.uids,
        clones=s.clones,
        numbers=s.clone_numbers,
        pools=s.pools,
        disks=CloneDisks(storages=s.storages, plans=s.volumes.plans, cloudinit=s.cloudinit),
        cloudinit=s.cloudinit,
        states=s.live_states,
        records=s.instant_records,
        members=_members(ground, s, identity),
        admission=s.clone_admission,
        freezing=freezing,
        registry=registry,
        qemu_version=s.nodes.facts.qemu_version,
    )


def _freezing(ground: Ground, s: Services, sources: LiveSources, twins: LiveTwins) -> LiveFreezing:
    """What freezes a running guest that goes on."""
    return LiveFreezing(
        guests=s.guests,
        runtime=s.runtime,
        uids=s.uids,
        storages=s.storages,
        sources=sources,
        captures=LiveCaptures(launcher=s.launcher, twins=twins),
        twins=twins,
        disks=FrozenDisks(
            guests=s.guests, storages=s.storages, runtime=s.runtime, probe=s.probe, registry=ground.registry
        ),
        states=s.live_states,
        records=s.frozen_records,
        registry=ground.registry,
    )


def _members(ground: Ground, s: Services, identity: InstantIdentity) -> CloneMembers:
    """What brings the clones of one call about, one by one."""
    return CloneMembers(
        guests=s.guests,
        runtime=s.runtime,
        uids=s.uids,
        storages=s.storages,
        volumes=s.volumes,
        cloudinit=s.cloudinit,
        pools=s.pools,
        states=s.live_states,
        launcher=CloneLauncher(launcher=s.launcher, probe=s.probe),
        identity=identity,
        records=s.instant_records,
        registry=ground.registry,
    )
