"""What features that come later answer today: as a well-formed, empty Proxmox would, so that clients that only look
(inventories, exporters, `terraform plan`) find nothing instead of an error. Writes to them are 501.

One table, a row for each `GET`: the path, who may read it, and what is answered: an empty list or object, or in
Proxmox's words that the thing asked for is not there. When a feature is built, its endpoints take the place of its
rows, and the rows go (a test names those that are left over).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api import later_params as asks
from tarmac.faces.api.declare import ANY, LIST, OBJECT, Allow, Call, Endpoint, NoParams, Returns
from tarmac.faces.api.places import PLACE, path_params
from tarmac.model.errors import InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing of this kind exists: 500 with this text, its `{name}`s from the path; with `parameter` 400, as Proxmox
    has it."""

    text: str
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """`answer`: a list, an object, a Gone, or a function of the call that gives a list or an object."""

    path: str
    allow: Allow
    answer: Any
    takes: type = NoParams
    method: str = "GET"


def _ha_quorum(call: Call) -> list[dict[str, Any]]:
    return [{"id": "quorum", "type": "quorum", "node": call.services.node, "status": "OK", "quorate": 1}]


def _ha_manager(call: Call) -> dict[str, Any]:
    quorum = {"node": call.services.node, "quorate": "1"}
    return {"manager_status": {}, "lrm_status": {}, "quorum": quorum}


LOGIN = Allow.login
AUDIT = Allow("/", "Sys.Audit")
NODE = Allow("/nodes/{node}", "Sys.Audit")
GUEST = Allow("/vms/{vmid}", "VM.Audit")
CEPH = Allow("/", "Sys.Audit", "Datastore.Audit", any=True)
FABRIC = Allow("/sdn/fabrics/{fabric}", "SDN.Audit")
ZONE = Allow("/sdn/zones/{zone}", "SDN.Audit")
NO_CEPH = Gone("binary not installed: /usr/bin/ceph-mon")
NO_CONTAINER = Gone("Configuration file 'nodes/{node}/lxc/{vmid}.conf' does not exist")
NO_HA_GROUPS = "ha groups have been migrated to rules"


def _firewall(base: str, read: Allow) -> tuple[Row, ...]:
    """The rows that every level of the firewall has."""
    at = f"{base}/firewall"
    return (
        Row(f"{at}/options", read, {}),
        Row(f"{at}/rules", read, []),
        Row(f"{at}/rules/{{pos}}", read, Gone("no rule at position {pos}")),
    )


def _addresses(base: str, read: Allow) -> tuple[Row, ...]:
    """Aliases and sets of addresses: of the cluster and of a guest."""
    at = f"{base}/firewall"
    return (
        Row(f"{at}/aliases", read, []),
        Row(f"{at}/aliases/{{name}}", read, Gone("no such alias", parameter="name")),
        Row(f"{at}/ipset", read, []),
        Row(f"{at}/ipset/{{name}}", read, Gone("no such IPSet '{name}'")),
        Row(f"{at}/ipset/{{name}}/{{cidr...}}", read, Gone("no such IPSet '{name}'")),
        Row(f"{at}/refs", read, [], asks.Refs),
    )


