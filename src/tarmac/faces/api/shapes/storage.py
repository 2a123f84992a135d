"""Shapes of storages and of what they hold."""

from __future__ import annotations

from typing import NotRequired, TypedDict

StorageStatus = TypedDict(
    "StorageStatus",
    {
        "type": str,
        "content": str,
        "enabled": int,
        "shared": int,
        "active": int,
        "total": int,
        "used": int,
        "avail": int,
        "used_fraction": NotRequired[float],
        "reserve": NotRequired[int],
        "committed": NotRequired[int],
        "growth": NotRequired[int],
        "full-in": NotRequired[int],
        "warning": NotRequired[str],
        "stale": NotRequired[int],
        "age": NotRequired[int],
        "problem": NotRequired[str],
    },
)


class StorageRow(StorageStatus):
    storage: str


class Volume(TypedDict):
    volid: str
    content: str
    format: str
    size: int
    ctime: int
    used: NotRequired[int]
    vmid: NotRequired[int]
    parent: NotRequired[str]


class Orphan(Volume):
    reason: str


UploadRow = TypedDict(
    "UploadRow",
    {
        "upload": str,
        "storage": str,
        "content": str,
        "filename": str,
        "size": int,
        "offset": int,
        "created": int,
        "expires": int,
        "checksum": NotRequired[str],
        "checksum-algorithm": NotRequired[str],
        "task": NotRequired[str],
    },
)
