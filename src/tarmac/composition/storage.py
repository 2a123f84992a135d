"""This node, its storages, and what comes into them: `services.node`, `services.storage`, `services.transfers`."""

from __future__ import annotations

import functools
import os

from tarmac.composition.ground import Ground
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.model.datacenter import MAC_PREFIX, id_range
from tarmac.services.cloudinit.cloudinit import CloudInit
from tarmac.services.cloudinit.schema import Schemas
from tarmac.services.disks.orphans import Orphans
from tarmac.services.guests.guests import Guests
from tarmac.services.guests.uids import Uids
from tarmac.services.node.facts import NodeProbe
from tarmac.services.node.host_changes import HostChanges
from tarmac.services.node.nodes import Nodes
from tarmac.services.registry import Services
from tarmac.services.storage.space import SpaceAdmission
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.views import StorageViews
from tarmac.services.storage.volumes import Volumes
from tarmac.services.transfers.downloads import Downloads
from tarmac.services.transfers.exports import Exports
from tarmac.services.transfers.images import Images
from tarmac.services.transfers.resumable import ResumableUploads
from tarmac.services.transfers.upload_records import UploadRecords
from tarmac.services.transfers.uploads import Uploads


async def add_node(ground: Ground, s: Services) -> None:
    s.probe = NodeProbe(node=ground.node, instance=ground.mark, cache=ground.data / "cache" / "kvm.json")
    s.nodes = Nodes(node=ground.node, facts=await s.probe.start(), data_dir=ground.data)
    await s.nodes.refresh()
    s.host_changes = HostChanges(own=ground.instance.default, jobs=ground.jobs, registry=ground.registry)
    s.guests = Guests(store=ground.store, node=ground.node, mirror=ground.data / "guests")
    s.guests.numbers.id_range = lambda: id_range(s.datacenter.value)
    s.guests.mac_prefix = lambda: s.datacenter.value.mac_prefix or MAC_PREFIX
    await s.guests.load()


async def add_storage(ground: Ground, s: Services) -> None:
    jobs, registry, store = ground.jobs, ground.registry, ground.store
    instance = ground.instance
    s.uids = Uids(store=store, instance=instance.id, default_instance=instance.default)
    jail = Jail(uid=s.uids.jail, gid=s.uids.jail)
    means = Means(
        jail=jail,
        private=ground.data / "storage-access",
        scratch=ground.data / "cache" / "storage",
        group=s.uids.shares if os.geteuid() == 0 else None,
    )
    build = functools.partial(build_storage, means=means)
    s.storages = Storages(node=ground.node, store=store, build=build, data=ground.data / "storage")
    await s.storages.start()
    jobs.admissions.append(SpaceAdmission(s.storages.space, s.storages.get))
    s.storage_views = StorageViews(s.storages)
    s.orphans = Orphans(storages=s.storages, guests=s.guests, jobs=jobs)
    s.volumes = Volumes(storages=s.storages, jail=jail, jobs=jobs, registry=registry, references=s.guests.references)
    s.uploads = Uploads(storages=s.storages, jail=jail, jobs=jobs, registry=registry)
    s.resumable = ResumableUploads(storages=s.storages, uploads=s.uploads, records=UploadRecords(store))
    await s.resumable.load()
    s.downloads = Downloads(storages=s.storages, jail=jail, jobs=jobs, registry=registry)
    cache = ground.data / "cache" / "images"
    s.images = Images(storages=s.storages, jail=jail, jobs=jobs, registry=registry, cache=cache)
    s.exports = Exports(guests=s.guests, storages=s.storages, jobs=jobs, folder=ground.data / "cache" / "exports")
    await s.exports.start()
    s.schemas = Schemas(ground.data / "cache" / "cloudinit-schemas")
    s.cloudinit = CloudInit(store=store, storages=s.storages, schemas=s.schemas, registry=registry, guest=s.guests.get)
