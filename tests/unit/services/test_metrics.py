"""Figures that go to others: real servers on loopback, and one that is away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.loop import attempts
from tarmac.drivers.metrics.base import Measure, packed
from tarmac.drivers.metrics.graphite import graphite_lines
from tarmac.drivers.metrics.influxdb import InfluxDb, influx_lines
from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.tasks import Supervisor
from tarmac.model.metric_server import MetricServer
from tarmac.services.definitions import Definitions
from tarmac.services.figures.metrics import Metrics, check_server
from tarmac.services.figures.prometheus import Prometheus
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.node.nodes import Nodes

STORAGES: list[dict[str, Any]] = [
    {"storage": "local", "plugintype": "dir", "status": "available", "disk": 10, "maxdisk": 40, "shared": 0},
    {"storage": "dead", "plugintype": "dir", "status": "unknown", "disk": 0, "maxdisk": 0, "shared": 1},
]
GUEST = Measure(kind="qemu", node="n1", name='we b,"x"\nevil', vmid=100, groups={"": {"cpu": 0.5, "mem": 1 << 33}})


@pytest.fixture
async def metrics(tmp_path: Path) -> AsyncIterator[Metrics]:
    guests = Guests(store=MemoryStore(), node="n1", mirror=tmp_path / "guests")
    await guests.load()
    await guests.create(100, "name: web\ntags: a;b\nmemory: 512\ncores: 2\n", uid=None, user="t")
    await guests.create(101, "template: 1\n", uid=None, user="t")
    guests.get(100).process = object()  # type: ignore[assignment]  # only that there is one matters
    guests.get(100).usage = {"cpu": 0.5, "mem": 1000, "netin": 7}
    nodes = Nodes(node="n1", facts=NodeFacts(), data_dir=tmp_path)
    await nodes.refresh()
    servers = Definitions(
        store=MemoryStore(), kind="m", noun="metric server", declared=MetricServer, check=check_server
    )
    async with Supervisor() as supervisor:
        yield Metrics(guests=guests, nodes=nodes, storages=lambda: STORAGES, servers=servers, supervisor=supervisor)


async def sent(metrics: Metrics, *names: str) -> None:
    """Push, and wait until these sendings have ended."""
    await metrics.push()
    async with asyncio.timeout(30):
        for name in names:
            await metrics._sending[name]


async def test_graphite_over_tcp(metrics: Metrics) -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    texts = {"type": "graphite", "server": "127.0.0.1", "port": port, "proto": "tcp", "path": "my.place"}
    await metrics.servers.create("g", texts)
    await sent(metrics, "g")
    lines = (await got).decode().splitlines()
    server.close()
    assert all(re.fullmatch(r"my\.place\.[\w.-]+ [\d.e+-]+ \d{10}", line) for line in lines), lines
    words = {line.rpartition(" ")[0] for line in lines}
    assert {"my.place.qemu.100.cpu 0.5", "my.place.storages.n1.local.used 10", "my.place.qemu.100.cpus 2"} <= words
    assert metrics.problems["g"] == ""


@pytest.mark.parametrize(("kind", "expected"), [("graphite", b"proxmox.qemu.100.cpu 0.5 "), ("influxdb", b"system,object=qemu,vmid=100,nodename=n1,host=web ")])  # fmt: skip # noqa: E501
async def test_packets_hold_whole_lines(metrics: Metrics, kind: str, expected: bytes) -> None:
    packets: asyncio.Queue[bytes] = asyncio.Queue()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            packets.put_nowait(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    port = str(transport.get_extra_info("sockname")[1])
    await metrics.servers.create("u", {"type": kind, "server": "127.0.0.1", "port": port, "mtu": "512"})
    await sent(metrics, "u")
    data = b""
    async with asyncio.timeout(30):
        while expected not in data:
            packet = await packets.get()
            assert len(packet) <= 512 and packet.endswith(b"\n")
            data += packet
    transport.close()


@asynccontextmanager
async def influx(status: int = 204, delay: float = 0) -> AsyncIterator[tuple[str, list[web.Request], list[bytes]]]:
    asked: list[web.Request] = []
    bodies: list[bytes] = []

    async def write(request: web.Request) -> web.Response:
        asked.append(request)
        bodies.append(await request.read())
        await asyncio.sleep(delay)
        return web.Response(status=status, text="database not found")

    app = web.Application()
    app.router.add_post("/{path:.*}", write)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield str(runner.addresses[0][1]), asked, bodies
    finally:
        await runner.cleanup()


async def test_influxdb_over_http(metrics: Metrics) -> None:
    async with influx() as (port, asked, bodies):
        texts = {"type": "influxdb", "server": "127.0.0.1", "port": port, "influxdbproto": "http", "token": "t0ken"}
        await metrics.servers.create("i", {**texts, "organization": "my org", "bucket": "b", "max-body-size": "400"})
        await sent(metrics, "i")
    assert asked[0].path == "/api/v2/write" and dict(asked[0].query) == {"org": "my org", "bucket": "b"}
    assert asked[0].headers["Authorization"] == "Token t0ken"
    assert len(bodies) > 1
    lines = b"".join(bodies).decode().splitlines()
    assert any(line.startswith("cpustat,object=nodes,host=n1 cpu=") for line in lines)
    assert any(re.fullmatch(r"system,object=qemu,vmid=100,nodename=n1,host=web \S+ \d{19}", line) for line in lines)
    assert any("object=storages,nodename=n1,host=dead,type=dir active=0" in line for line in lines)


async def test_a_refusal_is_shown_and_ends_with_the_next_success(metrics: Metrics) -> None:
    texts = {"type": "influxdb", "server": "127.0.0.1", "influxdbproto": "http"}
    async with influx(status=404) as (port, _, _):
        await metrics.servers.create("i", {**texts, "port": port})
        await sent(metrics, "i")
        assert "404" in metrics.problems["i"] and "database not found" in metrics.problems["i"]
    async with influx() as (port, _, _):
        await metrics.servers.update("i", {"port": port})
        await sent(metrics, "i")
        assert metrics.problems["i"] == ""


async def test_a_server_that_hangs_or_is_away_holds_up_nobody(metrics: Metrics) -> None:
    async with influx(delay=60) as (port, asked, _):
        texts = {"type": "influxdb", "server": "127.0.0.1", "influxdbproto": "http"}
        await metrics.servers.create("hangs", {**texts, "port": port})
        await metrics.servers.create("away", {**texts, "port": "1"})
        await metrics.servers.create("off", {**texts, "port": port, "disable": "1"})
        await metrics.push()
        assert not metrics._sending["hangs"].done(), "it is not waited for"
        await metrics.push()
        await sent(metrics, "hangs", "away")
        assert "no answer within 1 s" in metrics.problems["hangs"] and metrics.problems["away"]
        assert "off" not in metrics.problems and len(asked) <= 2  # never two at once to one server


def test_lines_cannot_be_broken_by_a_name() -> None:
    (line,) = influx_lines([GUEST], 1)
    assert (
        line == b'system,object=qemu,vmid=100,nodename=n1,host=we\\ b\\,"x"\\ evil cpu=0.5,mem=8589934592 1000000000\n'
    )
    storage = Measure(kind="storages", node="a b", name="x.y\n", type="dir", groups={"": {"used": 1}})
    assert list(graphite_lines([storage], 1, "p")) == [b"p.storages.a_b.x_y_.used 1 1\n"]


def test_pieces_are_whole_lines() -> None:
    lines = [b"a" * 30, b"b" * 30, b"c" * 100, b"d"]
    assert list(packed(lines, 64)) == [b"a" * 30 + b"b" * 30, b"c" * 100, b"d"]
    assert list(packed([], 64)) == []


def test_the_address_of_an_influxdb() -> None:
    server = MetricServer(type="influxdb", server="fd00::1", port=1, influxdbproto="https", api_path_prefix="/x/")
    assert InfluxDb(server).url == "https://[fd00::1]:1/x/api/v2/write?org=proxmox&bucket=proxmox"


async def test_prometheus_page(metrics: Metrics) -> None:
    page = Prometheus(metrics=metrics, guests=metrics._guests, version="1")
    text = b"".join(await page.pieces()).decode()
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"[^\"\\\n]*\",?)*\})? [\d.e+-]+", line), line
    names = re.findall(r"# TYPE (\w+)", text)
    assert len(names) == len(set(names))
    assert 'pve_up{id="qemu/100"} 0' in text and 'pve_up{id="storage/n1/dead"} 0' in text
    assert 'pve_cpu_usage_ratio{id="qemu/100"} 0.5\n' in text
    assert 'pve_guest_info{id="qemu/100",node="n1",name="web",type="qemu",template="0",tags="a;b"} 1\n' in text
    assert 'pve_memory_usage_bytes{id="qemu/101"}' not in text  # it does not run
    for family in text.split("# HELP ")[1:]:  # all lines of a family stand together
        name = family.split(" ")[0]
        assert all(line.startswith(("# TYPE", name)) for line in family.splitlines()[1:])


async def test_prometheus_page_of_many_guests_holds_up_nobody(metrics: Metrics) -> None:
    guests = metrics._guests
    guests._guests.update({n: Guest(n, f"name: g{n}\nscsi0: local:1,size=1G\n", 1) for n in range(200, 10_200)})
    page = Prometheus(metrics=metrics, guests=guests, version="1")
    for attempt in attempts():
        with attempt:
            await asyncio.sleep(0)
            text = b"".join(await page.pieces())
            await asyncio.sleep(0)
    assert text.count(b"pve_guest_info{") == 10_002
