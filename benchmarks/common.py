"""What the benchmarks share: a daemon with so many guests, requests that cost the client little, rows of the table.

Each subject prints rows for people and one line of JSON for machines. Nothing here judges: the figures are compared
with the peer's of the same run, and with the targets in `README.md`, by whoever reads them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.crowd import FIRST, crowd, mac
from support.daemon import TestDaemon

__all__ = ["FIRST", "Http", "Row", "TestDaemon", "daemon_with", "percentile", "report", "timed_requests"]

CONFIG = """\
agent: 1
boot: order=scsi0
cores: 2
memory: 2048
name: guest-{vmid}
net0: virtio=BC:24:11:{mac},bridge=vmbr0
ostype: l26
scsi0: local:{vmid}/vm-{vmid}-disk-0.qcow2,discard=on,size=32G
scsihw: virtio-scsi-single
serial0: socket
smbios1: uuid=00000000-0000-4000-8000-{vmid:012d}
tags: bench
"""


@dataclass(slots=True)
class Row:
    """One figure: the median of `values` in `unit`, and the peer's of the same run."""

    what: str
    unit: str
    values: list[float]
    peer: str = ""
    peer_values: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        beside = statistics.median(self.peer_values) if self.peer_values else 0.0
        return self.middle / beside if beside else None

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {"what": self.what, "unit": self.unit, "median": round(self.middle, 4)}
        found |= {"runs": len(self.values), "low": round(min(self.values), 4), "high": round(max(self.values), 4)}
        if self.ratio is not None:
            found |= {"peer": self.peer, "peer_median": round(statistics.median(self.peer_values), 4)}
            found |= {"ratio": round(self.ratio, 3)}
        return found


def report(subject: str, rows: Sequence[Row]) -> None:
    """The rows of a table in Markdown, then everything as one line of JSON."""
    for row in rows:
        peer = f"{row.peer}: {statistics.median(row.peer_values):.4g} {row.unit}" if row.peer_values else ""
        ratio = f"{row.ratio:.2f} x" if row.ratio is not None else ""
        print(f"| {row.what} | {row.middle:.4g} {row.unit} | {peer} | {ratio} |")
    load = [round(value, 2) for value in os.getloadavg()]
    facts = {"subject": subject, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "cpus": os.cpu_count(), "load": load}
    print(json.dumps({**facts, "rows": [row.record() for row in rows]}), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


# -- a daemon that knows guests ------------------------------------------------------------------------------------


@contextlib.contextmanager
def daemon_with(guests: int) -> Iterator[TestDaemon]:
    """A started daemon that knows so many guests, numbers from 100; none runs. All is gone afterwards."""
    with crowd(guests, text=lambda vmid: CONFIG.format(vmid=vmid, mac=mac(vmid))) as daemon:
        yield daemon


# -- requests ------------------------------------------------------------------------------------------------------


class Http:
    """One kept connection with as little of its own as can be: what is measured is the server.

    `place` is a unix socket's path, or a port of 127.0.0.1 (with `tls`)."""

    def __init__(self, place: str | int, *, tls: bool = False, token: str = "") -> None:
        self._socket: socket.socket
        if isinstance(place, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(place)
        else:
            self._socket = socket.create_connection(("127.0.0.1", place))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)
        self._token = f"Authorization: PVEAPIToken={token}\r\n" if token else ""
        self._buffer = bytearray(1 << 20)

    def call(self, method: str, path: str, form: str = "") -> bytes:
        """The body of the reply. Raises AssertionError for another status than 200."""
        head = f"{method} /api2/json{path} HTTP/1.1\r\nHost: localhost\r\n{self._token}"
        if form:
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
        self._socket.sendall(f"{head}\r\n{form}".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            part = self._socket.recv(65536)
            assert part, f"the server closed the connection after {got[:200]!r}"
            got += part
        headers, _, start = got.partition(b"\r\n\r\n")
        assert headers.startswith(b"HTTP/1.1 200"), headers
        left = int(headers.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(start)
        parts = [start]
        while left > 0:
            count = self._socket.recv_into(self._buffer)
            assert count, "the server closed the connection amid a reply"
            parts.append(bytes(self._buffer[:count]))
            left -= count
        return b"".join(parts)

    def close(self) -> None:
        self._socket.close()


def timed_requests(http: Http, paths: Sequence[str], seconds: float) -> list[float]:
    """Milliseconds of each request, one after another for so long (at least ten)."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took) < 10:
        begun = time.perf_counter()
        http.call("GET", paths[len(took) % len(paths)])
        took.append((time.perf_counter() - begun) * 1000)
    return took
