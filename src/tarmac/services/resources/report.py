"""A report of a node for people who help: one text, without secrets."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tarmac.lib.process import run
from tarmac.model.errors import TarmacError
from tarmac.services.guests.guests import Guests
from tarmac.services.node import packages
from tarmac.services.node.nodes import Nodes
from tarmac.services.storage.storages import Storages

_TOOLS = (
    ("uname", "-a"),
    ("lsblk", "--ascii"),
    ("df", "-hT", "-l"),
    ("ip", "-br", "address"),
)


async def text(*, nodes: Nodes, storages: Storages, guests: Guests) -> str:
    """All sections; one that cannot be had says why."""
    parts: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("node", lambda: _json([nodes.status()])),
        ("packages", lambda: _lines(packages.versions(), ("Package", "Version", "CurrentState"))),
        ("storages", lambda: _json(storages.definitions())),
        ("guests", lambda: _guests(guests)),
        *((" ".join(tool), _tool(tool)) for tool in _TOOLS),
    ]
    return "\n".join([await _section(title, make) for title, make in parts])


async def _section(title: str, make: Callable[[], Awaitable[str]]) -> str:
    try:
        body = await make()
    except TarmacError as problem:
        body = f"cannot be had: {problem.message}"
    return f"# {title}\n\n{body.rstrip()}\n"


def _tool(argv: tuple[str, ...]) -> Callable[[], Awaitable[str]]:
    async def said() -> str:
        return (await run(argv)).text

    return said


async def _json(rows: Iterable[Any]) -> str:
    return "\n".join(json.dumps(row, indent=1, default=str) for row in rows)


async def _lines(rows: Awaitable[list[dict[str, Any]]], keys: tuple[str, ...]) -> str:
    return "\n".join(" ".join(str(row[key]) for key in keys) for row in await rows)


async def _guests(guests: Guests) -> str:
    rows = sorted(guests, key=lambda guest: guest.vmid)
    return "\n".join(f"{guest.vmid} {guest.state.value} {guest.config.name or ''}" for guest in rows)
