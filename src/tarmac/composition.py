"""Every service, built and handed what it needs, from the ground up. `daemon.py` starts and stops what this makes.

Nothing that runs is touched here; files are opened and the host is probed. What must be closed again is on `stack`,
in the order of building, so that it is closed in the reverse order.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.auth.pam import Pam
from tarmac.drivers.network.tap import Taps
from tarmac.drivers.qemu import cgroups
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.sqlite import SqliteStore
from tarmac.faces.api import tls
from tarmac.lib.passwords import Hasher
from tarmac.lib.signing import Signer
from tarmac.lib.tasks import Supervisor
from tarmac.model.metric_server import MetricServer
from tarmac.services.access import Access
from tarmac.services.access_why import AccessWhy
from tarmac.services.acls import Acls
from tarmac.services.agents import Agents
from tarmac.services.audit import Audit
from tarmac.services.autostart import Autostart
from tarmac.services.clone_admission import CloneAdmission
from tarmac.services.clone_disks import CloneDisks
from tarmac.services.clone_launch import CloneLauncher
from tarmac.services.clone_live import CloneLive
from tarmac.services.clones import Clones
from tarmac.services.cloudinit import CloudInit
from tarmac.services.cloudinit_schema import Schemas
from tarmac.services.cluster import Cluster
from tarmac.services.console_sessions import ConsoleSessions
from tarmac.services.consoles import Consoles
from tarmac.services.definitions import Definitions
from tarmac.services.directory import Directory as UserDirectory
from tarmac.services.disk_mirrors import DiskMirrors
from tarmac.services.disk_moves import DiskMoves
from tarmac.services.disk_plans import DiskPlans
from tarmac.services.downloads import Downloads
from tarmac.services.events import Events
from tarmac.services.exports import Exports
from tarmac.services.figures import Figures
from tarmac.services.groups import Groups
from tarmac.services.guests import Guests
from tarmac.services.history import History
from tarmac.services.identities import Identities
from tarmac.services.images import Images
from tarmac.services.instance import Instance
from tarmac.services.instant_clones import InstantClones
from tarmac.services.instant_identity import InstantIdentity
from tarmac.services.instant_records import InstantRecords
from tarmac.services.io_errors import IoErrors
from tarmac.services.jobs import Jobs
from tarmac.services.launcher import Launcher
from tarmac.services.live_states import LiveStates
from tarmac.services.live_templates import LiveTemplates
from tarmac.services.live_twins import LiveTwins
from tarmac.services.locks import Queues
from tarmac.services.login import Login
from tarmac.services.machine_states import MachineStates
from tarmac.services.metrics import Metrics, check_server
from tarmac.services.node_facts import NodeProbe
from tarmac.services.nodes import Nodes
from tarmac.services.notifications import Notifications
from tarmac.services.orphans import Orphans
from tarmac.services.pools import Pools
from tarmac.services.prometheus import Prometheus
from tarmac.services.registry import Services
from tarmac.services.roles import Roles
from tarmac.services.runtime import Runtime
from tarmac.services.snapshot_disks import SnapshotDisks
from tarmac.services.snapshot_plans import SnapshotPlans
from tarmac.services.snapshot_schedules import SnapshotSchedules
from tarmac.services.steps import Registry
from tarmac.services.storage_views import StorageViews
from tarmac.services.storages import Storages
from tarmac.services.task_log import TaskLogs
from tarmac.services.tasks import Tasks
from tarmac.services.templates import Templates
from tarmac.services.tfa import SecondFactors
from tarmac.services.tickets import Tickets
from tarmac.services.tokens import Tokens
from tarmac.services.uids import Uids
from tarmac.services.uploads import Uploads
from tarmac.services.usage import UsageSampler
from tarmac.services.users import Users
from tarmac.services.vm_config import VmConfigs
from tarmac.services.vm_create import VmCreate
from tarmac.services.vm_disks import VmDisks
from tarmac.services.vm_features import VmFeatures
from tarmac.services.vm_live import VmLive
from tarmac.services.vm_rollback import VmRollback
from tarmac.services.vm_snapshots import VmSnapshots
from tarmac.services.vm_status import VmStatus
from tarmac.services.vms import Vms
from tarmac.services.volumes import Volumes
from tarmac.version import VERSION

log = logging.getLogger(__name__)
CRASH_AT = "TARMAC_CRASH_AT"


@dataclass(slots=True, kw_only=True)
class Ground:
    """What everything else stands on."""

    node: str
    instance: Instance
    supervisor: Supervisor
    store: SqliteStore
    registry: Registry
    jobs: Jobs
    logs: TaskLogs
    users: UserDirectory
    access: Access

    @property
    def data(self) -> Path:
        return self.instance.data

    @property
    def mark(self) -> str:
        """What makes names on the host unique; empty for the default instance."""
        return "" if self.instance.default else self.instance.id


async def lay_ground(node: str, instance: Instance, stack: contextlib.AsyncExitStack) -> Ground:
    """The files, the jobs engine, the users. Raises what opening them raises."""
    data = instance.data
    store = await SqliteStore.open(data / "tarmac.db")
    stack.push_async_callback(store.close)
    journal = await Journal.open(data / "journal.db")
    stack.push_async_callback(journal.close)
    logs = TaskLogs(data / "tasks")
    stack.callback(logs.close)
    # Ended before the files: no job may find its journal closed.
    supervisor = await stack.enter_async_context(Supervisor())
    registry = Registry()
    jobs = Jobs(
        node=node,
        journal=journal,
        logs=logs,
        queues=Queues(),
        registry=registry,
        supervisor=supervisor,
        on_phase=crash_point(os.environ.get(CRASH_AT, "")),
    )
    stack.callback(jobs.stop)
    users = UserDirectory(store)
    await users.load()
    return Ground(
        node=node,
        instance=instance,
        supervisor=supervisor,
        store=store,
        registry=registry,
        jobs=jobs,
        logs=logs,
        users=users,
        access=Access(users),
    )


async def compose(ground: Ground, stack: contextlib.AsyncExitStack) -> Services:
    """All services. Raises HostFailure where the host lacks what every guest needs (QEMU)."""
    services = Services(node=ground.node, version=VERSION, jobs=ground.jobs, tasks=Tasks(ground.jobs))
    await _people(ground, services)
    services.audit = Audit(ground.data / "audit")
    stack.callback(services.audit.close)
    await _node(ground, services)
    await _storage(ground, services)
    _machines(ground, services, stack)
    await services.instant_records.load()
    _guests(ground, services)
    await _snapshots(ground, services)
    await _told(ground, services)
    return services


async def _people(ground: Ground, s: Services) -> None:
    users, access, hasher = ground.users, ground.access, Hasher()
    s.access, s.access_why = access, AccessWhy(users, access)
    s.acls, s.groups, s.roles = Acls(users, access), Groups(users, access), Roles(users)
    s.pools = Pools(users, access)
    s.users, s.tokens = Users(users, access, hasher), Tokens(users)
    s.certificate = tls.Pki(ground.data / "pki").certificate
    s.tickets = Tickets(users, await Signer.open(ground.data / "pki"))
    s.second_factors = SecondFactors(users, access)
    s.login = Login(
        directory=users,
        access=access,
        tickets=s.tickets,
        hasher=hasher,
        factors=s.second_factors,
        pam=Pam(),
        data_dir=ground.data,
    )


async def _node(ground: Ground, s: Services) -> None:
    s.probe = NodeProbe(node=ground.node, instance=ground.mark, cache=ground.data / "cache" / "kvm.json")
    s.nodes = Nodes(node=ground.node, facts=await s.probe.start(), data_dir=ground.data)
    await s.nodes.refresh()
    s.guests = Guests(store=ground.store, node=ground.node, mirror=ground.data / "guests")
    await s.guests.load()


async def _storage(ground: Ground, s: Services) -> None:
    jobs, registry, store = ground.jobs, ground.registry, ground.store
    instance = ground.instance
    s.uids = Uids(store=store, instance=instance.id, default_instance=instance.default)
    jail = Jail(uid=s.uids.jail, gid=s.uids.jail)
    build = functools.partial(build_storage, jail=jail)
    s.storages = Storages(node=ground.node, store=store, build=build, data=ground.data / "storage")
    await s.storages.start()
    s.storage_views = StorageViews(s.storages)
    s.orphans = Orphans(storages=s.storages, guests=s.guests, jobs=jobs)
    s.volumes = Volumes(storages=s.storages, jail=jail, jobs=jobs, registry=registry, references=s.guests.references)
    s.uploads = Uploads(storages=s.storages, jail=jail, jobs=jobs, registry=registry)
    s.downloads = Downloads(storages=s.storages, jail=jail, jobs=jobs, registry=registry)
    cache = ground.data / "cache" / "images"
    s.images = Images(storages=s.storages, jail=jail, jobs=jobs, registry=registry, cache=cache)
    s.exports = Exports(guests=s.guests, storages=s.storages, jobs=jobs, folder=ground.data / "cache" / "exports")
    await s.exports.start()
    s.schemas = Schemas(ground.data / "cache" / "cloudinit-schemas")
    s.cloudinit = CloudInit(store=store, storages=s.storages, schemas=s.schemas, registry=registry, guest=s.guests.get)


def _machines(ground: Ground, s: Services, stack: contextlib.AsyncExitStack) -> None:
    """The running side."""
    s.agents = Agents(s.guests)
    s.instant_records = InstantRecords(ground.store)
    s.consoles = Consoles(guests=s.guests)
    s.launcher = Launcher(
        runtime_root=ground.instance.runtime,
        instance=ground.instance.id,
        cgroups=cgroups.detect(),
        taps=Taps(ground.mark),
        volumes=s.volumes,
        probe=s.probe,
    )
    s.runtime = Runtime(
        guests=s.guests,
        launcher=s.launcher,
        consoles=s.consoles,
        agents=s.agents,
        supervisor=ground.supervisor,
    )
    stack.push_async_callback(s.runtime.let_go)
    s.live_states = LiveStates(
        guests=s.guests, storages=s.storages, launcher=s.launcher, probe=s.probe, records=s.instant_records
    )
    stack.push_async_callback(s.live_states.close)
    s.console_sessions = ConsoleSessions(
        consoles=s.consoles,
        tickets=s.tickets,
        access=ground.access,
        directory=ground.users,
        jobs=ground.jobs,
        registry=ground.registry,
    )
    s.usage = UsageSampler(s.guests, ground.mark)


def _guests(ground: Ground, s: Services) -> None:
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
        admission=CloneAdmission(guests=guests, records=s.instant_records, states=s.live_states),
        pools=s.pools,
        registry=registry,
    )
    s.io_errors = IoErrors(guests=guests, runtime=s.runtime, storages=s.storages, vms=s.vms, jobs=jobs)
    s.vm_configs = VmConfigs(
        guests=guests, jobs=jobs, access=access, disks=disks, live=live, volumes=s.volumes, registry=registry
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
    s.disk_moves = DiskMoves(
        guests=guests,
        jobs=jobs,
        access=access,
        storages=s.storages,
        volumes=s.volumes,
        mirrors=mirrors,
        registry=registry,
    )
    s.vm_disks = VmDisks(guests=guests, jobs=jobs, runtime=s.runtime, storages=s.storages, registry=registry)
    s.vm_status = VmStatus(
        guests=guests, jobs=jobs, nodes=s.nodes, access=access, records=s.instant_records, states=s.live_states
    )
    _instant_clones(ground, s, live)
    s.autostart = Autostart(node=ground.node, guests=guests, jobs=jobs, registry=registry)
    s.cluster = Cluster(guests=guests, nodes=s.nodes, access=access, storages=s.storage_views.resources, pools=s.pools)


def _instant_clones(ground: Ground, s: Services, live: VmLive) -> None:
    """Live templates, and what goes on from them."""
    guests, jobs, registry = s.guests, ground.jobs, ground.registry
    s.live_templates = LiveTemplates(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        launcher=s.launcher,
        agents=s.agents,
        storages=s.storages,
        templates=s.templates,
        states=s.live_states,
        twins=LiveTwins(launcher=s.launcher, probe=s.probe),
        registry=registry,
    )
    identity = InstantIdentity(
        runtime=s.runtime, agents=s.agents, live=live, cloudinit=s.cloudinit, records=s.instant_records
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
    s.instant_clones = InstantClones(
        guests=guests,
        jobs=jobs,
        runtime=s.runtime,
        uids=s.uids,
        clones=s.clones,
        disks=CloneDisks(storages=s.storages, plans=s.volumes.plans, cloudinit=s.cloudinit),
        cloudinit=s.cloudinit,
        states=s.live_states,
        launcher=CloneLauncher(launcher=s.launcher, probe=s.probe),
        identity=identity,
        records=s.instant_records,
        admission=CloneAdmission(guests=guests, records=s.instant_records, states=s.live_states),
        registry=registry,
        qemu_version=s.nodes.facts.qemu_version,
    )


async def _snapshots(ground: Ground, s: Services) -> None:
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
        store=ground.store, guests=guests, snapshots=s.vm_snapshots, access=ground.access
    )
    await s.snapshot_schedules.load()
    s.vm_features = VmFeatures(guests=guests, storages=s.storages, snapshots=s.vm_snapshots, node=ground.node)


async def _told(ground: Ground, s: Services) -> None:
    """What is told and kept of all this: events, figures, notifications."""
    s.figures = Figures(s.guests, s.nodes)
    events = s.events = Events(
        cluster=s.cluster,
        guests=s.guests,
        jobs=ground.jobs,
        logs=ground.logs,
        access=ground.access,
        tickets=s.tickets,
        figures=s.figures,
    )
    s.history = History(
        directory=ground.data / "metrics",
        guests=s.guests,
        nodes=s.nodes,
        figures=s.figures,
        storages=s.storage_views.resources,
    )
    s.guests.changed.append(s.history.guest_changed)
    s.usage.sampled.append(s.history.sampled)
    servers = Definitions(
        store=ground.store,
        kind="metric-servers",
        noun="metric server",
        declared=MetricServer,
        fixed=("type",),
        check=check_server,
    )
    await servers.load()
    s.metrics = Metrics(
        guests=s.guests,
        nodes=s.nodes,
        storages=s.storage_views.resources,
        servers=servers,
        supervisor=ground.supervisor,
    )
    s.prometheus = Prometheus(metrics=s.metrics, guests=s.guests, version=VERSION)
    s.notifications = Notifications(
        store=ground.store, directory=ground.users, supervisor=ground.supervisor, node=ground.node
    )
    await s.notifications.load()
    ground.jobs.on_end.append(s.notifications.task_ended)
    events.connect(guests=s.guests, jobs=ground.jobs, logs=ground.logs, directory=ground.users)
    s.runtime.changed.append(events.touch_guest)
    s.cluster.touched.append(events.touch)
    s.storages.probe.changed.append(events.touch_storage)
    s.usage.wanted = events.wanted
    s.usage.sampled.append(events.sampled)


def crash_point(text: str) -> Callable[[str, str], None]:
    """`step:phase` (the fault tests set it): kill this process there, as a power cut would. Empty: nothing."""
    wanted = tuple(text.split(":", 1))

    def reached(step: str, phase: str) -> None:
        if (step, phase) == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached
