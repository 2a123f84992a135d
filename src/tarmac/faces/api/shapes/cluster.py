"""Shapes of what the cluster has."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class ResourceRow(TypedDict):
    """A guest, node, storage or pool. `qmpstatus`: QEMU's word, where it says more than the status."""

    id: str
    type: str
    node: NotRequired[str]
    status: NotRequired[str]
    qmpstatus: NotRequired[str]
    name: NotRequired[str]
    vmid: NotRequired[int]
    template: NotRequired[int]
    tags: NotRequired[str]
    pool: NotRequired[str]
    lock: NotRequired[str]
    cpu: NotRequired[float]
    maxcpu: NotRequired[float]
    mem: NotRequired[int]
    maxmem: NotRequired[int]
    disk: NotRequired[int]
    maxdisk: NotRequired[int]
    uptime: NotRequired[int]
    netin: NotRequired[int]
    netout: NotRequired[int]
    diskread: NotRequired[int]
    diskwrite: NotRequired[int]
    storage: NotRequired[str]
    content: NotRequired[str]
    shared: NotRequired[int]
    warning: NotRequired[str]
