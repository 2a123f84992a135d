"""InfluxDB's line protocol over UDP or HTTP; measurements and tags as Proxmox's, so that dashboards made for it work:
`system,object=qemu,vmid=100,nodename=n1,host=web cpu=0.5,mem=1024 1700000000000000000`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

import aiohttp

from tarmac.drivers.metrics.base import Measure, packed, send_packets
from tarmac.model.errors import Unavailable
from tarmac.model.metric_server import MetricServer

_ESCAPES = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\\": "\\\\", "\n": "\\ ", "\r": "\\ "})


class InfluxDb:
    def __init__(self, server: MetricServer) -> None:
        self._server = server

    async def send(self, measures: Iterable[Measure], now: float) -> None:
        server, lines = self._server, influx_lines(measures, now)
        if server.influxdbproto == "udp":
            await send_packets(server.server, server.port, packed(lines, server.mtu))
            return
        headers = {"Authorization": f"Token {server.token}"} if server.token else {}
        async with aiohttp.ClientSession(headers=headers, trust_env=False) as session:
            for body in packed(lines, server.max_body_size):
                async with session.post(
                    self.url, data=body, ssl=server.verify_certificate, allow_redirects=False
                ) as reply:
                    if reply.status >= 300:
                        words = (await reply.content.read(300)).decode("utf-8", "replace")
                        raise Unavailable(f"InfluxDB answers {reply.status}", code="metrics-refused", evidence=words)

    @property
    def url(self) -> str:
        """Where the lines are posted to."""
        server = self._server
        host = f"[{server.server}]" if ":" in server.server else server.server
        prefix = f"/{server.api_path_prefix.strip('/')}" if server.api_path_prefix else ""
        query = f"org={quote(server.organization or 'proxmox')}&bucket={quote(server.bucket or 'proxmox')}"
        return f"{server.influxdbproto}://{host}:{server.port}{prefix}/api/v2/write?{query}"


def influx_lines(measures: Iterable[Measure], now: float) -> Iterator[bytes]:
    stamp = int(now) * 1_000_000_000
    for measure in measures:
        tags = _tags(measure)
        for group, values in measure.groups.items():
            fields = ",".join(f"{name}={value:.15g}" for name, value in values.items())
            if fields:
                yield f"{group or 'system'},{tags} {fields} {stamp}\n".encode()


def _tags(measure: Measure) -> str:
    name, node = _escaped(measure.name), _escaped(measure.node)
    if measure.kind == "qemu":
        return f"object=qemu,vmid={measure.vmid},nodename={node},host={name}"
    if measure.kind == "storages":
        return f"object=storages,nodename={node},host={name},type={measure.type}"
    return f"object=nodes,host={node}"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
