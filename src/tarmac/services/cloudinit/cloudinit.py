"""Cloud-init: the documents of a guest, generated or its owner's own, and the medium that carries them.

A document comes, first found first taken, from what was set by the API (kept in the state store), from `cicustom`
(a snippet volume), or from the configuration. The medium is an image of the guest's (`vm-100-cloudinit.qcow2`); it is
brought up to date before each start and on request, and only when something changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tarmac.drivers.storage.nocloud import build_iso
from tarmac.drivers.storage.values import NewImage
from tarmac.drivers.storage.volume_names import Content, cloudinit_stem
from tarmac.drivers.store.base import Store
from tarmac.lib.files import read_bounded
from tarmac.lib.process import run
from tarmac.model.cloudinit import CiCustom
from tarmac.model.errors import HostFailure, InvalidInput, NotBuilt, NotFound, TarmacError
from tarmac.model.ids import VolumeId
from tarmac.model.job import PlannedStep
from tarmac.model.parse import parse_property_string
from tarmac.model.units import MIB
from tarmac.model.vm import VmConfig
from tarmac.services.cloudinit.documents import HostDns, cloudinit_texts, meta_data, network_config, user_data
from tarmac.services.cloudinit.schema import DOCUMENT_MAX, Checked, Schemas
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages
from tarmac.services.storage.volume_plans import check_allocates
from tarmac.services.storage.volumes import NewVolume

log = logging.getLogger(__name__)

PREFIX = "cloudinit/"
KINDS = ("user", "network", "meta", "vendor")
MEDIUM_BYTES = 4 * MIB
_FILES = {"user": "user-data", "network": "network-config", "meta": "meta-data", "vendor": "vendor-data"}
_HASHED = re.compile(r"\$(?:[1567y]|2[aby]|gy|sm3)\$.+\$.+")


class ConfiguredGuest(Protocol):
    """As much of a guest as its documents need."""

    @property
    def vmid(self) -> int: ...
    @property
    def config(self) -> VmConfig: ...


class CloudInit:
    """`guest(vmid)` finds a guest (raises NotFound)."""

    def __init__(
        self,
        *,
        store: Store,
        storages: Storages,
        schemas: Schemas,
        registry: Registry,
        guest: Callable[[int], ConfiguredGuest],
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        self._store = store
        self._storages = storages
        self._schemas = schemas
        self._guest = guest
        self._resolv_conf = resolv_conf
        registry.step("cloudinit-write", self._do_write)

    async def fetch_schemas(self) -> None:
        """Have cloud-init's schemas at hand, once; where they cannot be had, documents are checked without them."""
        try:
            await self._schemas.fetch()
        except TarmacError as problem:
            log.info("no cloud-init schemas: %s", problem.message, extra={"evidence": problem.evidence[-300:]})

    # -- documents ----------------------------------------------------------------------------------------------

    async def dump(self, vmid: int, kind: str) -> str:
        """`GET cloudinit/dump`: the document as the guest would get it now. Raises NotFound, InvalidInput."""
        if kind not in KINDS:
            raise InvalidInput.of(
                "type", f"value '{kind}' does not have a value in the enumeration 'user, network, meta'"
            )
        return (await self._documents(self._guest(vmid))).get(kind, "")

    async def set_document(self, vmid: int, kind: str, text: str) -> Checked:
        """Use this text in place of the generated document, from the next writing of the medium on. (Not of Proxmox.)

        Raises InvalidInput (`cloudinit-document`) when cloud-init would not take it; then nothing is stored."""
        self._check_kind(vmid, kind)
        checked = await asyncio.to_thread(self._schemas.check, kind, text)
        await self._store.put(self._key(vmid, kind), text.encode())
        return checked

    async def delete_document(self, vmid: int, kind: str) -> None:
        """Back to the generated document; that there was none is fine."""
        self._check_kind(vmid, kind)
        await self._store.transact([], deletes=[self._key(vmid, kind)])

    async def documents(self, vmid: int) -> dict[str, str]:
        """The texts that were set, by kind."""
        prefix = f"{PREFIX}{vmid}/document/"
        return {entry.key.removeprefix(prefix): entry.value.decode() for entry in await self._store.range(prefix)}

    async def copy_documents(self, source: int, target: int) -> None:
        """Give a clone the documents that were set for its source; repeatable. Not `meta`: its instance id would make
        cloud-init take the clone for its source."""
        kept = {kind: text for kind, text in (await self.documents(source)).items() if kind != "meta"}
        if kept:
            await self._store.transact([], puts={self._key(target, kind): text.encode() for kind, text in kept.items()})

    async def forget(self, vmid: int) -> None:
        """Remove what is kept of a guest that is gone; repeatable."""
        keys = [entry.key for entry in await self._store.range(f"{PREFIX}{vmid}/")]
        if keys:
            await self._store.transact([], deletes=keys)

    def _check_kind(self, vmid: int, kind: str) -> None:
        self._guest(vmid)
        if kind not in KINDS:
            raise InvalidInput.of(
                "type", f"value '{kind}' does not have a value in the enumeration '{', '.join(KINDS)}'"
            )

    @staticmethod
    def _key(vmid: int, kind: str) -> str:
        return f"{PREFIX}{vmid}/document/{kind}"

    async def _documents(self, guest: ConfiguredGuest) -> dict[str, str]:
        config, vmid = guest.config, guest.vmid
        if config.citype not in (None, "nocloud"):
            raise NotBuilt(f"citype '{config.citype}' is not built yet", evidence=f"citype: {config.citype}")
        found = {**await self._custom(config), **await self.documents(vmid)}
        found.setdefault("user", user_data(config, vmid))
        if "network" not in found:
            found["network"] = network_config(config, await asyncio.to_thread(self._host_dns))
        found.setdefault("meta", meta_data(found["user"], found["network"]))
        return found

    async def check_custom(self, text: str) -> None:
        """Raises InvalidInput (`cicustom`) unless every snippet that a new value of that key names is there."""
        try:
            await self._snippets(parse_property_string(CiCustom, text))
        except NotFound as problem:
            raise InvalidInput.of("cicustom", problem.message, code="no-such-snippet") from problem

    async def _custom(self, config: VmConfig) -> dict[str, str]:
        """The snippets that `cicustom` names."""
        return {} if config.cicustom is None else await self._snippets(config.cicustom)

    async def _snippets(self, custom: CiCustom) -> dict[str, str]:
        found = {}
        for kind in KINDS:
            volid = getattr(custom, kind)
            if volid is None:
                continue
            driver, parsed = self._storages.of(volid)
            if driver.parse(parsed).content is not Content.SNIPPETS:
                raise InvalidInput.of("cicustom", f"volume '{volid}' is no snippet")
            await driver.info(parsed)
            files, _ = self._storages.file_of(parsed)
            raw = await asyncio.to_thread(read_bounded, files.path(parsed), DOCUMENT_MAX)
            found[kind] = raw.decode(errors="replace")
        return found

    def _host_dns(self) -> HostDns:
        try:
            return HostDns.parse(read_bounded(self._resolv_conf, 65536).decode(errors="replace"))
        except OSError:
            return HostDns()

    # -- the medium ---------------------------------------------------------------------------------------------

    async def plan_medium(self, vmid: int, key: str, storage: str, format: str | None = None) -> NewVolume:
        """The medium that `STORAGE:cloudinit` asks for. Raises InvalidInput naming `key`, NotFound."""
        driver = self._storages.get(storage, Content.IMAGES)
        chosen = format or driver.capabilities.default_format
        if chosen not in driver.capabilities.formats:
            raise InvalidInput.of(key, f"storage '{storage}' has no image format '{chosen}'")
        check_allocates(driver)
        volid = str(VolumeId(driver.id, str(driver.image_name(vmid, cloudinit_stem(vmid), chosen))))
        args = {"volid": volid, "size": MEDIUM_BYTES}
        step = PlannedStep(step="volume-allocate", title=f"allocate the cloud-init medium {volid}", args=args)
        return NewVolume(volid=volid, size=MEDIUM_BYTES, step=step)

    async def regenerate(self, vmid: int) -> bool:
        """`PUT cloudinit`: bring the media of a guest up to date now; False when they were.

        A running guest sees the new contents once its drive opens the medium again. Raises NotFound, NotBuilt,
        InvalidInput when the guest has no cloud-init drive, HostFailure, NoSpace."""
        guest = self._guest(vmid)
        volids = [disk.file for disk in guest.config.disks.values() if disk.is_cloudinit]
        if not volids:
            raise InvalidInput(f"VM {vmid} has no cloud-init drive", code="no-cloudinit-drive")
        documents = await self._documents(guest)
        changed = False
        for volid in volids:
            changed = await self._write(vmid, volid, documents) or changed
        texts = cloudinit_texts(guest.config.texts, _drive_keys(guest.config))
        await self._store.put(f"{PREFIX}{vmid}/written", json.dumps(texts).encode())
        return changed

    async def _do_write(self, ctx: StepContext, vmid: int) -> None:
        if await self.regenerate(vmid):
            ctx.log("the cloud-init medium was written anew")

    async def _write(self, vmid: int, volid: str, documents: Mapping[str, str]) -> bool:
        driver, parsed = self._storages.of(volid)
        iso = await build_iso({_FILES[kind]: text.encode() for kind, text in documents.items()})
        if len(iso) > MEDIUM_BYTES:
            raise InvalidInput("the cloud-init documents do not fit on the medium", evidence=f"{len(iso)} bytes")
        digest = f"{volid} {hashlib.sha256(iso).hexdigest()}"
        key = f"{PREFIX}{vmid}/medium/{parsed.name}"
        there = True
        try:
            await driver.info(parsed)
        except NotFound:
            there = False
            await self._allocate(vmid, parsed)
        kept = await self._store.get(key)
        if there and kept is not None and kept.value == digest.encode():
            return False
        await driver.replace(parsed, iso.ljust(MEDIUM_BYTES, b"\0"))
        await self._store.put(key, digest.encode())
        return True

    async def _allocate(self, vmid: int, volid: VolumeId) -> None:
        """A medium that somebody removed is made again: nothing is lost with it."""
        driver, _ = self._storages.of(volid)
        name = driver.parse(volid)
        await driver.allocate(NewImage(vmid, name.format, name=name.file), size=MEDIUM_BYTES)

    async def pending(self, vmid: int) -> list[dict[str, Any]]:
        """`GET cloudinit`: the keys that the medium depends on, with what has changed since it was written.

        `value` is what the guest sees, `pending` what a new medium would say, `delete` 1 for what would go."""
        guest = self._guest(vmid)
        now = cloudinit_texts(guest.config.texts, _drive_keys(guest.config))
        entry = await self._store.get(f"{PREFIX}{vmid}/written")
        written: dict[str, str] = json.loads(entry.value) if entry is not None else {}
        rows = []
        for key in sorted({*now, *written}):
            row: dict[str, Any] = {"key": key}
            if key in written:
                row["value"] = _masked(key, written[key])
            if key not in now:
                row["delete"] = 1
            elif now[key] != written.get(key):
                row["pending"] = _masked(key, now[key])
            rows.append(row)
        return rows


def _drive_keys(config: VmConfig) -> list[str]:
    return [key for key, disk in config.disks.items() if disk.is_cloudinit]


def _masked(key: str, text: str) -> str:
    return "**********" if key == "cipassword" else text


async def hash_password(password: str) -> str:
    """A password as cloud-init wants it: crypt(3) with SHA-512; a text that is such a hash already stays.

    Raises InvalidInput for a line break or NUL, HostFailure without openssl."""
    if _HASHED.fullmatch(password):
        return password
    if "\n" in password or "\0" in password or "\r" in password:
        raise InvalidInput.of("cipassword", "value must not contain line breaks")
    done = await run(["openssl", "passwd", "-6", "-stdin"], input=password.encode() + b"\n")
    hashed = done.text.strip()
    if not _HASHED.fullmatch(hashed):
        raise HostFailure("the password could not be hashed", evidence=f"openssl wrote {len(hashed)} characters")
    return hashed
