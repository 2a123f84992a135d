"""From a storage's definition to its driver."""

from __future__ import annotations

from pathlib import Path

from tarmac.drivers.storage.base import FileStorage
from tarmac.drivers.storage.directory import DirectoryStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.storage import StorageDefinition


def build_storage(definition: StorageDefinition, *, jail: Jail) -> FileStorage:
    """The driver of a definition; touches nothing. Raises NotBuilt for another type, InvalidInput without a path."""
    if definition.type != "dir":
        raise NotBuilt(f"storages of type '{definition.type}' are not built yet", evidence=f"type: {definition.type}")
    if definition.path is None:
        raise InvalidInput.of("path", "property is missing and it is not optional")
    mount = definition.required_mount
    return DirectoryStorage(
        definition.storage,
        Path(definition.path),
        jail=jail,
        content=[Content(word) for word in definition.content if word != "none"],
        default_format=str(definition.format),
        preallocation=str(definition.preallocation),
        is_mountpoint=Path(mount) if mount is not None else None,
        create=definition.mkdir and definition.create_base_path,
        layout={Content(word): place for word, place in definition.directories.items()},
    )
