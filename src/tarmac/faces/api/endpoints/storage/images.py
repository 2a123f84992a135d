"""Images that this node builds by itself, to make guests from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, UPID, Allow, Call, get, post
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.job import Started
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class Build(Node):
    name: str = setting(max_length=64, pattern=r"[a-z0-9][a-z0-9.-]*", help="The recipe: tiny, debian-12.")
    storage: str = setting("local", format="pve-storage-id", help="Where the image goes.")


@get(
    "/nodes/{node}/image-build",
    params=Node,
    allow=Allow.login,
    returns=LIST,
    cli="image recipes",
    help="The images that can be built.",
)
async def recipes(call: Call, p: Node) -> Any:
    return call.services.images.listing()


@post(
    "/nodes/{node}/image-build",
    params=Build,
    allow=Allow("/storage/{storage}", "Datastore.AllocateTemplate"),
    returns=UPID,
    cli="image build {name}",
    help="Build an image.",
)
async def build(call: Call, p: Build) -> Started:
    return await call.services.images.build(call.identity, p.name, storage=p.storage, dryrun=call.dryrun)
