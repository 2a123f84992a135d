"""The index pages: `GET` on a path that only leads to others lists what is below it.

They are Proxmox's (from `proxmox_methods.txt`), and one for each path above endpoints of ours, so that everything is
listed where people and `pvesh ls` look for it. An item has the key that Proxmox's page of that path has (`subdir`,
`name`, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tarmac.faces.api.declare import LIST, Allow, Call, Endpoint
from tarmac.faces.api.later import later_endpoints
from tarmac.faces.api.places import path_params
from tarmac.faces.api.router import known_methods

# Who may read them: every user, but for these.
RIGHTS: Mapping[str, Allow] = {
    "/cluster/config": Allow("/", "Sys.Audit"),
    "/cluster/ha": Allow("/", "Sys.Audit"),
    "/cluster/sdn": Allow("/sdn", "SDN.Audit"),
    "/cluster/sdn/fabrics": Allow("/sdn/fabrics", "SDN.Audit"),
    "/nodes/{node}/ceph": Allow("/", "Sys.Audit", "Datastore.Audit", any=True),
    "/nodes/{node}/ceph/pool/{name}": Allow("/", "Sys.Audit", "Datastore.Audit", any=True),
    "/nodes/{node}/sdn/fabrics/{fabric}": Allow("/sdn/fabrics/{fabric}", "SDN.Audit"),
    "/nodes/{node}/sdn/zones/{zone}": Allow("/sdn/zones/{zone}", "SDN.Audit"),
    "/nodes/{node}/storage/{storage}": Allow(
        "/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace", any=True
    ),
    "/nodes/{node}/services/{service}": Allow("/nodes/{node}", "Sys.Audit"),
}


def complete(declared: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Everything that answers: what is declared, what stands for later features, and the index pages."""
    table = tuple(declared)
    with_later = (*table, *later_endpoints(table))
    return (*with_later, *index_endpoints(with_later))


def index_endpoints(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """One endpoint for every path above others that has no `GET` of its own and whose next segment is a fixed word."""
    table = tuple(endpoints)
    taken = {e.schema_path for e in table if e.method == "GET"}
    known = known_methods()
    below = _below({*known, *(e.schema_path for e in table)})
    ours = _below({e.schema_path for e in table if not e.later})
    pages = []
    for path, names in sorted(below.items()):
        methods, key = known.get(path, (frozenset[str](), ""))
        theirs = "GET" in methods and bool(key) and not any(name.startswith("{") for name in names)
        if path not in taken and (theirs or (not methods and any(n[0] != "{" for n in ours.get(path, ())))):
            pages.append(_index(path, key or "subdir", sorted(n for n in names if n[0] != "{")))
    return tuple(pages)


def _below(paths: Iterable[str]) -> dict[str, set[str]]:
    """Path -> the next segments of the paths below it."""
    found: dict[str, set[str]] = {}
    for path in paths:
        parts = path.strip("/").split("/")
        for i, part in enumerate(parts):
            found.setdefault("/" + "/".join(parts[:i]), set()).add(part)
    return found


def _index(path: str, key: str, names: list[str]) -> Endpoint:
    items = [{key: name} for name in names]

    async def index(call: Call, p: Any) -> list[dict[str, str]]:
        return items

    return Endpoint(
        method="GET",
        path=path,
        handler=index,
        params=path_params(path),
        config=None,
        allow=RIGHTS.get(path, Allow.login),
        returns=LIST,
        help="What is below this path.",
        cli="",
        plans=False,
        tokens=True,
        csrf=True,
        stream=False,
    )
