"""The figures of everything at one moment, for those who keep them elsewhere: Prometheus asks, InfluxDB and Graphite
are sent them every few seconds.

A server that is away costs its own sending, which has a time limit; the next one begins only when it has ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from tarmac.drivers.metrics.base import Measure, Sender, Values
from tarmac.drivers.metrics.graphite import Graphite
from tarmac.drivers.metrics.influxdb import InfluxDb
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import NotBuilt, TarmacError
from tarmac.model.metric_server import BUILT_TYPES, MetricServer
from tarmac.services.definitions import Definitions
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.node.nodes import Nodes
from tarmac.services.resources.cluster import boot_disk_bytes, memory_bytes
from tarmac.services.resources.encoded_rows import SLICE_SECONDS

log = logging.getLogger(__name__)
SECONDS = 10.0
LONGEST_SECONDS = 60.0
_GUEST = ("cpu", "mem", "netin", "netout", "diskread", "diskwrite", "uptime")


def check_server(server: MetricServer) -> None:
    """Raises NotBuilt for a type that is not built."""
    if server.type not in BUILT_TYPES:
        raise NotBuilt(f"metric servers of type '{server.type}' are not built yet", evidence=f"type: {server.type}")


def sender_of(server: MetricServer) -> Sender:
    return Graphite(server) if server.type == "graphite" else InfluxDb(server)


class Metrics:
    """`measures` gives the figures, `push` sends them to every server that is not disabled."""

    def __init__(
        self,
        *,
        guests: Guests,
        nodes: Nodes,
        storages: Callable[[], list[dict[str, Any]]],
        servers: Definitions[MetricServer],
        supervisor: Supervisor,
    ) -> None:
        self.servers = servers
        self._guests = guests
        self._nodes = nodes
        self._storages = storages
        self._supervisor = supervisor
        self._sending: dict[str, asyncio.Task[None]] = {}
        self.problems: dict[str, str] = {}

    async def measures(self) -> list[Measure]:
        """The node, its storages, and the guests that run, from the last samples."""
        found = [self._node(), *(self._storage(row) for row in self._storages())]
        until = time.perf_counter() + SLICE_SECONDS
        for guest in [guest for guest in self._guests if guest.process is not None]:
            found.append(self._guest(guest))
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_SECONDS
        return found

    async def push(self) -> None:
        """Begin a sending to each server that has ended its last one; returns at once."""
        ready = [name for name in self.servers if self._is_ready(name)]
        if not ready:
            return
        measures, now = await self.measures(), time.time()
        for name in ready:
            if name in self.servers:
                work = self._send(name, self.servers.get(name), measures, now)
                self._sending[name] = self._supervisor.start(work, name=f"metrics to {name}")

    def _is_ready(self, name: str) -> bool:
        task = self._sending.get(name)
        return (task is None or task.done()) and not self.servers.get(name).disable

    async def _send(self, name: str, server: MetricServer, measures: list[Measure], now: float) -> None:
        problem = ""
        try:
            async with asyncio.timeout(server.timeout or LONGEST_SECONDS):
                await sender_of(server).send(measures, now)
        except TimeoutError:
            problem = f"no answer within {server.timeout or LONGEST_SECONDS:g} s"
        except TarmacError as refused:
            problem = f"{refused.message}: {refused.evidence}"
        except Exception as broken:  # noqa: BLE001 - whatever a server or the way to it does must not end the sending
            problem = str(broken) or type(broken).__name__
        if problem and problem != self.problems.get(name):
            log.warning("figures could not be sent", extra={"server": name, "problem": problem})
        elif not problem and self.problems.get(name):
            log.info("figures are sent again", extra={"server": name})
        self.problems[name] = problem

    def _node(self) -> Measure:
        now, node = self._nodes.sample, self._nodes.node
        groups: dict[str, Values] = {
            "": {"uptime": self._nodes.uptime()},
            "cpustat": {"cpu": now.cpu, "wait": now.wait, "cpus": self._nodes.summary()["maxcpu"], "avg1": now.load},
            "memory": {
                "memtotal": now.memory["total"],
                "memused": now.memory["used"],
                "memfree": now.memory["free"],
                "swaptotal": now.swap["total"],
                "swapused": now.swap["used"],
            },
            "blockstat": {"total": now.root["total"], "used": now.root["used"], "avail": now.root["avail"]},
            "nics": {"receive": now.netin, "transmit": now.netout},
        }
        return Measure(kind="nodes", node=node, name=node, groups=groups)

    def _storage(self, row: dict[str, Any]) -> Measure:
        active = row["status"] == "available"
        values = {"active": int(active), "shared": row["shared"]}
        if active:
            values |= {"total": row["maxdisk"], "used": row["disk"], "avail": row["maxdisk"] - row["disk"]}
        name, node = row["storage"], self._nodes.node
        return Measure(kind="storages", node=node, name=name, type=row["plugintype"], groups={"": values})

    def _guest(self, guest: Guest) -> Measure:
        config = guest.config
        values = {
            "cpus": config.present_vcpus,
            "maxmem": memory_bytes(config),
            "maxdisk": boot_disk_bytes(config),
            **{name: guest.usage[name] for name in _GUEST if name in guest.usage},
        }
        return Measure(kind="qemu", node=self._nodes.node, name=guest.name, vmid=guest.vmid, groups={"": values})
