"""The figures as Prometheus reads them (text format 0.0.4), under the names of prometheus-pve-exporter, so that
dashboards and alerts made for it work."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tarmac.drivers.metrics.base import Measure
from tarmac.model.lifecycle import State
from tarmac.services.figures.metrics import Metrics
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.resources.encoded_rows import SLICE_SECONDS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ROW = "prometheus"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
# name -> (type, help, where it stands: kind -> (group, key))
_FAMILIES: dict[str, tuple[str, str, dict[str, tuple[str, str]]]] = {
    "pve_cpu_usage_ratio": ("gauge", "Used processor, 1 is all.", {"nodes": ("cpustat", "cpu"), "qemu": ("", "cpu")}),
    "pve_cpu_usage_limit": ("gauge", "Processors.", {"nodes": ("cpustat", "cpus"), "qemu": ("", "cpus")}),
    "pve_memory_usage_bytes": ("gauge", "Used memory.", {"nodes": ("memory", "memused"), "qemu": ("", "mem")}),
    "pve_memory_size_bytes": ("gauge", "Memory.", {"nodes": ("memory", "memtotal"), "qemu": ("", "maxmem")}),
    "pve_disk_usage_bytes": ("gauge", "Used space.", {"nodes": ("blockstat", "used"), "storages": ("", "used")}),
    "pve_disk_size_bytes": (
        "gauge",
        "Space.",
        {"nodes": ("blockstat", "total"), "storages": ("", "total"), "qemu": ("", "maxdisk")},
    ),
    "pve_uptime_seconds": ("gauge", "Seconds since the start.", {"nodes": ("", "uptime"), "qemu": ("", "uptime")}),
    "pve_network_receive_bytes": (
        "gauge",
        "Bytes received since the start.",
        {"nodes": ("nics", "receive"), "qemu": ("", "netin")},
    ),
    "pve_network_transmit_bytes": (
        "gauge",
        "Bytes sent since the start.",
        {"nodes": ("nics", "transmit"), "qemu": ("", "netout")},
    ),
    "pve_disk_read_bytes": ("gauge", "Bytes read since the start.", {"qemu": ("", "diskread")}),
    "pve_disk_write_bytes": ("gauge", "Bytes written since the start.", {"qemu": ("", "diskwrite")}),
}


class Prometheus:
    """`text` gives everything, in pieces."""

    def __init__(self, *, metrics: Metrics, guests: Guests, version: str) -> None:
        self._metrics = metrics
        self._guests = guests
        self._version = version

    async def pieces(self) -> list[bytes]:
        measures, node = await self._metrics.measures(), self._guests.node
        found = [_joined(lines) for lines in (self._own(), _up(measures, node), _infos(measures, node))]
        up, info = await self._guest_lines()
        found.insert(2, up)
        return [*found, info, *(_joined(_family(name, measures)) for name in _FAMILIES)]

    async def _guest_lines(self) -> tuple[bytes, bytes]:
        """`pve_up` and `pve_guest_info` of every guest. What is fixed is kept with the guest until it changes."""
        node, up = self._guests.node, list[bytes]()
        infos = [_joined(_head("pve_guest_info", "gauge", "A guest."))]
        until = time.perf_counter() + SLICE_SECONDS
        for guest in list(self._guests):
            up.append(b'pve_up{id="qemu/%d"} %d\n' % (guest.vmid, guest.state is not State.STOPPED))
            infos.append(guest.rows.get(_ROW) or _kept(guest, node))
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_SECONDS
        return b"".join(up), b"".join(infos)

    def _own(self) -> Iterator[str]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        yield from _head("process_cpu_seconds_total", "counter", "Processor seconds of the daemon.")
        yield f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.2f}"
        yield from _head("pve_version_info", "gauge", "The daemon's version.")
        yield f"pve_version_info{_labels(version=self._version)} 1"


def _family(name: str, measures: Iterable[Measure]) -> Iterator[str]:
    kind, help, places = _FAMILIES[name]
    yield from _head(name, kind, help)
    for measure in measures:
        if measure.kind in places:
            group, key = places[measure.kind]
            value = measure.groups.get(group, {}).get(key)
            if value is not None:
                yield f"{name}{_labels(id=_id(measure))} {value:.15g}"


def _up(measures: Iterable[Measure], node: str) -> Iterator[str]:
    yield from _head("pve_up", "gauge", "1: it runs, or is there.")
    yield f"pve_up{_labels(id=f'node/{node}')} 1"
    for measure in measures:
        if measure.kind == "storages":
            yield f"pve_up{_labels(id=_id(measure))} {measure.groups['']['active']:g}"


def _infos(measures: Iterable[Measure], node: str) -> Iterator[str]:
    yield from _head("pve_node_info", "gauge", "The node.")
    yield f"pve_node_info{_labels(id=f'node/{node}', name=node, level='', nodeid='0')} 1"
    yield from _head("pve_storage_info", "gauge", "A storage.")
    for measure in measures:
        if measure.kind == "storages":
            told = {"id": _id(measure), "node": node, "storage": measure.name, "plugintype": measure.type}
            yield f"pve_storage_info{_labels(**told)} 1"


def _kept(guest: Guest, node: str) -> bytes:
    parsed = guest.parsed
    row = guest.rows[_ROW] = f"pve_guest_info{_guest_labels(guest, node)} 1\n".encode()
    if not parsed:
        guest.forget_parsed()
    return row


def _guest_labels(guest: Guest, node: str) -> str:
    return _labels(
        id=f"qemu/{guest.vmid}",
        node=node,
        name=guest.name,
        type="qemu",
        template=int(guest.template),
        tags=";".join(guest.config.tags),
    )


def _id(measure: Measure) -> str:
    if measure.kind == "qemu":
        return f"qemu/{measure.vmid}"
    return f"node/{measure.node}" if measure.kind == "nodes" else f"storage/{measure.node}/{measure.name}"


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _head(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"


def _labels(**labels: Any) -> str:
    return "{" + ",".join(f'{key}="{str(value).translate(_ESCAPES)}"' for key, value in labels.items()) + "}"
