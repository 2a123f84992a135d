"""Settings of the whole cluster, and of one node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import NULL, OBJECT, Allow, Call, NoParams, get, put
from tarmac.faces.api.endpoints.common import Node
from tarmac.model.datacenter import MAC_PREFIX, Datacenter, NodeConfig, tags_of
from tarmac.model.job import Plan
from tarmac.model.settings import setting

PROPERTIES = (
    "acme",
    *(f"acmedomain{i}" for i in range(6)),
    "ballooning-target",
    "description",
    "startall-onboot-delay",
    "wakeonlan",
)
AUDIT, MODIFY = Allow("/", "Sys.Audit"), Allow("/", "Sys.Modify")
# What everybody may see who is logged in: pages need it to show guests and consoles.
FOR_ALL = ("console", "consent-text", "keyboard", "language", "tag-style", "user-tag-access", "registered-tags")


@dataclass(frozen=True, kw_only=True)
class Change:
    delete: tuple[str, ...] = setting((), format="pve-configid", help="Options to remove.")


@dataclass(frozen=True, kw_only=True)
class OfNode(Node):
    property: str | None = setting(None, choices=PROPERTIES, default_text="all", help="Only this one.")


@dataclass(frozen=True, kw_only=True)
class ChangeNode(Node):
    delete: tuple[str, ...] = setting((), format="pve-configid", help="Options to remove.")
    digest: str | None = setting(None, max_length=40, help="Only if the configuration still has this digest.")


@get(
    "/cluster/options",
    allow=Allow.login,
    returns=OBJECT,
    cli="datacenter show",
    help="Settings of the whole cluster; without Sys.Audit on / those that a page needs to show guests.",
)
async def options(call: Call, p: NoParams) -> Any:
    datacenter = call.services.datacenter
    shown = {"mac_prefix": MAC_PREFIX, "description": "", **datacenter.shown(objects=True)}
    shown["digest"] = datacenter.digest
    if "registered-tags" in shown:
        shown["registered-tags"] = tags_of(shown["registered-tags"])
    access = shown.get("user-tag-access", {})
    if "user-allow-list" in access:
        access["user-allow-list"] = tags_of(access["user-allow-list"])
    if not call.services.access.allowed(call.identity, "/", ["Sys.Audit"]):
        shown = {key: value for key, value in shown.items() if key in FOR_ALL}
    return {**shown, "allowed-tags": call.services.tags.allowed(call.identity)}


@put(
    "/cluster/options",
    params=Change,
    config=Datacenter,
    allow=MODIFY,
    returns=NULL,
    plans=True,
    cli="datacenter set",
    help="Change settings of the whole cluster. `dryrun` says which of them nothing looks at yet.",
)
async def set_options(call: Call, p: Change) -> Plan | None:
    return await call.services.datacenter.update(
        call.config, delete=p.delete, by=call.identity.name, dryrun=call.dryrun
    )


@get(
    "/nodes/{node}/config",
    params=OfNode,
    allow=AUDIT,
    returns=OBJECT,
    cli="node config",
    help="The node's own settings.",
)
async def node_config(call: Call, p: OfNode) -> Any:
    config = call.services.node_config
    shown = config.shown(objects=False)
    if p.property is not None:
        return {key: value for key, value in shown.items() if key == p.property}
    return {**shown, "digest": config.digest}


@put(
    "/nodes/{node}/config",
    params=ChangeNode,
    config=NodeConfig,
    allow=MODIFY,
    returns=NULL,
    plans=True,
    cli="node set",
    help="Change the node's own settings. `dryrun` says which of them nothing looks at yet.",
)
async def set_node_config(call: Call, p: ChangeNode) -> Plan | None:
    return await call.services.node_config.update(
        call.config, delete=p.delete, digest=p.digest, by=call.identity.name, dryrun=call.dryrun
    )
