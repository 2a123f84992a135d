"""What the calls of features that come later may be asked: parameters of Proxmox, checked and without effect."""

from __future__ import annotations

from dataclasses import dataclass

from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class Staged:
    pending: bool = setting(False, help="With changes that are not applied.")
    running: bool = setting(False, help="What is applied.")


@dataclass(frozen=True, kw_only=True)
class Controllers(Staged):
    type: str | None = setting(None, choices=("bgp", "evpn", "faucet", "isis"), help="Only controllers of this type.")


@dataclass(frozen=True, kw_only=True)
class Dns:
    type: str | None = setting(None, choices=("powerdns",), help="Only servers of this type.")


@dataclass(frozen=True, kw_only=True)
class HaResources:
    type: str | None = setting(None, choices=("ct", "vm"), help="Only resources of this type.")


@dataclass(frozen=True, kw_only=True)
class HaRules:
    resource: str | None = setting(None, max_length=100, help="Only rules that name this resource.")
    type: str | None = setting(None, choices=("node-affinity", "resource-affinity"), help="Only rules of this type.")


@dataclass(frozen=True, kw_only=True)
class HaGroup:
    comment: str | None = setting(None, max_length=4096, help="Notes.")
    nofailback: bool = setting(False, help="Do not go back to a node of higher priority.")
    restricted: bool = setting(False, help="Only these nodes.")


@dataclass(frozen=True, kw_only=True)
class HaGroupCreate(HaGroup):
    group: str = setting(format="pve-configid", help="The group.")
    nodes: str = setting(max_length=4096, help="The nodes, with their priorities.")
    type: str | None = setting(None, choices=("group",), help="Always `group`.")


@dataclass(frozen=True, kw_only=True)
class HaGroupUpdate(HaGroup):
    nodes: str | None = setting(None, max_length=4096, help="The nodes, with their priorities.")
    delete: str | None = setting(None, max_length=4096, help="Fields to clear.")
    digest: str | None = setting(None, max_length=64, help="Only if the configuration still has this digest.")


@dataclass(frozen=True, kw_only=True)
class Lines:
    start: int = setting(0, ge=0, help="From this line on.")
    limit: int = setting(50, ge=0, help="So many lines.")


@dataclass(frozen=True, kw_only=True)
class DatedLines(Lines):
    since: int | None = setting(None, ge=0, unit="s", help="Lines from then on (Unix time).")
    until: int | None = setting(None, ge=0, unit="s", help="Lines until then (Unix time).")


@dataclass(frozen=True, kw_only=True)
class Refs:
    type: str | None = setting(None, choices=("alias", "ipset"), help="Only references of this type.")


@dataclass(frozen=True, kw_only=True)
class OnNode:
    check_node: str | None = setting(None, name="check-node", format="pve-node", help="Check them on this node.")


@dataclass(frozen=True, kw_only=True)
class OfGuest:
    guest: int | None = setting(None, ge=100, le=999_999_999, help="Only jobs of this guest.")


@dataclass(frozen=True, kw_only=True)
class Active:
    current: bool = setting(False, help="The values in force instead of the pending ones.")
    snapshot: str | None = setting(None, max_length=40, format="pve-configid", help="Those of a snapshot.")


@dataclass(frozen=True, kw_only=True)
class Defaults:
    storage: str | None = setting(None, format="pve-storage-id", help="For this storage.")


@dataclass(frozen=True, kw_only=True)
class JoinBy:
    node: str | None = setting(None, format="pve-node", help="Join by this node.")
