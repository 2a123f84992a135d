"""Shapes of what the cluster has."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class ResourceRow(TypedDict):
    """A guest, node, storage, zone or pool. `qmpstatus`: QEMU's word, where it says more than the status."""

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
    sdn: NotRequired[str]


class InverseCall(TypedDict):
    """A call of the API that takes something back; `path` is encoded, a parameter is a text or a list of texts."""

    method: str
    path: str
    parameters: dict[str, str | list[str]]


class FieldChange(TypedDict):
    """A side that has no value is left out; `key` is empty for what is no record (a password)."""

    key: str
    old: NotRequired[Any]
    new: NotRequired[Any]


class ChangedObject(TypedDict):
    kind: str
    name: str
    changes: NotRequired[list[FieldChange]]


class DefinitionChange(TypedDict):
    """`inverse` is empty where there is no way back by a call."""

    id: str
    time: float
    user: str
    what: str
    objects: list[ChangedObject]
    inverse: list[InverseCall]
