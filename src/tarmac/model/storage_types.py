"""The types of storages: which keys each has, which it must have, which never change. Source: PVE::Storage::*Plugin of
Proxmox VE 9 (`options`, `properties`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

_COMMON = frozenset(
    {
        *("storage", "type", "content", "nodes", "disable", "format", "bwlimit", "prune-backups"),
        *("max-protected-backups", "download-hosts", "reserve", "forecast-days"),
    }
)
_FILES = frozenset({"path", "content-dirs", "preallocation", "mkdir", "create-base-path", "create-subdirs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageType:
    """What can be said of storages of one type.

    keys      beside those that all types have;  required: without these there is none
    fixed     set when it is made, never changed
    format    of images, where the definition names none
    network   every node that has it sees the same contents
    secrets   keys that are kept apart and never shown"""

    keys: frozenset[str]
    required: tuple[str, ...]
    fixed: frozenset[str]
    format: str = "qcow2"
    network: bool = False
    secrets: frozenset[str] = frozenset()

    def refused(self, keys: Collection[str]) -> list[str]:
        """Those of `keys` that storages of this type do not have."""
        return sorted(set(keys) - self.keys - _COMMON)


BUILT: Mapping[str, StorageType] = {
    "dir": StorageType(
        keys=_FILES | {"shared", "is_mountpoint"},
        required=("path",),
        fixed=frozenset({"path"}),
    ),
    "btrfs": StorageType(
        keys=_FILES | {"is_mountpoint", "nocow"},
        required=("path",),
        fixed=frozenset({"path"}),
        format="raw",
    ),
    "nfs": StorageType(
        keys=_FILES | {"server", "export", "options"},
        required=("server", "export"),
        fixed=frozenset({"path", "server", "export"}),
        network=True,
    ),
    "cifs": StorageType(
        keys=_FILES | {"server", "share", "subdir", "username", "password", "domain", "smbversion", "options"},
        required=("server", "share"),
        fixed=frozenset({"path", "server", "share", "subdir"}),
        network=True,
        secrets=frozenset({"password"}),
    ),
}
MOUNTS = "/mnt/pve"
"""Below it, as in Proxmox, network file systems are mounted that say no `path`."""
