"""Shapes of guests: one guest's status, its pending changes, snapshots and clones."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from tarmac.faces.api.shapes.common import ErrorParts


class InstantOrigin(TypedDict):
    """Where an instant clone came from."""

    template: int
    identity: str
    left: NotRequired[Any]


GuestStatus = TypedDict(
    "GuestStatus",
    {
        "vmid": int,
        "name": str,
        "status": Literal["running", "stopped"],
        "qmpstatus": str,
        "possible": list[str],
        "cpus": float,
        "cpu": float,
        "mem": int,
        "maxmem": int,
        "maxdisk": int,
        "uptime": int,
        "netin": int,
        "netout": int,
        "diskread": int,
        "diskwrite": int,
        "agent": int,
        "memhost": NotRequired[int],
        "pid": NotRequired[int],
        "lock": NotRequired[str | None],
        "tags": NotRequired[str],
        "template": NotRequired[int],
        "accelerator": NotRequired[str],
        "accelerator-reason": NotRequired[str],
        "running-qemu": NotRequired[str],
        "last-exit": NotRequired[str],
        "note": NotRequired[str],
        "task": NotRequired[str],
        "io-error": NotRequired[ErrorParts],
        "live": NotRequired[int],
        "memory-held": NotRequired[int],
        "memory-private": NotRequired[int],
        "memory-shared": NotRequired[int],
        "instant-clones": NotRequired[int],
        "instant": NotRequired[InstantOrigin],
    },
)


class PendingRow(TypedDict):
    """A setting: what is, and what waits for the next start."""

    key: str
    value: NotRequired[str | int]
    pending: NotRequired[str | int]
    delete: NotRequired[int]


class SnapshotRow(TypedDict):
    """A point in time; `current` is now."""

    name: str
    description: NotRequired[str]
    parent: NotRequired[str]
    snaptime: NotRequired[int]
    vmstate: NotRequired[int]


CloneRow = TypedDict(
    "CloneRow",
    {
        "vmid": int,
        "name": str,
        "linked": int,
        "volumes": NotRequired[list[str]],
        "version": NotRequired[str],
        "current": NotRequired[int],
        "source-name": NotRequired[str],
        "cloned": NotRequired[float],
        "snapshot": NotRequired[str],
    },
)

IpAddress = TypedDict("IpAddress", {"ip-address": str, "ip-address-type": str, "prefix": int})
AgentInterface = TypedDict(
    "AgentInterface",
    {"name": str, "hardware-address": NotRequired[str], "ip-addresses": NotRequired[list[IpAddress]]},
)


class AgentInterfaces(TypedDict):
    """What the guest agent says of the guest's network cards."""

    result: list[AgentInterface]


class ConsoleOffer(TypedDict):
    """A console that waits to be opened over a WebSocket."""

    port: int | str
    ticket: str
    user: str
    password: NotRequired[str]
