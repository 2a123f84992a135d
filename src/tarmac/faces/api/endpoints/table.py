"""The table of all endpoints: every module by name, so that nothing is registered by being imported."""

from __future__ import annotations

from tarmac.faces.api.declare import Endpoint, collect
from tarmac.faces.api.endpoints import (
    agent,
    cluster,
    content,
    images,
    login_link,
    nodes,
    qemu,
    qemu_status,
    storage,
    tasks,
    version,
)


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint that this version declares; the index pages are derived from it by the app."""
    return collect(version, cluster, nodes, tasks, qemu, qemu_status, agent, storage, images, login_link)
