"""The definition of a storage: the keys of Proxmox's `storage.cfg`.

Which type has which keys is in `model/storage_types.py`; the keys of types that are not built are known, so that a
client's mistake and a missing feature can be told apart. Source: PVE::Storage::Plugin of Proxmox VE 9.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tarmac.model.errors import InvalidInput
from tarmac.model.formats import FORMATS
from tarmac.model.parse import parse_record
from tarmac.model.settings import setting
from tarmac.model.storage_types import BUILT, MOUNTS, StorageType
from tarmac.model.units import GIB, parse_size

CONTENTS = ("images", "iso", "import", "snippets", "backup", "vztmpl", "rootdir", "none")
TYPES = (
    "btrfs", "cephfs", "cifs", "dir", "esxi", "iscsi", "iscsidirect", "lvm", "lvmthin", "nbd", "nfs", "pbs", "rbd",
    "zfs", "zfspool",
)  # fmt: skip
_OTHER_TYPES_KEYS = (
    "authsupported", "base", "comstar_hg", "comstar_tg", "datastore", "encryption-key", "fingerprint", "fs-name",
    "fuse", "iscsiprovider", "lio_tpg", "master-pubkey", "nowritecache", "skip-cert-verification",
    "snapshot-as-volume-chain", "zfs-base-path",
)  # fmt: skip
_PATH = re.compile(r"(?:/[^\x00-\x1f\x7f/]+)+/?")


def _check_path(text: str) -> None:
    if not _PATH.fullmatch(text) or any(part in (".", "..") for part in text.split("/")):
        raise ValueError("value does not look like a valid absolute path")


FORMATS["pve-storage-path"] = _check_path
_PORTAL = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,;\[\]]+)(:(?P<port>\d{1,5}))?")


def _check_portals(text: str) -> None:
    for one in filter(None, re.split(r"[,;\s]+", text)):
        match = _PORTAL.fullmatch(one)
        if match is None or int(match["port"] or 1) not in range(1, 65536):
            raise ValueError("value does not look like a valid portal address")


def _check_portal(text: str) -> None:
    if len(re.split(r"[,;\s]+", text)) != 1:
        raise ValueError("value does not look like a valid portal address")
    _check_portals(text)


FORMATS["pve-storage-portal-dns"] = _check_portal
FORMATS["pve-storage-portal-dns-list"] = _check_portals
_POOL = r"[a-zA-Z0-9_][a-zA-Z0-9_.:-]{0,126}(/[a-zA-Z0-9_][a-zA-Z0-9_.:-]{0,126}){0,8}"
_CLUSTER = 64 * 1024
_VG = r"[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]{0,126}"


class Preallocation(enum.StrEnum):
    """Append-only: the words are stored."""

    OFF = "off"
    METADATA = "metadata"
    FALLOC = "falloc"
    FULL = "full"


class ImageFormat(enum.StrEnum):
    """Append-only: the words are stored."""

    RAW = "raw"
    QCOW2 = "qcow2"
    SUBVOL = "subvol"
    VMDK = "vmdk"


OtherTypes = dataclasses.make_dataclass(
    "OtherTypes",
    [
        (key.replace("-", "_"), str | None, setting(None, name=key, built=False, help="Of a type not built yet."))
        for key in _OTHER_TYPES_KEYS
    ],
    frozen=True,
    kw_only=True,
    namespace={"__doc__": "Keys that only storages of types not built yet have."},
)


@dataclass(frozen=True, kw_only=True)
class StorageOptions(OtherTypes):  # type: ignore[misc,valid-type]
    """What can be said of a storage when it is made and later."""

    content: tuple[str, ...] = setting(
        ("images", "iso", "import", "snippets", "backup", "vztmpl", "rootdir"),
        choices=CONTENTS,
        help="What the storage may hold.",
    )
    content_dirs: str | None = setting(
        None, name="content-dirs", help="Other directories for contents: `iso=isos,backup=dumps`."
    )
    disable: bool = setting(False, help="The storage is not used.")
    nodes: tuple[str, ...] = setting((), format="pve-node", help="Nodes that have it; empty: all.")
    shared: bool = setting(False, help="All nodes see the same contents.")
    format: ImageFormat | None = setting(
        None, default_text="qcow2; raw for btrfs", help="Format of new images, if none is given."
    )
    preallocation: Preallocation = setting(Preallocation.METADATA, help="What a new image's space is made of at once.")
    is_mountpoint: str | None = setting(
        None, help="`yes`: the path must be a mount point; or the path that must be one."
    )
    mkdir: bool = setting(True, help="Create the directory and its parts. Old form of the next two.")
    create_base_path: bool = setting(True, name="create-base-path", help="Create the directory.")
    create_subdirs: bool = setting(True, name="create-subdirs", help="Create the directories below it.")
    prune_backups: str | None = setting(None, name="prune-backups", help="Which backups are kept.")
    max_protected_backups: int | None = setting(
        None, name="max-protected-backups", ge=-1, help="Protected backups of a guest; -1: as many as wanted."
    )
    bwlimit: str | None = setting(None, unit="KiB/s", help="Limits of copying, by operation.")
    reserve: str | None = setting(
        None,
        default_text="5 % of the storage, at most 20 GiB",
        pattern=r"\d{1,2}(\.\d+)?%|\d{1,15}[KMGT]?",
        help="Space that no new volume may take: percent of the storage, or bytes; 0: no check. (Not of Proxmox.)",
    )
    forecast_days: int = setting(
        1,
        name="forecast-days",
        ge=0,
        le=365,
        help="People are told when the storage will be full within so many days; 0: never. (Not of Proxmox.)",
    )
    nocow: bool = setting(False, help="btrfs: no copy-on-write, and so no checksums, for new raw images.")
    server: str | None = setting(None, format="address", help="nfs, cifs: the file server; nbd: the NBD server.")
    monhost: str | None = setting(
        None, format="pve-storage-portal-dns-list", help="rbd: the monitors; unset: those of the node's ceph.conf."
    )
    pool: str | None = setting(None, pattern=_POOL, default_text="rbd", help="rbd, zfspool: the pool.")
    data_pool: str | None = setting(
        None, name="data-pool", pattern=_VG, help="rbd: the pool for data, where the other one is not erasure coded."
    )
    namespace: str | None = setting(None, pattern=_VG, help="rbd: the namespace in the pool.")
    krbd: bool = setting(False, help="rbd: use the kernel's driver. Only 0 is built.")
    keyring: str | None = setting(
        None, max_length=4096, secret=True, help="rbd: the contents of the user's keyring; unset: no authentication."
    )
    port: int | None = setting(None, ge=1, le=65535, default_text="10809", help="nbd: the server's port.")
    blocksize: str | None = setting(None, pattern=r"\d{1,9}[kKmM]?", help="zfspool: the volumes' block size.")
    saferemove: bool = setting(False, help="lvm: overwrite removed volumes with zeros.")
    saferemove_throughput: str | None = setting(
        None, pattern=r"-?\d{1,15}[kKmMgG]?", help="lvm: at most so many bytes a second of that."
    )
    saferemove_stepsize: str | None = setting(
        None,
        name="saferemove-stepsize",
        choices=("1", "2", "4", "8", "16", "32"),
        unit="MiB",
        help="lvm: bytes at a time of that.",
    )
    tagged_only: bool = setting(False, help="lvm: only volumes with the tag `pve-vm-ID`.")
    sparse: bool = setting(False, help="zfspool: volumes take space when it is written.")
    mountpoint: str | None = setting(None, format="pve-storage-path", help="zfspool: where the pool is mounted.")
    allow_untested: bool = setting(
        False,
        name="allow-untested",
        help="zfspool: use it although it is not yet run against a real kernel. (Not of Proxmox.)",
    )
    options: str | None = setting(None, max_length=512, pattern=r"[^\s,]+(,[^\s,]+)*", help="nfs, cifs: mount options.")
    subdir: str | None = setting(None, format="pve-storage-path", help="cifs: the directory in the share.")
    username: str | None = setting(
        None, max_length=256, pattern=r"[^\s,]+", help="cifs, rbd: who logs in; unset: a guest, admin."
    )
    password: str | None = setting(None, max_length=256, secret=True, help="cifs: the user's password.")
    domain: str | None = setting(None, max_length=256, pattern=r"[^\s,]+", help="cifs: the user's domain.")
    smbversion: str = setting(
        "default", choices=("default", "2.0", "2.1", "3", "3.0", "3.11"), help="cifs: the protocol's version."
    )
    download_hosts: tuple[str, ...] = setting(
        (),
        name="download-hosts",
        format="address",
        help="Hosts inside the own network that downloads to this storage may come from. (Not of Proxmox.)",
    )


@dataclass(frozen=True, kw_only=True)
class StorageDefinition(StorageOptions):
    """One storage as it is stored."""

    storage: str = setting(format="pve-storage-id", help="The storage's identifier.")
    type: str = setting(choices=TYPES, help="The kind of storage.")
    path: str | None = setting(None, format="pve-storage-path", help="The directory.")
    export: str | None = setting(None, format="pve-storage-path", help="nfs: the server's directory.")
    share: str | None = setting(None, max_length=256, pattern=r"[^\s,/\\]+", help="cifs: the share's name.")
    portal: str | None = setting(None, format="pve-storage-portal-dns", help="iscsidirect: the target's address.")
    target: str | None = setting(None, max_length=223, pattern=r"[^\s,/]+", help="iscsidirect: the target's name.")
    vgname: str | None = setting(None, pattern=_VG, help="lvm, lvmthin: the volume group.")
    thinpool: str | None = setting(None, pattern=_VG, help="lvmthin: the thin pool in it.")

    @property
    def kind(self) -> StorageType:
        """What storages of its type have. Raises KeyError for one that is not built."""
        return BUILT[self.type]

    @property
    def directory(self) -> str | None:
        """Where its files lie, None where it has none; file systems of the network have a usual place."""
        if not self.kind.files:
            return None
        return self.path or (f"{MOUNTS}/{self.storage}" if self.kind.network else None)

    @property
    def default_format(self) -> str:
        """The format of new images."""
        return self.format.value if self.format else self.kind.format

    @property
    def is_shared(self) -> bool:
        """Whether all nodes see the same contents."""
        return self.shared or (self.type in BUILT and self.kind.network)

    @property
    def fills_at_once(self) -> bool:
        """Whether an image takes all its space when it is made or grows."""
        return self.preallocation in (Preallocation.FALLOC, Preallocation.FULL)

    def takes_at_once(self, size: int, format: str) -> int:
        """Bytes that a new, empty image of `size` bytes takes: all, or a qcow2 image's tables (8 bytes for where each
        cluster of 64 KiB lies and 2 for its count), or nothing to speak of."""
        if self.fills_at_once:
            return size
        tables = format == "qcow2" and self.preallocation is Preallocation.METADATA
        return size // _CLUSTER * 10 + 4 * _CLUSTER if tables else 0

    def reserved(self, total: int) -> int:
        """Bytes of `total` that no new volume may take."""
        if self.reserve is None:
            return min(total // 20, 20 * GIB)
        if self.reserve.endswith("%"):
            return int(total * float(self.reserve[:-1]) / 100)
        return parse_size(self.reserve)

    @property
    def required_mount(self) -> str | None:
        """The path that must be a mount point, None when none must."""
        word = self.is_mountpoint
        if word is None or word.lower() in ("no", "off", "0", "false"):
            return None
        return self.path if word.lower() in ("yes", "on", "1", "true") else word

    @property
    def directories(self) -> Mapping[str, str]:
        """`content-dirs`, as content to relative directory. Raises ValueError in a wrong text."""
        found = {}
        for item in filter(None, (self.content_dirs or "").split(",")):
            content, equals, place = item.partition("=")
            if not equals or content not in CONTENTS or not _is_relative(place):
                raise ValueError(f"invalid format - '{item}' is not CONTENT=DIRECTORY with a relative directory")
            found[content] = place.strip("/")
        if len(set(found.values())) != len(found):
            raise ValueError("invalid format - two contents cannot share a directory")
        return found


def _is_relative(text: str) -> bool:
    parts = text.strip("/").split("/")
    return not any(part in ("", ".", "..") or part.startswith(".") or not part.isprintable() for part in parts)


def definition_of(texts: Mapping[str, str]) -> StorageDefinition:
    """Texts as a definition; what it holds depends on its type. Raises InvalidInput that names every wrong key."""
    kind = BUILT.get(texts.get("type", ""))
    usual = {"content": ",".join(kind.content)} if kind is not None else {}
    definition = parse_record(StorageDefinition, {**usual, **texts})
    for word in definition.content:
        if kind is not None and word not in kind.contents:
            raise InvalidInput.of("content", f"storage does not support content type '{word}'")
    return definition
