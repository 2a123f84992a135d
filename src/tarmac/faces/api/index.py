"""The index pages: `GET` on a path that only leads to others lists what is below it.

They are derived from the table, so that a new endpoint is listed where people and `pvesh ls` look for it. An item has
the key that Proxmox's page of that path has (`subdir` or `name`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from tarmac.faces.api.declare import LIST, Allow, Call, Endpoint
from tarmac.faces.api.router import known_methods
from tarmac.model.settings import Setting, setting


def index_endpoints(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """One endpoint for every path above others that has no `GET` of its own and whose next segment is a fixed word."""
    table = tuple(endpoints)
    taken = {e.path for e in table if e.method == "GET"}
    children: dict[str, dict[str, Endpoint]] = {}
    for endpoint in table:
        parts = endpoint.path.strip("/").split("/")
        for i, part in enumerate(parts):
            above = "/" + "/".join(parts[:i])
            if not part.startswith("{"):
                children.setdefault(above, {}).setdefault(part, endpoint)
    return tuple(_index(path, below) for path, below in sorted(children.items()) if path not in taken)


def _index(path: str, below: dict[str, Endpoint]) -> Endpoint:
    key = known_methods().get(path, (frozenset(), ""))[1] or "subdir"
    names = [{key: name} for name in sorted(below)]

    async def index(call: Call, p: Any) -> list[dict[str, str]]:
        return names

    model = next(iter(below.values()))
    return Endpoint(
        method="GET",
        path=path,
        handler=index,
        params=_params(path, model.settings),
        config=None,
        allow=Allow.login,
        returns=LIST,
        help="What is below this path.",
        cli="",
        plans=False,
        tokens=True,
        csrf=True,
        stream=False,
    )


def _params(path: str, known: tuple[Setting, ...]) -> type:
    """A declared class of the path's own parameters, each as the endpoint below declares it."""
    places = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    by_name = {s.name: s for s in known}
    fields = []
    for name in places:
        limits = dataclasses.asdict(by_name[name].limits)
        fields.append((by_name[name].attribute, by_name[name].python, setting(**limits)))
    return dataclasses.make_dataclass("IndexParams", fields, frozen=True, kw_only=True)
