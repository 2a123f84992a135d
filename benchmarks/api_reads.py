"""How fast the API answers reads with 10, 1,000 and 10,000 guests known, at rest and amid 100 changes a second.

    .venv/bin/python benchmarks/api_reads.py [--guests 10 1000 10000] [--seconds 3] [--no-virsh]

The peer of every read is the floor: an `aiohttp` server that answers the same bytes from a constant, asked the same
way. The peer of the list is `virsh list --all` of a libvirt that knows the same number, where it is installed.
The client is one kept connection; requests a second are of that one client (it waits for each answer).
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt_peer
from aiohttp import web
from common import FIRST, Http, Row, TestDaemon, daemon_with, percentile, report, timed_requests

from tarmac.lib import places

CHANGES_A_SECOND = 100
WRITERS = 4


def reads(guests: int) -> dict[str, list[str]]:
    """What is read, with the paths that take turns."""
    some = [FIRST + n * guests // 10 for n in range(10)]
    return {
        "cluster/resources": ["/cluster/resources"],
        "config": [f"/nodes/n1/qemu/{vmid}/config" for vmid in some],
        "status/current": [f"/nodes/n1/qemu/{vmid}/status/current" for vmid in some],
    }


def connect(daemon: TestDaemon, kind: str, token: str) -> Http:
    if kind == "https":
        return Http(daemon.port, tls=True, token=token)
    return Http(str(places.api_socket(daemon.data)))


def latencies(what: str, took: list[float], floor: list[float]) -> list[Row]:
    """Median, 99th percentile, requests a second."""
    name = "a constant from aiohttp" if floor else ""
    rows = [Row(f"{what}, median", "ms", took, name, floor)]
    rows.append(Row(f"{what}, p99", "ms", [percentile(took, 0.99)], name, [percentile(floor, 0.99)] if floor else []))
    rate, floor_rate = [1000 * len(took) / sum(took)], [1000 * len(floor) / sum(floor)] if floor else []
    return [*rows, Row(f"{what}, rate", "requests/s", rate, name, floor_rate)]


# -- the floor ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def floor(body: bytes) -> Iterator[Http]:
    """A server of the same kind that does nothing but answer `body`."""
    with tempfile.TemporaryDirectory() as name:
        path = f"{name}/floor.sock"
        process = multiprocessing.Process(target=_serve, args=(path, body), daemon=True)
        process.start()
        try:
            while not Path(path).exists():
                time.sleep(0.02)
            yield Http(path)
        finally:
            process.terminate()
            process.join()


def _serve(path: str, body: bytes) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def application() -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        return app

    web.run_app(application(), path=path, print=None, access_log=None)


# -- changes ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def changes(socket: str, guests: int) -> Iterator[list[float]]:
    """Configuration changes at the wanted pace meanwhile; the list holds how many a second there were, afterwards."""
    done, stop = multiprocessing.Value("i", 0), multiprocessing.Event()
    writers = [
        multiprocessing.Process(target=_write, args=(socket, guests, n, done, stop), daemon=True)
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    time.sleep(0.5)
    begun, before, rate = time.perf_counter(), done.value, list[float]()
    try:
        yield rate
        rate.append((done.value - before) / (time.perf_counter() - begun))
    finally:
        stop.set()
        for writer in writers:
            writer.join(10)
            writer.terminate()


def _write(socket: str, guests: int, number: int, done: Any, stop: Any) -> None:
    http, count, begun = Http(socket), 0, time.perf_counter()
    while not stop.is_set():
        vmid = FIRST + (count * WRITERS + number) % guests
        http.call("PUT", f"/nodes/n1/qemu/{vmid}/config", f"description=change{count}")
        count += 1
        with done.get_lock():
            done.value += 1
        # Behind the pace it does not hurry to catch up: what comes out is said in the table.
        begun = max(begun + WRITERS / CHANGES_A_SECOND, time.perf_counter() - WRITERS / CHANGES_A_SECOND)
        time.sleep(max(0.0, begun - time.perf_counter()))


# -- the run ------------------------------------------------------------------------------------------------------


def measure(guests: int, seconds: float) -> list[Row]:
    rows: list[Row] = []
    begun = time.perf_counter()
    with daemon_with(guests) as daemon:
        started = time.perf_counter() - begun
        token = daemon.post("/access/users/root@pam/token/bench", privsep=0)
        secret = f"{token['full-tokenid']}={token['value']}"
        socket = str(places.api_socket(daemon.data))
        first = Http(socket)
        begun = time.perf_counter()
        first.call("GET", "/cluster/resources")
        label = f"{guests:,} guests"
        rows.append(Row(f"{label}: fill the store and start the daemon", "s", [started]))
        rows.append(Row(f"{label}: first cluster/resources", "ms", [(time.perf_counter() - begun) * 1000]))
        for what, paths in reads(guests).items():
            body = first.call("GET", paths[0])
            with floor(body) as constant:
                least = timed_requests(constant, ["/"], seconds / 2)
            for kind in ("unix", "https"):
                took = timed_requests(connect(daemon, kind, secret), paths, seconds)
                rows += latencies(f"{label}: {what}, {kind}", took, least if kind == "unix" else [])
        rows += beside_lists(socket, f"{label}: version beside lists", seconds)
        rows += amid_changes(daemon, guests, seconds)
    return rows


def beside_lists(socket: str, what: str, seconds: float) -> list[Row]:
    """How long the smallest request takes while another client asks for the list again and again: for how long a
    list keeps the event loop from others."""
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=_list, args=(socket, stop), daemon=True)
    process.start()
    time.sleep(0.3)
    took = timed_requests(Http(socket), ["/version"], seconds)
    stop.set()
    process.join()
    return latencies(what, took, [])[:2]


def _list(socket: str, stop: Any) -> None:
    http = Http(socket)
    while not stop.is_set():
        http.call("GET", "/cluster/resources")


def amid_changes(daemon: TestDaemon, guests: int, seconds: float) -> list[Row]:
    rows: list[Row] = []
    socket = str(places.api_socket(daemon.data))
    with changes(socket, guests) as rate:
        for what, paths in reads(guests).items():
            took = timed_requests(Http(socket), paths, seconds)
            rows += latencies(f"{guests:,} guests: {what}, unix, amid changes", took, [])
    rows.append(Row(f"{guests:,} guests: changes meanwhile", "changes/s", rate))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--no-virsh", action="store_true")
    options = parser.parse_args()
    for guests in options.guests:
        rows = measure(guests, options.seconds)
        if libvirt_peer.installed() and not options.no_virsh:
            lists = next(row for row in rows if row.what.endswith("cluster/resources, unix, median"))
            with libvirt_peer.libvirt(guests) as virsh:
                took = [virsh.timed("list --all") * 1000 for _ in range(10)]
            rows.append(Row(f"{guests:,} guests: list, median", "ms", lists.values, "virsh list --all", took))
        report("api_reads", rows)


if __name__ == "__main__":
    main()
