"""The composition root: builds everything, serves, stops in reverse order. The only module that knows all.

The order of a start is the order of trust: the lock on the data directory, the store, what is known of the host, the
guests that run (adopted), the jobs that a crash cut off (finished or undone), and only then the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.auth.pam import Pam
from tarmac.drivers.network.tap import Taps
from tarmac.drivers.qemu import cgroups
from tarmac.drivers.qemu.record import boot_id
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.sqlite import SqliteStore
from tarmac.faces.api import tls
from tarmac.faces.api.app import Api
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.server import Listener
from tarmac.lib import logs, places
from tarmac.lib.files import write_atomic
from tarmac.lib.passwords import Hasher
from tarmac.lib.signing import Signer
from tarmac.lib.tasks import Supervisor
from tarmac.model.users import ROOT
from tarmac.services.access import Access, Identity
from tarmac.services.acls import Acls
from tarmac.services.agents import Agents
from tarmac.services.autostart import Autostart
from tarmac.services.cloudinit import CloudInit
from tarmac.services.cloudinit_schema import Schemas
from tarmac.services.cluster import Cluster
from tarmac.services.console_sessions import ConsoleSessions
from tarmac.services.consoles import Consoles
from tarmac.services.directory import Directory as UserDirectory
from tarmac.services.disk_plans import DiskPlans
from tarmac.services.downloads import Downloads
from tarmac.services.groups import Groups
from tarmac.services.guests import Guests
from tarmac.services.images import Images
from tarmac.services.instance import Instance, open_instance
from tarmac.services.jobs import Jobs
from tarmac.services.launcher import Launcher
from tarmac.services.locks import Queues
from tarmac.services.login import Login
from tarmac.services.node_facts import NodeProbe
from tarmac.services.nodes import SAMPLE_SECONDS, Nodes
from tarmac.services.registry import Services
from tarmac.services.roles import Roles
from tarmac.services.runtime import Runtime
from tarmac.services.steps import Registry
from tarmac.services.storage_views import StorageViews
from tarmac.services.storages import Storages
from tarmac.services.task_log import TaskLogs
from tarmac.services.tasks import Tasks
from tarmac.services.tickets import Tickets
from tarmac.services.tokens import Tokens
from tarmac.services.uids import Uids
from tarmac.services.uploads import Uploads
from tarmac.services.usage import SECONDS as USAGE_SECONDS
from tarmac.services.usage import UsageSampler
from tarmac.services.users import Users
from tarmac.services.vm_config import VmConfigs
from tarmac.services.vm_create import VmCreate
from tarmac.services.vm_disks import VmDisks
from tarmac.services.vm_live import VmLive
from tarmac.services.vm_status import VmStatus
from tarmac.services.vms import Vms
from tarmac.services.volumes import Volumes
from tarmac.version import VERSION

log = logging.getLogger(__name__)
STORAGE_SECONDS = 10.0
THREADS = 32
CERTIFICATE_SECONDS = 24 * 3600.0
CRASH_AT = "TARMAC_CRASH_AT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `tarmac serve` was told. `node` is the host's short name unless given."""

    data_dir: Path
    host: str = ""
    port: int = 8006
    node: str = ""
    log_level: str = "INFO"

    @property
    def node_name(self) -> str:
        return self.node or socket.gethostname().partition(".")[0] or "localhost"


def main(options: Options) -> int:
    """Serve until SIGTERM or SIGINT. Raises TarmacError when it cannot start."""
    logs.set_up(options.log_level)
    asyncio.run(_serve(options))
    return 0


