"""What is sent to a metric server, and how it goes out: packets, a stream, requests.

A sender never blocks the loop and ends within its time; what it cannot deliver is lost, as figures may be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The figures of one object at one moment. `kind` is `nodes`, `qemu` or `storages`, `name` its name for people;
    `groups` are Proxmox's: `cpustat`, `memory`, ..., "" for what belongs to none."""

    kind: str
    node: str
    name: str
    vmid: int | None = None
    type: str = ""
    groups: Mapping[str, Values] = field(default_factory=dict)


class Sender(Protocol):
    """One server. `send` raises OSError or TarmacError when it cannot be reached or refuses, TimeoutError."""

    async def send(self, measures: Iterable[Measure], now: float) -> None: ...


def packed(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Lines joined to pieces of at most `most` bytes; a line that is longer goes alone."""
    piece, size = list[bytes](), 0
    for line in lines:
        if piece and size + len(line) > most:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield b"".join(piece)


async def send_packets(host: str, port: int, packets: Iterable[bytes]) -> None:
    """As UDP packets. That nobody listens is not always noticed. Raises OSError."""
    loop = asyncio.get_running_loop()
    family, _, _, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        await loop.sock_connect(sock, address)
        for packet in packets:
            await loop.sock_sendall(sock, packet)


async def send_stream(host: str, port: int, pieces: Iterable[bytes]) -> None:
    """Over a TCP connection of its own. Raises OSError."""
    _, writer = await asyncio.open_connection(host, port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
    await writer.wait_closed()
