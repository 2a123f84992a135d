"""The daemon: takes its data directory, has everything composed, serves, stops in reverse order.

The order of a start is the order of trust: the lock on the data directory, the store, what is known of the host, the
guests that run (adopted), the jobs that a crash cut off (finished or undone), and only then the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tarmac.composition import compose, lay_ground
from tarmac.drivers.qemu.record import boot_id
from tarmac.faces.api import tls
from tarmac.faces.api.app import Api
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.server import Listener
from tarmac.lib import logs, places
from tarmac.lib.files import write_atomic
from tarmac.lib.tasks import Supervisor
from tarmac.model.users import ROOT
from tarmac.services.access.access import Identity
from tarmac.services.events.events import CHECK_SECONDS as EVENTS_CHECK_SECONDS
from tarmac.services.figures.history import SECONDS as HISTORY_SECONDS
from tarmac.services.figures.metrics import SECONDS as METRICS_SECONDS
from tarmac.services.instant.frozen_ends import LOOK_SECONDS as FROZEN_SECONDS
from tarmac.services.lifecycle.io_errors import LOOK_SECONDS
from tarmac.services.networks.host import LOOK_SECONDS as NETWORKS_SECONDS
from tarmac.services.node.instance import Instance, open_instance
from tarmac.services.node.nodes import SAMPLE_SECONDS
from tarmac.services.registry import Services
from tarmac.services.resources.encoded_rows import warm
from tarmac.services.running.usage import SECONDS as USAGE_SECONDS
from tarmac.services.snapshots.schedules import SECONDS as SCHEDULE_SECONDS

log = logging.getLogger(__name__)
STORAGE_SECONDS = 10.0
RETENTION_SECONDS = 3600.0
THREADS = 32
OPEN_FILES = 65536
OFFLINE = "TARMAC_OFFLINE"  # set: the daemon fetches nothing of its own accord
EXPIRE_SECONDS = 300.0
CERTIFICATE_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `tarmac serve` was told. `node` is the host's short name unless given; the first line of `password_file`
    becomes the password of root@pam."""

    data_dir: Path
    host: str = ""
    port: int = 8006
    node: str = ""
    log_level: str = "INFO"
    password_file: Path | None = None

    @property
    def node_name(self) -> str:
        return self.node or socket.gethostname().partition(".")[0] or "localhost"


def main(options: Options) -> int:
    """Serve until SIGTERM or SIGINT. Raises TarmacError when it cannot start."""
    logs.set_up(options.log_level)
    _allow_many_files()
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
        ground = await lay_ground(options.node_name, instance, stack)
        house = House(instance, await compose(ground, stack), ground.supervisor)
        await house.begin()
        if options.password_file is not None:
            await house.services.login.use_password_file(options.password_file)
        gc.collect()
        gc.freeze()
        gc.enable()
        await house.listen(options, stack)
        yield house.services


class House:
    """Starting and serving what was composed."""

    def __init__(self, instance: Instance, services: Services, supervisor: Supervisor) -> None:
        self.instance = instance
        self.services = services
        self._supervisor = supervisor

    async def begin(self) -> None:
        """Adopt what runs, clean up, take up what a crash cut off, start the watchers."""
        services = self.services
        counts = await services.runtime.adopt_all()
        await services.network_host.begin()
        await services.uploads.sweep()
        unfinished = await services.jobs.recover()
        log.info("guests adopted", extra={**counts, "known": len(services.guests), "unfinished_jobs": len(unfinished)})
        await services.events.begin()
        await services.history.sweep()
        watchers: tuple[tuple[Callable[[], Awaitable[object]], float, str], ...] = (
            (services.nodes.refresh, SAMPLE_SECONDS, "node figures"),
            (services.usage.sample, USAGE_SECONDS, "guest figures"),
            (services.storage_alarms.probe, STORAGE_SECONDS, "storage probes"),
            (services.snapshot_schedules.run, SCHEDULE_SECONDS, "snapshot schedules"),
            (services.realm_jobs.run, SCHEDULE_SECONDS, "synchronizations of realms"),
            (services.history.record, HISTORY_SECONDS, "figures over time"),
            (services.metrics.push, METRICS_SECONDS, "figures to metric servers"),
            (services.events.check, EVENTS_CHECK_SECONDS, "logins of event streams"),
            (services.storages.count, STORAGE_SECONDS, "storage promises"),
            (services.acme_orders.renew_due, CERTIFICATE_SECONDS, "ordered certificates"),
            (services.retention.run, RETENTION_SECONDS, "old tasks"),
            (services.definition_history.prune, RETENTION_SECONDS, "old changes"),
            (services.io_errors.look, LOOK_SECONDS, "waiting guests"),
            (services.frozen_ends.look, FROZEN_SECONDS, "frozen states"),
            (services.network_host.look, NETWORKS_SECONDS, "networks"),
            (services.resumable.expire, EXPIRE_SECONDS, "uploads that were given up"),
        )
        for work, seconds, name in watchers:
            self._supervisor.repeat(work, every=seconds, name=name)
        kinds = (services.cluster.rows, services.vm_status.rows)
        self._supervisor.start(warm(list(services.guests), kinds), name="rows of lists")
        self._supervisor.start(services.network_host.follow(), name="addresses for DHCP")
        if not os.environ.get(OFFLINE):
            self._supervisor.start(services.cloudinit.fetch_schemas(), name="cloud-init schemas")
        if await asyncio.to_thread(_host_was_restarted, self.instance.data):
            await services.autostart.start_all(Identity(ROOT))

    async def listen(self, options: Options, stack: contextlib.AsyncExitStack) -> None:
        """Open the API to the world, last."""
        pki = tls.Pki(self.instance.data / "pki")
        await asyncio.to_thread(tls.ensure_certificate, pki, options.node_name)
        api = Api(self.services, endpoints())
        certificates = self.services.certificates

        def context() -> ssl.SSLContext:
            return tls.chosen_context(pki, certificates.brought)

        listener = await stack.enter_async_context(Listener(api, await asyncio.to_thread(context)))
        stack.callback(self.services.events.close)  # before the listener waits for those who follow
        port = await listener.open_tcp(options.host, options.port)
        self.services.web = _web_address(options.host, self.services.nodes.address(), port)
        await listener.open_unix(self.instance.runtime / places.SOCKET)

        async def show() -> None:
            listener.use(await asyncio.to_thread(context))

        async def renew() -> None:
            if await asyncio.to_thread(tls.ensure_certificate, pki, options.node_name):
                await show()

        certificates.reload = show

        self._supervisor.repeat(renew, every=CERTIFICATE_SECONDS, name="certificate")
        log.info("serving", extra={"address": f"https://{options.host or '*'}:{port}", "data": str(self.instance.data)})


def _web_address(listen: str, own: str, port: int) -> str:
    """Where a browser finds this node: the address it listens on, or for all of them its own."""
    host = own if listen in ("", "0.0.0.0", "::") else listen
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


def _allow_many_files() -> None:
    """Each connection is a file: the limit that a shell gives (1024) is too low for a crowd of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _host_was_restarted(data: Path) -> bool:
    """Whether this is the instance's first daemon since the host came up."""
    file, now = data / "boot-id", boot_id()
    before = file.read_text().strip() if file.exists() else ""
    if before != now:
        write_atomic(file, now + "\n", mode=0o600)
    return bool(before) and before != now


def _tell_systemd(state: str) -> None:
    """sd_notify(3), where systemd asks for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send(state.encode())
