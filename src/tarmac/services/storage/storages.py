"""The storages: their definitions (Proxmox's `/storage`), their drivers on this node, and what they hold.

Definitions stand in the state store under `storages/<id>`, their secrets apart under `secrets/storages/<id>`; these
are never shown. `local` always exists: a directory of the daemon's own, as
in Proxmox, until a definition of that name says otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tarmac.drivers.storage.base import FileStorage, Storage
from tarmac.drivers.storage.volume_names import Content
from tarmac.drivers.store.base import Compare, Store
from tarmac.model.digest import check_digest
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound, TarmacError, WrongState
from tarmac.model.ids import VolumeId
from tarmac.model.storage import StorageDefinition, definition_of
from tarmac.services.change_record import change_entry
from tarmac.services.storage.definition_rules import check_update, checked, parted, shown_value
from tarmac.services.storage.patience import does_not_answer, patient
from tarmac.services.storage.probe import PROBE_SECONDS, StorageProbe
from tarmac.services.storage.space import StorageSpace

PREFIX = "storages/"
SECRETS = "secrets/storages/"
LOCAL = "local"
log = logging.getLogger(__name__)
Build = Callable[[StorageDefinition, Mapping[str, str]], Storage]


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
        self._drivers: dict[str, Storage] = {}
        self._secrets: dict[str, dict[str, str]] = {}
        self._ready: set[str] = set()
        self.space = StorageSpace(self.definition_record)

    async def start(self) -> None:
        """Read the definitions and make the drivers ready. A storage that cannot be used is shown inactive with its
        reason; it does not keep the daemon from starting."""
        for entry in await self._store.range(SECRETS):
            self._secrets[entry.key.removeprefix(SECRETS)] = json.loads(entry.value)["texts"]
        for entry in await self._store.range(PREFIX):
            self._take(json.loads(entry.value)["texts"], entry.revision)
        await self.refresh()

    async def refresh(self) -> None:
        """Probe every storage of this node, each on its own; one that is not ready is made ready if that is possible
        by now. The daemon calls it every few seconds."""
        drivers = self.usable()
        async with asyncio.TaskGroup() as group:
            for driver in drivers:
                if driver.id not in self._ready:
                    group.create_task(self._make_ready(driver))
        await self.probe.refresh(drivers)
        for driver in drivers:
            if (probed := self.probe[driver.id]).active and probed.status is not None:
                self.space.take(driver.id, probed.status)

    async def count(self) -> None:
        """Add up what the images of each storage may still take; the daemon calls it now and then."""
        for driver in self.usable():
            if self.probe[driver.id].active:
                with contextlib.suppress(TarmacError, OSError):
                    await self.space.count(driver)

    async def _make_ready(self, driver: Storage) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await driver.activate()
            self._ready.add(driver.id)
        except (TimeoutError, TarmacError, OSError):
            pass  # the probe that follows finds and keeps the reason

    def _take(self, texts: Mapping[str, str], revision: int) -> None:
        definition = definition_of(texts)
        id = definition.storage
        self._texts[id] = dict(texts)
        self._revisions[id] = revision
        self._definitions[id] = definition
        self._drivers.pop(id, None)
        self._ready.discard(id)

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
        shown = {key: shown_value(key, text) for key, text in self._texts[id].items()}
        return {**shown, "content": ",".join(sorted(self._definitions[id].content)), "digest": self.digest}

    def _known(self, id: str) -> StorageDefinition:
        try:
            return self._definitions[id]
        except KeyError:
            raise NotFound(
                f"storage '{id}' does not exist",
                code="no-such-storage",
                cause="no storage of this name is defined",
                evidence=f"defined are: {', '.join(sorted(self._definitions))}",
                fixes=[Fix(text="see what there is", action="tarmac storage list")],
            ) from None

    async def create(self, texts: Mapping[str, str], *, by: str = "") -> dict[str, str]:
        """`POST /storage`. The directory is made and looked at before the definition is stored.

        Raises InvalidInput, NotBuilt for another type, Conflict for a taken id; nothing is stored then."""
        definition = checked(texts)
        id = definition.storage
        if id in self._definitions and (id != LOCAL or id in self._revisions):
            raise Conflict(f"storage ID '{id}' already defined", code="storage-exists")
        plain, secrets = parted(definition, texts)
        await self._usable(definition, secrets)
        await self._write(id, plain, secrets, expect=0, by=by)
        return {"storage": id, "type": definition.type}

    async def update(
        self,
        id: str,
        texts: Mapping[str, str],
        *,
        delete: Sequence[str] = (),
        digest: str | None = None,
        by: str = "",
    ) -> dict[str, str]:
        """`PUT /storage/{storage}`. Raises NotFound, InvalidInput, Conflict (another digest, changed meanwhile)."""
        self._known(id)
        check_digest(digest, self.digest)
        check_update(self._definitions[id], self._texts[id], texts, delete)
        before = self._texts[id] | self._secrets.get(id, {})
        merged = {key: text for key, text in (before | dict(texts)).items() if key not in delete}
        definition = checked(merged)
        plain, secrets = parted(definition, merged)
        if not definition.disable:
            await self._usable(definition, secrets)
        await self._write(id, plain, secrets, expect=self._revisions.get(id, 0), by=by)
        return {"storage": id, "type": definition.type}

    async def delete(self, id: str, *, used_by: Sequence[int] = (), by: str = "") -> None:
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
        unchanged = Compare.unchanged(PREFIX + id, self._revisions[id])
        told = self._told(id, None, {}, by=by, what=f"remove storage {id}")
        await self._store.transact([unchanged], puts=told, deletes=[PREFIX + id, SECRETS + id])
        driver = self._drivers.pop(id, None)
        del self._texts[id], self._revisions[id], self._definitions[id]
        self._secrets.pop(id, None)
        self._ready.discard(id)
        self.probe.forget(id)
        self.space.forget(id)
        if driver is not None:
            await self._let_go(driver)

    async def _let_go(self, driver: Storage) -> None:
        """Unmount what a forgotten storage had mounted; one that hangs or is in use stays mounted, and says so."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await driver.deactivate()
        except (TimeoutError, TarmacError) as problem:
            log.warning("a storage stays mounted", extra={"storage": driver.id, "problem": str(problem)})

    async def _usable(self, definition: StorageDefinition, secrets: Mapping[str, str]) -> None:
        """Raises what the driver raises when it cannot be used now, Unavailable when it hangs."""
        if not definition.nodes or self.node in definition.nodes:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._build(definition, secrets).activate()
            except TimeoutError:
                raise does_not_answer(definition.storage, PROBE_SECONDS) from None

    def _told(
        self, id: str, texts: Mapping[str, str] | None, secrets: Mapping[str, str], *, by: str, what: str
    ) -> dict[str, bytes]:
        """The change for the history; `secrets` marks a side of it that something secret belongs to."""
        was = self._texts.get(id)
        hidden = {"secrets": "1"} if secrets != self._secrets.get(id, {}) else {}
        before = None if was is None else {**was, **hidden}
        after = None if texts is None else {**texts, **hidden}
        key = f"storage/{id}"
        return change_entry("storages", by=by, what=what, before={key: before}, after={key: after})

    async def _write(
        self, id: str, texts: Mapping[str, str], secrets: Mapping[str, str], *, expect: int, by: str
    ) -> None:
        verb = "change" if id in self._texts else "define"
        puts = {PREFIX + id: _record(texts), **self._told(id, texts, secrets, by=by, what=f"{verb} storage {id}")}
        if secrets:
            puts[SECRETS + id] = _record(secrets)
        gone = [] if secrets else [SECRETS + id]
        revision = await self._store.transact([Compare.unchanged(PREFIX + id, expect)], puts=puts, deletes=gone)
        self._secrets[id] = dict(secrets)
        self._take(texts, revision)
        self.probe.forget(id)  # what was known is of another definition
        if (driver := self._driver(id)) is not None:
            await self._make_ready(driver)
            await self.probe.fresh(driver)

    # -- drivers ------------------------------------------------------------------------------------------------

    def _driver(self, id: str) -> Storage | None:
        """The driver, None when the storage is disabled or not on this node."""
        definition = self._definitions[id]
        if definition.disable or (definition.nodes and self.node not in definition.nodes):
            return None
        if id not in self._drivers:
            self._drivers[id] = patient(self._build(definition, self._secrets.get(id, {})))
        return self._drivers[id]

    def get(self, id: str, content: Content | None = None) -> Storage:
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

    def files(self, id: str, content: Content | None = None) -> FileStorage:
        """`get`, for what only storages of files can. Raises InvalidInput for another one, too."""
        driver = self.get(id, content)
        if not driver.capabilities.files:
            raise InvalidInput(
                f"storage '{id}' holds no files",
                code="storage-no-files",
                cause="its volumes are no files: it takes no uploads, saved states or live templates",
                evidence=f"type: {self._definitions[id].type}",
                fixes=[Fix(text="use a storage of files for this, for instance 'local'")],
            )
        return cast(FileStorage, driver)

    def file_of(self, volid: VolumeId | str) -> tuple[FileStorage, VolumeId]:
        """The storage of a volume that is a file. Raises InvalidInput for a volume that is none, NotFound."""
        _, parsed = self.of(volid)
        return self.files(parsed.storage), parsed

    def of(self, volid: VolumeId | str) -> tuple[Storage, VolumeId]:
        """The storage of a volume. Raises InvalidInput, NotFound."""
        try:
            parsed = volid if isinstance(volid, VolumeId) else VolumeId.parse(volid)
        except ValueError as problem:
            raise InvalidInput(str(problem), code="volume-id") from None
        return self.get(parsed.storage), parsed

    def usable(self) -> list[Storage]:
        """The drivers of this node's enabled storages."""
        return [driver for id in sorted(self._definitions) if (driver := self._driver(id)) is not None]

    def definition_record(self, id: str) -> StorageDefinition:
        """The typed definition. Raises NotFound."""
        return self._known(id)


def _record(texts: Mapping[str, str]) -> bytes:
    return json.dumps({"format": 1, "texts": dict(texts)}).encode()
