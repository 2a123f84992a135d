"""Graphite's plain text: `proxmox.qemu.100.cpu 0.5 1700000000`, over UDP or TCP; names as Proxmox's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tarmac.drivers.metrics.base import Measure, packed, send_packets, send_stream
from tarmac.model.metric_server import MetricServer

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
STREAM_BYTES = 64 * 1024


class Graphite:
    def __init__(self, server: MetricServer) -> None:
        self._server = server

    async def send(self, measures: Iterable[Measure], now: float) -> None:
        lines = graphite_lines(measures, now, self._server.path or "proxmox")
        if self._server.proto == "tcp":
            await send_stream(self._server.server, self._server.port, packed(lines, STREAM_BYTES))
        else:
            await send_packets(self._server.server, self._server.port, packed(lines, self._server.mtu))


def graphite_lines(measures: Iterable[Measure], now: float, path: str) -> Iterator[bytes]:
    for measure in measures:
        place = _place(measure)
        for group, values in measure.groups.items():
            start = f"{path}.{place}.{group}" if group else f"{path}.{place}"
            for name, value in values.items():
                yield f"{start}.{name} {value:.15g} {int(now)}\n".encode()


def _place(measure: Measure) -> str:
    if measure.kind == "qemu":
        return f"qemu.{measure.vmid}"
    node = _UNSAFE.sub("_", measure.node)
    return f"nodes.{node}" if measure.kind == "nodes" else f"storages.{node}.{_UNSAFE.sub('_', measure.name)}"
