"""The table of all endpoints: every module by name, so that nothing is registered by being imported."""

from __future__ import annotations

from tarmac.faces.api.declare import Endpoint, collect
from tarmac.faces.api.endpoints import (
    access,
    agent,
    cloudinit,
    cluster,
    consoles,
    content,
    events,
    exports,
    images,
    login_link,
    metrics,
    nodes,
    notifications,
    qemu,
    qemu_clone,
    qemu_status,
    roles,
    rrd,
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
    roles,
    cluster,
    events,
    nodes,
    tasks,
    qemu,
    qemu_clone,
    qemu_status,
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