_VM, _CT = "/nodes/{node}/qemu/{vmid}", "/nodes/{node}/lxc/{vmid}"
FIREWALL = (
    *_firewall("/cluster", AUDIT),
    *_addresses("/cluster", AUDIT),
    Row("/cluster/firewall/groups", LOGIN, []),
    Row("/cluster/firewall/groups/{group}", AUDIT, Gone("no such security group '{group}'")),
    Row("/cluster/firewall/groups/{group}/{pos}", AUDIT, Gone("no such security group '{group}'")),
    *_firewall("/nodes/{node}", NODE),
    Row("/nodes/{node}/firewall/log", Allow("/nodes/{node}", "Sys.Syslog"), [], asks.DatedLines),
    *_firewall(_VM, GUEST),
    *_addresses(_VM, GUEST),
    Row(f"{_VM}/firewall/log", Allow("/vms/{vmid}", "VM.Console"), [], asks.DatedLines),
    *_firewall("/cluster/sdn/vnets/{vnet}", LOGIN),
)
CONTAINERS = (
    Row("/nodes/{node}/lxc", LOGIN, []),
    Row("/nodes/{node}/aplinfo", LOGIN, []),
    Row(f"{_CT}/config", GUEST, NO_CONTAINER, asks.Active),
    *(Row(f"{_CT}/{name}", GUEST, NO_CONTAINER) for name in ("pending", "snapshot", "interfaces", "status/current")),
    Row(
        f"{_CT}/snapshot/{{snapname}}/config",
        Allow("/vms/{vmid}", "VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit", any=True),
        NO_CONTAINER,
    ),
    *(Row(r.path, r.allow, NO_CONTAINER, r.takes) for r in (*_firewall(_CT, GUEST), *_addresses(_CT, GUEST))),
)
HA = (
    Row("/cluster/ha/resources", AUDIT, [], asks.HaResources),
    Row("/cluster/ha/resources/{sid}", AUDIT, Gone("no such resource '{sid}'")),
    Row("/cluster/ha/rules", AUDIT, [], asks.HaRules),
    Row("/cluster/ha/rules/{rule}", AUDIT, Gone("no such ha rule '{rule}'")),
    # Proxmox answers 500 to all of these since groups became rules; clients take an empty list better.
    Row("/cluster/ha/groups", AUDIT, []),
    Row("/cluster/ha/groups/{group}", AUDIT, Gone("no such ha group '{group}'")),
    Row("/cluster/ha/groups", Allow("/", "Sys.Console"), Gone(f"cannot create group: {NO_HA_GROUPS}"),
        asks.HaGroupCreate, "POST"),
    Row("/cluster/ha/groups/{group}", Allow("/", "Sys.Console"), Gone(f"cannot update group: {NO_HA_GROUPS}"),
        asks.HaGroupUpdate, "PUT"),
    Row("/cluster/ha/groups/{group}", Allow("/", "Sys.Console"), Gone(f"cannot delete group: {NO_HA_GROUPS}"),
        method="DELETE"),
    Row("/cluster/ha/status/current", AUDIT, _ha_quorum),
    Row("/cluster/ha/status/manager_status", AUDIT, _ha_manager),
)  # fmt: skip
BACKUP = (
    Row("/cluster/backup", AUDIT, []),
    Row("/cluster/backup/{id}", AUDIT, Gone("No such job '{id}'", parameter="id")),
    Row("/cluster/backup/{id}/included_volumes", AUDIT, Gone("No such job '{id}'", parameter="id")),
    Row("/nodes/{node}/vzdump/defaults", LOGIN, {}, asks.Defaults),
)
REPLICATION = (
    Row("/cluster/replication", LOGIN, []),
    Row("/cluster/replication/{id}", LOGIN, Gone("no such job '{id}'")),
    Row("/nodes/{node}/replication", LOGIN, [], asks.OfGuest),
    Row("/nodes/{node}/replication/{id}/status", LOGIN, Gone("no such job '{id}'")),
    Row("/nodes/{node}/replication/{id}/log", LOGIN, Gone("no such job '{id}'"), asks.Lines),
)


def _sdn(name: str, place: str, takes: type, of_one: type, read: Allow) -> tuple[Row, ...]:
    path = f"/cluster/sdn/{name}"
    one = Row(f"{path}/{{{place}}}", read, Gone(f"sdn '{{{place}}}' does not exist"), of_one)
    return Row(path, LOGIN, [], takes), one


