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
    exports,
    images,
    login_link,
    node_info,
    nodes,
    pools,
    qemu,
    qemu_clone,
    qemu_status,
    roles,
    snapshot_schedules,
    snapshots,
    storage,
    tasks,
    users,
    version,
)

MODULES = (
    version,
    access,
    login_link,
    users,
    audit,
    roles,
    pools,
    cluster,
    nodes,
    node_info,
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
)


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint that this version declares; the index pages are derived from it by the app."""
    return collect(*MODULES)
