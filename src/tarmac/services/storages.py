"""The storages: their definitions (Proxmox's `/storage`), their drivers on this node, and what they hold.

Definitions stand in the state store under `storages/<id>`. `local` always exists: a directory of the daemon's own, as
in Proxmox, until a definition of that name says otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.base import FileStorage, Storage
from tarmac.drivers.storage.volume_names import Content
from tarmac.drivers.store.base import Compare, Store
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotBuilt, NotFound, TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.settings import find_setting
from tarmac.model.storage import BUILT_TYPES, StorageDefinition, definition_of, unbuilt_keys
from tarmac.services.storage_probe import PROBE_SECONDS, StorageProbe

PREFIX = "storages/"
LOCAL = "local"
CHANGED = "detected modified configuration - file changed by other user? Try again."
_NO_REMOVAL = frozenset({"storage", "type", "path"})
Build = Callable[[StorageDefinition], FileStorage]


class Storages:
    """Definitions and drivers. `build` makes the driver of a definition (the composition root knows how); `data` is
    the directory of the storage `local`."""

    def __init__(self, *, node: str, store: Store, build: Build, data: Path, probe: StorageProbe | None = None) -> None:
        self.node = node
        self._store = store
        self._build = build
        self._local = {"storage": LOCAL, "type": "dir", "path": str(data)}
        self.probe = probe or StorageProbe()
        self._texts: dict[str, dict[str, str]] = {LOCAL: dict(self._local)}
        self._revisions: dict[str, int] = {}
        self._definitions: dict[str, StorageDefinition] = {LOCAL: definition_of(self._local)}
        self._drivers: dict[str, FileStorage] = {}

    async def start(self) -> None:
        """Read the definitions and make the drivers ready. A storage that cannot be used is shown inactive with its
        reason; it does not keep the daemon from starting."""
        for entry in await self._store.range(PREFIX):
            self._take(json.loads(entry.value)["texts"], entry.revision)
        drivers = [driver for id in sorted(self._definitions) if (driver := self._driver(id)) is not None]
        async with asyncio.TaskGroup() as group:
            for driver in drivers:
                group.create_task(self._try_activate(driver))
        await self.refresh()

    async def refresh(self) -> None:
        """Probe every storage of this node; the daemon calls it every few seconds."""
        await self.probe.refresh([d for id in sorted(self._definitions) if (d := self._driver(id)) is not None])

    async def _try_activate(self, driver: FileStorage) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await driver.activate()
        except (TimeoutError, TarmacError):
            pass  # the probe that follows finds and keeps the reason

    def _take(self, texts: Mapping[str, str], revision: int) -> None:
        definition = definition_of(texts)
        id = definition.storage
        self._texts[id] = dict(texts)
        self._revisions[id] = revision
        self._definitions[id] = definition
        self._drivers.pop(id, None)

    # -- definitions --------------------------------------------------------------------------------------------

    @property
    def digest(self) -> str:
        """SHA-1 over all definitions, as Proxmox's over `storage.cfg`."""
        text = json.dumps({id: self._texts[id] for id in sorted(self._texts)}, sort_keys=True)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def definitions(self, type: str | None = None) -> list[dict[str, Any]]:
        """Rows of `GET /storage`."""
        return [self.definition(id) for id, d in sorted(self._definitions.items()) if type is None or d.type == type]

    def definition(self, id: str) -> dict[str, Any]:
        """`GET /storage/{storage}`: the keys as they were set, with the digest. Raises NotFound."""
        self._known(id)
        shown = {key: _shown(key, text) for key, text in self._texts[id].items()}
        return {**shown, "content": ",".join(sorted(self._definitions[id].content)), "digest": self.digest}

    def _known(self, id: str) -> StorageDefinition:
        try:
            return self._definitions[id]
        except KeyError:
            raise NotFound(f"storage '{id}' does not exist", code="no-such-storage") from None

    async def create(self, texts: Mapping[str, str]) -> dict[str, str]:
        """`POST /storage`. The directory is made and looked at before the definition is stored.

        Raises InvalidInput, NotBuilt for another type, Conflict for a taken id; nothing is stored then."""
        definition = self._checked(texts)
        id = definition.storage
        if id in self._definitions and (id != LOCAL or id in self._revisions):
            raise Conflict(f"storage ID '{id}' already defined", code="storage-exists")
        await self._usable(definition)
        await self._write(id, texts, expect=0)
        return {"storage": id, "type": definition.type}

    async def update(
        self, id: str, texts: Mapping[str, str], *, delete: Sequence[str] = (), digest: str | None = None
    ) -> dict[str, str]:
        """`PUT /storage/{storage}`. Raises NotFound, InvalidInput, Conflict (another digest, changed meanwhile)."""
        self._known(id)
        if digest is not None and digest != self.digest:
            raise Conflict(CHANGED, code="digest-mismatch", evidence=f"you sent {digest}, it is {self.digest}")
        problems = {key: f"unable to delete fixed or unknown option '{key}'" for key in delete if not _removable(key)}
        problems |= {key: "cannot be set and deleted at once" for key in delete if key in texts}
        problems |= {
            key: f"can't change value of fixed parameter '{key}'"
            for key in _NO_REMOVAL
            if key in texts and texts[key] != self._texts[id].get(key)
        }
        if problems:
            raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)
        merged = {key: text for key, text in (self._texts[id] | dict(texts)).items() if key not in delete}
        definition = self._checked(merged)
        if not definition.disable:
            await self._usable(definition)
        await self._write(id, merged, expect=self._revisions.get(id, 0))
        return {"storage": id, "type": definition.type}

    async def delete(self, id: str, *, used_by: Sequence[int] = ()) -> None:
        """`DELETE /storage/{storage}`: forgets the definition; the volumes stay where they are. `used_by`: guests that
        refer to it. Raises NotFound, Conflict while guests refer to it, InvalidInput for `local`."""
        self._known(id)
        if id == LOCAL:
            raise InvalidInput(
                "storage 'local' cannot be removed",
                code="storage-local",
                cause="it is the daemon's own directory",
                fixes=[Fix(text="disable it", action=f"PUT /storage/{id}", parameters={"disable": "1"})],
            )
        if used_by:
            raise Conflict(
                f"storage '{id}' is in use",
                code="storage-in-use",
                cause="configurations of guests refer to its volumes",
                evidence="guests " + ", ".join(map(str, used_by)),
            )
        await self._store.transact([Compare.unchanged(PREFIX + id, self._revisions[id])], deletes=[PREFIX + id])
        del self._texts[id], self._revisions[id], self._definitions[id]
        self._drivers.pop(id, None)
        self.probe.forget(id)

    def _checked(self, texts: Mapping[str, str]) -> StorageDefinition:
        definition = definition_of(texts)
        if definition.type not in BUILT_TYPES:
            raise NotBuilt(
                f"storages of type '{definition.type}' are not built yet",
                evidence=f"type: {definition.type}",
                fixes=[Fix(text=f"mount it on the node and use type {BUILT_TYPES[0]} with its path")],
            )
        if unbuilt := unbuilt_keys(texts):
            key = unbuilt[0]
            raise InvalidInput.of(key, f"unexpected property '{key}' for storage type '{definition.type}'")
        if definition.path is None:
            raise InvalidInput.of("path", "property is missing and it is not optional")
        try:
            _ = definition.directories
        except ValueError as problem:
            raise InvalidInput.of("content-dirs", str(problem)) from None
        return definition

    async def _usable(self, definition: StorageDefinition) -> None:
        """Raises what the driver raises when it cannot be used now."""
        if not definition.nodes or self.node in definition.nodes:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._build(definition).activate()

    async def _write(self, id: str, texts: Mapping[str, str], *, expect: int) -> None:
        value = json.dumps({"format": 1, "texts": dict(texts)}).encode()
        revision = await self._store.put(PREFIX + id, value, expect=expect)
        self._take(texts, revision)
        if (driver := self._driver(id)) is not None:
            await self._try_activate(driver)  # what it can do depends on the file system below
            await self.probe.fresh(driver)

    # -- drivers ------------------------------------------------------------------------------------------------

    def _driver(self, id: str) -> FileStorage | None:
        """The driver, None when the storage is disabled or not on this node."""
        definition = self._definitions[id]
        if definition.disable or (definition.nodes and self.node not in definition.nodes):
            return None
        if id not in self._drivers:
            self._drivers[id] = self._build(definition)
        return self._drivers[id]

    def get(self, id: str, content: Content | None = None) -> FileStorage:
        """The driver of a storage that can be used here, for volumes of `content`.

        Raises NotFound (unknown), WrongState (disabled, not on this node), InvalidInput (content not allowed)."""
        definition = self._known(id)
        driver = self._driver(id)
        if driver is None:
            why = "is disabled" if definition.disable else f"is not available on node '{self.node}'"
            raise WrongState(f"storage '{id}' {why}", code="storage-not-here")
        if content is not None and content not in driver.content:
            raise InvalidInput(
                f"storage '{id}' does not support '{content}' content",
                code="storage-content",
                evidence=f"content: {','.join(sorted(definition.content))}",
                fixes=[Fix(text=f"allow '{content}' in the storage's definition", action=f"PUT /storage/{id}")],
            )
        return driver

    def of(self, volid: VolumeId | str) -> tuple[Storage, VolumeId]:
        """The storage of a volume. Raises InvalidInput, NotFound."""
        try:
            parsed = volid if isinstance(volid, VolumeId) else VolumeId.parse(volid)
        except ValueError as problem:
            raise InvalidInput(str(problem), code="volume-id") from None
        return self.get(parsed.storage), parsed

    def usable(self) -> list[FileStorage]:
        """The drivers of this node's enabled storages."""
        return [driver for id in sorted(self._definitions) if (driver := self._driver(id)) is not None]

    def definition_record(self, id: str) -> StorageDefinition:
        """The typed definition. Raises NotFound."""
        return self._known(id)


def _removable(key: str) -> bool:
    return key not in _NO_REMOVAL and find_setting(StorageDefinition, key) is not None


def _shown(key: str, text: str) -> Any:
    """A stored text as the API gives it: booleans and numbers as numbers."""
    found = find_setting(StorageDefinition, key)
    return int(text) if found is not None and found[0].kind in ("boolean", "integer") else text
