"""The table of all endpoints: every module by name, so that nothing is registered by being imported."""

from __future__ import annotations

from tarmac.faces.api.declare import Endpoint, collect
from tarmac.faces.api.endpoints import (
    access,
    agent,
    audit,
    capabilities,
    cloudinit,
    cluster,
    consoles,
    content,
    events,
    exports,
    images,
    login_link,
    memory_rules,
    metrics,
    node_info,
    nodes,
    notifications,
    pools,
    qemu,
    qemu_clone,
    qemu_status,
    roles,
    rrd,
    snapshot_schedules,
    snapshots,
    storage,
    tasks,
    tfa,
    users,
    version,
)

MODULES = (
    version,
    access,
    login_link,
    users,
    tfa,
    audit,
    roles,
    pools,
    cluster,
    events,
    nodes,
    node_info,
    memory_rules,
    capabilities,
    tasks,
    qemu,
    qemu_clone,
    qemu_status,
    snapshots,
    snapshot_schedules,
    agent,
    cloudinit,
    consoles,
    storage,
    content,
    exports,
    images,
    rrd,
    metrics,
    notifications,
)


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint that this version declares; the index pages are derived from it by the app."""
    return collect(*MODULES)
