"""The table of all endpoints: every module by name, so that nothing is registered by being imported."""

from __future__ import annotations

from tarmac.faces.api.declare import Endpoint, collect
from tarmac.faces.api.endpoints.access import access, audit, login_link, pools, realms, roles, tfa, users
from tarmac.faces.api.endpoints.cluster import (
    attention,
    changes,
    cluster,
    events,
    metrics,
    notifications,
    options,
    realm_jobs,
    rrd,
    tasks,
    version,
)
from tarmac.faces.api.endpoints.guests import (
    agent,
    bulk,
    cloudinit,
    consoles,
    guest_history,
    qemu,
    qemu_clone,
    qemu_status,
    snapshot_schedules,
    snapshots,
)
from tarmac.faces.api.endpoints.networks import addresses, subnets, vnets, zones
from tarmac.faces.api.endpoints.node import acme, capabilities, certificates, devices, info, memory_rules, nodes, system
from tarmac.faces.api.endpoints.storage import content, exports, images, storage, uploads

MODULES = (
    version,
    access,
    realms,
    realm_jobs,
    login_link,
    users,
    tfa,
    audit,
    changes,
    roles,
    pools,
    cluster,
    attention,
    bulk,
    events,
    nodes,
    options,
    info,
    devices,
    system,
    certificates,
    memory_rules,
    acme,
    capabilities,
    tasks,
    qemu,
    qemu_clone,
    qemu_status,
    guest_history,
    snapshots,
    snapshot_schedules,
    agent,
    cloudinit,
    consoles,
    storage,
    content,
    uploads,
    exports,
    images,
    rrd,
    metrics,
    notifications,
    zones,
    vnets,
    subnets,
    addresses,
)


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint that this version declares; the index pages are derived from it by the app."""
    return collect(*MODULES)
