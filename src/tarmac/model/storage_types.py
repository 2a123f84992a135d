"""The types of storages: which keys each has, which it must have, which never change. Source: PVE::Storage::*Plugin of
Proxmox VE 9 (`options`, `properties`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

_COMMON = frozenset({"storage", "type", "content", "nodes", "disable", "bwlimit", "reserve", "forecast-days"})
_FILES = frozenset(
    {
        *("path", "content-dirs", "preallocation", "mkdir", "create-base-path", "create-subdirs", "format"),
        *("prune-backups", "max-protected-backups", "download-hosts"),
    }
)
FILE_CONTENTS = ("images", "iso", "import", "snippets", "backup", "vztmpl", "rootdir")
_UNTESTED = frozenset({"allow-untested"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageType:
    """What can be said of storages of one type.

    keys      beside those that all types have;  required: without these there is none
    fixed     set when it is made, never changed
    format    of images, where the definition names none
    network   every node that has it sees the same contents
    secrets   keys that are kept apart and never shown
    contents  what such storages can hold;  content: what they hold where the definition does not say
    files     their volumes are files in a directory
    untested  they have not yet been run against a real kernel: a definition must say that this is wanted"""

    keys: frozenset[str]
    required: tuple[str, ...]
    fixed: frozenset[str]
    format: str = "qcow2"
    network: bool = False
    secrets: frozenset[str] = frozenset()
    contents: tuple[str, ...] = (*FILE_CONTENTS, "none")
    content: tuple[str, ...] = FILE_CONTENTS
    files: bool = True
    untested: bool = False

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
    "rbd": StorageType(
        keys=frozenset({"monhost", "pool", "data-pool", "namespace", "username", "krbd", "keyring"}),
        required=(),
        fixed=frozenset(),
        format="raw",
        network=True,
        secrets=frozenset({"keyring"}),
        contents=("images", "rootdir", "none"),
        content=("images",),
        files=False,
    ),
    "iscsidirect": StorageType(
        keys=frozenset({"portal", "target"}),
        required=("portal", "target"),
        fixed=frozenset({"portal", "target"}),
        format="raw",
        network=True,
        contents=("images", "none"),
        content=("images",),
        files=False,
    ),
    "nbd": StorageType(
        keys=frozenset({"server", "port"}),
        required=("server",),
        fixed=frozenset({"server", "port"}),
        format="raw",
        network=True,
        contents=("images", "none"),
        content=("images",),
        files=False,
    ),
    "lvm": StorageType(
        keys=_UNTESTED
        | {"vgname", "base", "shared", "saferemove", "saferemove_throughput", "saferemove-stepsize", "tagged_only"},
        required=("vgname",),
        fixed=frozenset({"vgname", "base"}),
        format="raw",
        contents=("images", "rootdir", "none"),
        content=("images",),
        files=False,
    ),
    "lvmthin": StorageType(
        keys=_UNTESTED | {"vgname", "thinpool"},
        required=("vgname", "thinpool"),
        fixed=frozenset({"vgname", "thinpool"}),
        format="raw",
        contents=("images", "rootdir", "none"),
        content=("images", "rootdir"),
        files=False,
    ),
    "zfspool": StorageType(
        keys=_UNTESTED | {"pool", "blocksize", "sparse", "mountpoint"},
        required=("pool",),
        fixed=frozenset({"pool"}),
        format="raw",
        contents=("images", "rootdir", "none"),
        content=("images", "rootdir"),
        files=False,
        untested=True,
    ),
}
MOUNTS = "/mnt/pve"
"""Below it, as in Proxmox, network file systems are mounted that say no `path`."""
