"""What is told and kept of all this: `services.events`, `services.figures`, `services.attention`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.model.metric_server import MetricServer
from tarmac.services.attention.attention import Attention
from tarmac.services.definitions import Definitions
from tarmac.services.events.alarms import Alarms
from tarmac.services.events.events import Events
from tarmac.services.events.notifications import Notifications
from tarmac.services.events.storage_alarms import StorageAlarms
from tarmac.services.figures.figures import Figures
from tarmac.services.figures.history import History
from tarmac.services.figures.metrics import Metrics, check_server
from tarmac.services.figures.prometheus import Prometheus
from tarmac.services.registry import Services
from tarmac.version import VERSION


async def add_told(ground: Ground, s: Services) -> None:
    """Events, figures, notifications, and what somebody should look at; each hears of what it tells."""
    await _add_figures(ground, s)
    await _add_notifications(ground, s)
    _add_attention(ground, s)
    _add_events(ground, s)


async def _add_figures(ground: Ground, s: Services) -> None:
    s.figures = Figures(s.guests, s.nodes)
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
    for driver in s.storages.usable():
        used = await s.history.storage_use(driver.id)
        s.storages.space.remember(driver.id, used)


async def _add_notifications(ground: Ground, s: Services) -> None:
    s.notifications = Notifications(
        store=ground.store,
        directory=ground.users,
        supervisor=ground.supervisor,
        node=ground.node,
        sender=lambda: s.datacenter.value.email_from,
    )
    await s.notifications.load()
    ground.jobs.on_end.append(s.notifications.task_ended)
    alarms = Alarms(store=ground.store, notify=s.notifications.notify)
    await alarms.load()
    s.storage_alarms = StorageAlarms(storages=s.storages, guests=s.guests, alarms=alarms)
    s.io_errors.waits.append(s.storage_alarms.guest_waits)


def _add_attention(ground: Ground, s: Services) -> None:
    s.attention = Attention(
        node=ground.node,
        guests=s.guests,
        jobs=ground.jobs,
        access=ground.access,
        storages=s.storage_views,
        orphans=s.orphans,
        metrics=s.metrics,
        second_factors=s.second_factors,
        certificates=s.certificates.rows,
        networks=s.network_views.states,
    )
    ground.jobs.on_end.append(s.attention.task_ended)


def _add_events(ground: Ground, s: Services) -> None:
    events = s.events = Events(
        cluster=s.cluster,
        guests=s.guests,
        jobs=ground.jobs,
        logs=ground.logs,
        access=ground.access,
        tickets=s.tickets,
        figures=s.figures,
    )
    events.connect(guests=s.guests, jobs=ground.jobs, logs=ground.logs, directory=ground.users)
    s.runtime.changed.append(events.touch_guest)
    s.cluster.touched.append(events.touch)
    s.storages.probe.changed.append(events.touch_storage)

    def touch_networks() -> None:
        for id in s.network_views.ids():
            events.touch(id)

    s.networks.changed.append(touch_networks)
    s.network_host.changed.append(touch_networks)
    s.usage.wanted = events.wanted
    s.usage.sampled.append(events.sampled)