SDN = (
    *_sdn(
        "controllers",
        "controller",
        asks.Controllers,
        asks.Staged,
        Allow("/sdn/controllers/{controller}", "SDN.Allocate"),
    ),
    *_sdn("dns", "dns", asks.Dns, NoParams, Allow("/sdn/dns/{dns}", "SDN.Allocate")),
    Row("/cluster/sdn/fabrics/all", LOGIN, {"fabrics": [], "nodes": []}, asks.Staged),
    Row("/cluster/sdn/fabrics/fabric", LOGIN, [], asks.Staged),
    Row(
        "/cluster/sdn/fabrics/fabric/{id}",
        Allow("/sdn/fabrics/{id}", "SDN.Audit", "SDN.Allocate", any=True),
        Gone("fabric '{id}' does not exist"),
    ),
    Row("/cluster/sdn/fabrics/node", LOGIN, [], asks.Staged),
    Row("/cluster/sdn/fabrics/node/{fabric_id}", Allow("/sdn/fabrics/{fabric_id}", "SDN.Audit"), [], asks.Staged),
    Row("/nodes/{node}/sdn/zones/{zone}/ip-vrf", ZONE, []),
    Row("/nodes/{node}/sdn/vnets/{vnet}/mac-vrf", LOGIN, []),
    *(
        Row(f"/nodes/{{node}}/sdn/fabrics/{{fabric}}/{name}", FABRIC, [])
        for name in ("interfaces", "neighbors", "routes")
    ),
)
CEPH_ROWS = (
    Row("/cluster/ceph/status", CEPH, NO_CEPH),
    Row("/cluster/ceph/flags", AUDIT, NO_CEPH),
    *(
        Row(f"/nodes/{{node}}/ceph/{name}", CEPH, NO_CEPH)
        for name in ("fs", "mds", "mgr", "mon", "osd", "pool", "rules", "status", "cfg/db")
    ),
)
CLUSTERING = (
    Row("/cluster/config/nodes", AUDIT, []),
    Row("/cluster/config/totem", AUDIT, {}),
    Row("/cluster/config/qdevice", AUDIT, {}),
    Row("/cluster/config/join", AUDIT, Gone("node is not in a cluster, no join info available!"), asks.JoinBy),
)
MAPPING = tuple(
    row
    for kind in ("dir", "pci", "usb")
    for row in (
        Row(f"/cluster/mapping/{kind}", LOGIN, [], asks.OnNode),
        Row(
            f"/cluster/mapping/{kind}/{{id}}",
            Allow(f"/mapping/{kind}/{{id}}", "Mapping.Use", "Mapping.Modify", "Mapping.Audit", any=True),
            Gone(f"{kind} mapping '{{id}}' does not exist"),
        ),
    )
)
ROWS: tuple[Row, ...] = (
    *FIREWALL, *CONTAINERS, *HA, *BACKUP, *REPLICATION, *SDN, *CEPH_ROWS, *CLUSTERING, *MAPPING,
)  # fmt: skip


def later_endpoints(built: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The table's rows as endpoints, without those that are built by now."""
    taken = {(e.method, e.schema_path) for e in built}
    found = tuple(_endpoint(row) for row in ROWS)
    return tuple(e for e in found if (e.method, e.schema_path) not in taken)


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        method=row.method,
        path=row.path,
        handler=_handler(row),
        params=path_params(row.path, row.takes),
        config=None,
        allow=row.allow,
        returns=_returns(row.answer),
        help="Answers as where nothing of this feature is set up: it is not built yet.",
        cli="",
        plans=False,
        tokens=True,
        csrf=True,
        stream=False,
        later=True,
    )


def _returns(answer: Any) -> Returns:
    if isinstance(answer, Gone):
        return ANY
    return LIST if isinstance(answer, list) or answer is _ha_quorum else OBJECT


def _handler(row: Row) -> Callable[[Call, Any], Any]:
    answer = row.answer

    async def later(call: Call, p: Any) -> Any:
        if isinstance(answer, Gone):
            raise _gone(answer, call)
        return answer(call) if callable(answer) else answer

    return later


def _gone(answer: Gone, call: Call) -> NotFound | InvalidInput:
    def value(match: re.Match[str]) -> str:
        text = call.sent.get(match[1], "")
        # High availability takes a guest's number for its resource.
        return f"vm:{text}" if match[1] == "sid" and text.isdecimal() else text

    text = PLACE.sub(value, answer.text)
    if answer.parameter:
        return InvalidInput.of(answer.parameter, text)
    return NotFound(
        text, code="not-built-yet", cause="this version does not have the feature yet, so nothing of it exists"
    )