async def _serve(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Two cores give asyncio six threads: a few calls into a hanging storage would hold up everybody's.
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="work"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with daemon(options):
        _tell_systemd("READY=1")
        await stop.wait()
        _tell_systemd("STOPPING=1")
        log.info("stopping; guests go on")
    log.info("stopped")


@contextlib.asynccontextmanager
async def daemon(options: Options) -> AsyncIterator[Services]:
    """Everything built and serving; on leaving, ended in reverse order. Guests are not touched."""
    async with contextlib.AsyncExitStack() as stack:
        instance = await asyncio.to_thread(open_instance, options.data_dir)
        stack.callback(instance.close)
        house = await House.build(options, instance, stack)
        await house.begin()
        gc.collect()
        gc.freeze()
        await house.listen(options, stack)
        yield house.services


class House:
    """What was built, as far as starting and serving need it."""

    def __init__(self, instance: Instance, services: Services, supervisor: Supervisor) -> None:
        self.instance = instance
        self.services = services
        self._supervisor = supervisor

    @classmethod
    async def build(cls, options: Options, instance: Instance, stack: contextlib.AsyncExitStack) -> House:
        """Open the files, probe the host, build every service. What runs is not touched yet."""
        node, data = options.node_name, instance.data
        store = await SqliteStore.open(data / "tarmac.db")
        stack.push_async_callback(store.close)
        journal = await Journal.open(data / "journal.db")
        stack.push_async_callback(journal.close)
        task_logs = TaskLogs(data / "tasks")
        stack.callback(task_logs.close)
        # Ended first of all that has to do with work: no job may find its journal closed.
        supervisor = await stack.enter_async_context(Supervisor())
        name = "" if instance.default else instance.id
        probe = NodeProbe(node=node, instance=name, cache=data / "cache" / "kvm.json")
        facts = await probe.start()
        registry = Registry()
        uids = Uids(store=store, instance=instance.id, default_instance=instance.default)
        jail = Jail(uid=uids.jail, gid=uids.jail)
        jobs = Jobs(
            node=node,
            journal=journal,
            logs=task_logs,
            queues=Queues(),
            registry=registry,
            supervisor=supervisor,
            on_phase=crash_point(os.environ.get(CRASH_AT, "")),
        )
        stack.callback(jobs.stop)
        users = UserDirectory(store)
        await users.load()
        access = Access(users)
        acls = Acls(users, access)
        guests = Guests(store=store, node=node, mirror=data / "guests")
        await guests.load()
        nodes = Nodes(node=node, facts=facts, data_dir=data)
        await nodes.refresh()
        storages = Storages(
            node=node, store=store, build=functools.partial(build_storage, jail=jail), data=data / "storage"
        )
        await storages.start()
        volumes = Volumes(storages=storages, jail=jail, jobs=jobs, registry=registry, references=guests.references)
        schemas = Schemas(data / "cache" / "cloudinit-schemas")
        cloudinit = CloudInit(store=store, storages=storages, schemas=schemas, registry=registry, guest=guests.get)
        agents = Agents(guests)
        consoles = Consoles(guests=guests)
        launcher = Launcher(
            runtime_root=instance.runtime,
            instance=instance.id,
            cgroups=cgroups.detect(),
            taps=Taps(name),
            volumes=volumes,
            probe=probe,
        )
        runtime = Runtime(guests=guests, launcher=launcher, consoles=consoles, agents=agents, supervisor=supervisor)
        stack.push_async_callback(runtime.let_go)
        disks = DiskPlans(storages=storages, plans=volumes.plans, cloudinit=cloudinit)
        live = VmLive(runtime=runtime, launcher=launcher)
        configs = VmConfigs(guests=guests, jobs=jobs, access=access, disks=disks, live=live, registry=registry)
        views = StorageViews(storages)
        hasher = Hasher()
        tickets = Tickets(users, await Signer.open(data / "pki"))
        sessions = ConsoleSessions(
            consoles=consoles, tickets=tickets, access=access, directory=users, jobs=jobs, registry=registry
        )
        services = Services(
            node=node,
            version=VERSION,
            jobs=jobs,
            tasks=Tasks(jobs),
            vms=Vms(
                guests=guests,
                jobs=jobs,
                runtime=runtime,
                volumes=volumes,
                cloudinit=cloudinit,
                uids=uids,
                acls=acls,
                registry=registry,
            ),
            runtime=runtime,
            usage=UsageSampler(guests),
            acls=acls,
            groups=Groups(users, access),
            roles=Roles(users),
            vm_configs=configs,
            vm_create=VmCreate(
                guests=guests,
                jobs=jobs,
                configs=configs,
                disks=disks,
                uids=uids,
                registry=registry,
                qemu_version=facts.qemu_version,
            ),
            vm_disks=VmDisks(guests=guests, jobs=jobs, runtime=runtime, storages=storages, registry=registry),
            vm_status=VmStatus(guests=guests, jobs=jobs, nodes=nodes, access=access),
            guests=guests,
            launcher=launcher,
            autostart=Autostart(node=node, guests=guests, jobs=jobs, registry=registry),
            agents=agents,
            cluster=Cluster(guests=guests, nodes=nodes, access=access, storages=views.resources),
            nodes=nodes,
            storages=storages,
            storage_views=views,
            volumes=volumes,
            uploads=Uploads(storages=storages, jail=jail, jobs=jobs, registry=registry),
            downloads=Downloads(storages=storages, jail=jail, jobs=jobs, registry=registry),
            images=Images(storages=storages, jobs=jobs, registry=registry, cache=data / "cache" / "images"),
            cloudinit=cloudinit,
            consoles=consoles,
            console_sessions=sessions,
            certificate=tls.Pki(data / "pki").certificate,
            access=access,
            users=Users(users, access, hasher),
            tokens=Tokens(users),
            tickets=tickets,
            login=Login(directory=users, access=access, tickets=tickets, hasher=hasher, pam=Pam(), data_dir=data),
        )
        return cls(instance, services, supervisor)

    async def begin(self) -> None:
        """Adopt what runs, take up what a crash cut off, start the watchers."""
        services = self.services
        counts = await services.runtime.adopt_all()
        unfinished = await services.jobs.recover()
        log.info("guests adopted", extra={**counts, "known": len(services.guests), "unfinished_jobs": len(unfinished)})
        await services.uploads.sweep()
        watchers: tuple[tuple[Callable[[], Awaitable[object]], float, str], ...] = (
            (services.nodes.refresh, SAMPLE_SECONDS, "node figures"),
            (services.usage.sample, USAGE_SECONDS, "guest figures"),
            (services.storages.refresh, STORAGE_SECONDS, "storage probes"),
        )
        for work, seconds, name in watchers:
            self._supervisor.repeat(work, every=seconds, name=name)
        if await asyncio.to_thread(_host_was_restarted, self.instance.data):
            await services.autostart.start_all(Identity(ROOT))

    async def listen(self, options: Options, stack: contextlib.AsyncExitStack) -> None:
        """Open the API to the world, last."""
        pki = tls.Pki(self.instance.data / "pki")
        await asyncio.to_thread(tls.ensure_certificate, pki, options.node_name)
        api = Api(self.services, endpoints())
        context = tls.server_context(pki)
        listener = await stack.enter_async_context(Listener(api, context))
        port = await listener.open_tcp(options.host, options.port)
        self.services.web = _web_address(options.host, self.services.nodes.address(), port)
        await listener.open_unix(self.instance.runtime / places.SOCKET)

        async def renew() -> None:
            if await asyncio.to_thread(tls.ensure_certificate, pki, options.node_name):
                tls.reload(context, pki)

        self._supervisor.repeat(renew, every=CERTIFICATE_SECONDS, name="certificate")
        log.info("serving", extra={"address": f"https://{options.host or '*'}:{port}", "data": str(self.instance.data)})


def _web_address(listen: str, own: str, port: int) -> str:
    """Where a browser finds this node: the address it listens on, or for all of them its own."""
    host = own if listen in ("", "0.0.0.0", "::") else listen
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


def _host_was_restarted(data: Path) -> bool:
    """Whether this is the instance's first daemon since the host came up."""
    file, now = data / "boot-id", boot_id()
    before = file.read_text().strip() if file.exists() else ""
    if before != now:
        write_atomic(file, now + "\n", mode=0o600)
    return bool(before) and before != now


def crash_point(text: str) -> Callable[[str, str], None]:
    """`step:phase` (the fault tests set it): kill this process there, as a power cut would. Empty: nothing."""
    wanted = tuple(text.split(":", 1))

    def reached(step: str, phase: str) -> None:
        if (step, phase) == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _tell_systemd(state: str) -> None:
    """sd_notify(3), where systemd asks for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send(state.encode())
