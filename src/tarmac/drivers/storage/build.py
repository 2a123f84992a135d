"""From a storage's definition to its driver: a new kind is one entry of `BUILDERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.block import iscsi, lvm, nbd, rbd, zfs
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.directory.btrfs import BtrfsStorage
from tarmac.drivers.storage.directory.mounted import MountedStorage
from tarmac.drivers.storage.directory.mounts import mount_of
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import InvalidInput
from tarmac.model.storage import StorageDefinition

Builder = Callable[[StorageDefinition, Mapping[str, str], Means], Storage]


def build_storage(definition: StorageDefinition, secrets: Mapping[str, str], *, means: Means) -> Storage:
    """The driver of a definition of a built type; touches nothing. Raises InvalidInput for what it lacks."""
    return BUILDERS[definition.type](definition, secrets, means)


def _file_storage(definition: StorageDefinition, secrets: Mapping[str, str], means: Means) -> Storage:
    if definition.directory is None:
        raise InvalidInput.of("path", "property is missing and it is not optional")
    required = definition.required_mount
    settings: dict[str, Any] = {
        "jail": means.jail,
        "content": [Content(word) for word in definition.content if word != "none"],
        "default_format": definition.default_format,
        "preallocation": str(definition.preallocation),
        "is_mountpoint": Path(required) if required is not None else None,
        "create": definition.mkdir and definition.create_base_path,
        "layout": {Content(word): place for word, place in definition.directories.items()},
        "shared": definition.is_shared,
    }
    if (mount := mount_of(definition, secrets.get("password"), means.group)) is not None:
        if mount.type == "cifs" and means.group is not None:  # a jailed tool writes there by the group, too
            settings["jail"] = Jail(uid=means.jail.uid, gid=means.group, limits=means.jail.limits)
        return MountedStorage(definition.storage, mount, **settings)
    path = Path(definition.directory)
    if definition.type == "btrfs":
        return BtrfsStorage(definition.storage, path, nocow=definition.nocow, **settings)
    return DirectoryStorage(definition.storage, path, **settings)


BUILDERS: Mapping[str, Builder] = {
    "dir": _file_storage,
    "btrfs": _file_storage,
    "nfs": _file_storage,
    "cifs": _file_storage,
    "rbd": rbd.build,
    "iscsidirect": iscsi.build,
    "nbd": nbd.build,
    "lvm": lvm.build,
    "lvmthin": lvm.build_thin,
    "zfspool": zfs.build,
}
