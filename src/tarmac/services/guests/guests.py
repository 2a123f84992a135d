"""The guests this node knows: their configuration on disk and in memory, and what is observed of each.

Desired state is the text of the configuration (Proxmox's, in the store, with every predecessor kept); observed state
is `Guest.state` and the process, set in one place each. Lists are answered from memory.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tarmac.drivers.qemu.live.memory import memory_fd
from tarmac.drivers.storage.values import Owner
from tarmac.drivers.store.base import Compare, Store
from tarmac.lib.files import remove_durably, write_atomic
from tarmac.model.conf_file import GuestFile, digest, parse_conf, print_conf
from tarmac.model.datacenter import MAC_PREFIX
from tarmac.model.errors import Conflict, Fix, NotFound, TarmacError
from tarmac.model.job import OFF
from tarmac.model.lifecycle import State
from tarmac.model.vm import VmConfig
from tarmac.model.vm_change import apply_pending
from tarmac.services.guests.beside import NOTHING_BESIDE, Beside
from tarmac.services.guests.numbers import Numbers

if TYPE_CHECKING:
    from tarmac.drivers.qemu.process import GuestProcess

log = logging.getLogger(__name__)

HISTORY_KEPT = 100
MOST_DELETES = 60  # with the rest of the transaction below the store's limit of operations
PREFIX, HISTORY = "guests/", "history/guests/"


@dataclasses.dataclass(slots=True)
class Guest:
    """One guest. `text` is its whole configuration file; `file`, `config` and `digest` are read from it once.
    `halted` says why QEMU paused it (a full storage, say). `rows` are those of lists as `resources.encoded_rows` keeps
    them until the text changes; `origin` is the record of what it was cloned from (docs/format/state.md), None for what
    is no clone; `made` says who wrote this text, when and by which task, empty where that is not known."""

    vmid: int
    text: str
    revision: int
    uid: int | None = None
    origin: Mapping[str, Any] | None = None
    made: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    state: State = State.STOPPED
    process: GuestProcess | None = None
    started: float | None = None
    last_exit: str = ""
    usage: dict[str, float] = dataclasses.field(default_factory=dict)
    note: str = ""
    halted: TarmacError | None = None
    rows: dict[str, bytes] = dataclasses.field(default_factory=dict)
    _file: GuestFile | None = None
    _config: VmConfig | None = None
    _digest: str | None = None

    @property
    def file(self) -> GuestFile:
        if self._file is None:
            self._file = parse_conf(self.text, lenient=True)
        return self._file

    @property
    def config(self) -> VmConfig:
        """The active configuration (without what is pending)."""
        if self._config is None:
            self._config = VmConfig.parse(self.file.current, lenient=True)
        return self._config

    def runs(self, args: Mapping[str, Any]) -> bool:
        """Whether a job with these arguments is planned for a guest that runs; a dry run may plan it as if it did not
        (`Jobs.plan`)."""
        return self.state is not State.STOPPED and not args.get(OFF)

    @property
    def digest(self) -> str:
        if self._digest is None:
            self._digest = digest(self.text)
        return self._digest

    @property
    def name(self) -> str:
        return self.config.name or f"VM {self.vmid}"

    @property
    def template(self) -> bool:
        return bool(self.config.template)

    @property
    def owner(self) -> Owner | None:
        """Who may open its volumes; None where guests have no users of their own."""
        return None if self.uid is None else Owner(uid=self.uid, gid=self.uid)

    @property
    def shares_memory(self) -> bool:
        """Whether it runs on a private mapping of a template's memory."""
        found = None if self.process is None else memory_fd(self.process.record.argv)
        return found is not None and not found[1]

    def replace_text(self, text: str, revision: int) -> None:
        self.text, self.revision = text, revision
        self._file = self._config = self._digest = None
        self.rows.clear()

    @property
    def parsed(self) -> bool:
        """Whether the configuration has been read, and is kept so."""
        return self._file is not None

    def forget_parsed(self) -> None:
        """Give the read configuration's memory back; it is read again when somebody asks."""
        self._file = self._config = None


class Guests:
    """All guests of the node by number. Every change is durable before the method returns; memory follows the disk.
    `changed` are called with a guest's number after its configuration changed, it came or went. `mac_prefix` is the
    datacenter's option. `beside` says what is
    written together with a configuration (None: with its removal), and may refuse it."""

    def __init__(self, *, store: Store, node: str, mirror: Path) -> None:
        self._store = store
        self.node = node
        self._mirror = mirror
        self._guests: dict[int, Guest] = {}
        self.numbers = Numbers(self._guests)
        self.changed: list[Callable[[int], None]] = []
        self.mac_prefix: Callable[[], str] = lambda: MAC_PREFIX
        self.beside: Callable[[int, GuestFile | None], Beside] = lambda vmid, file: NOTHING_BESIDE

    async def load(self) -> None:
        """Read all guests; called once, before anything else."""
        for entry in await self._store.range(PREFIX):
            record = json.loads(entry.value)
            vmid = int(entry.key.removeprefix(PREFIX))
            self._guests[vmid] = Guest(
                vmid,
                record["text"],
                entry.revision,
                uid=record.get("uid"),
                origin=record.get("origin"),
                made=record.get("made", {}),
            )
        await asyncio.to_thread(self._mirror.mkdir, parents=True, exist_ok=True, mode=0o700)

    def __iter__(self) -> Iterator[Guest]:
        return iter(self._guests.values())

    def __len__(self) -> int:
        return len(self._guests)

    def __contains__(self, vmid: int) -> bool:
        return vmid in self._guests

    def find(self, vmid: int) -> Guest | None:
        return self._guests.get(vmid)

    def get(self, vmid: int) -> Guest:
        """Raises NotFound in Proxmox's words, which clients match."""
        guest = self._guests.get(vmid)
        if guest is None:
            raise NotFound(
                f"Configuration file 'nodes/{self.node}/qemu-server/{vmid}.conf' does not exist",
                code="no-such-guest",
                cause=f"there is no guest {vmid} on this node",
                evidence=f"{len(self._guests)} guests known",
                fixes=[Fix(text="see what there is", action=f"GET /nodes/{self.node}/qemu")],
            )
        return guest

    # -- configuration ------------------------------------------------------------------------------------------

    async def create(self, vmid: int, text: str, *, uid: int | None, user: str) -> Guest:
        """A new guest. Raises Conflict when the number is taken; a repeated call with the same text is fine."""
        await self.create_many({vmid: uid}, text, user=user)
        return self._guests[vmid]

    async def create_many(
        self,
        uids: Mapping[int, int | None],
        text: str,
        *,
        origin: Mapping[str, Any] | None = None,
        user: str,
        compares: Sequence[Compare] = (),
        also: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """New guests with the same text in one transaction: all or none. `uids` by number; `compares` and `also` are
        conditions and records of others that belong to it. As `create` otherwise."""
        new = {vmid: uid for vmid, uid in uids.items() if vmid not in self._guests}
        for vmid in uids.keys() - new.keys():
            if self._guests[vmid].text != text:
                raise Conflict(f"VM {vmid} already exists", code="guest-exists")
        if not new:
            return
        made = {"time": time.time(), "user": user}
        puts = {f"{PREFIX}{vmid}": _record(text, uid, origin, made) for vmid, uid in new.items()}
        absent = [Compare.absent(key) for key in puts]
        revision = await self._store.transact([*absent, *compares], puts={**puts, **also})
        for vmid, uid in new.items():
            self._guests[vmid] = Guest(vmid, text, revision, uid=uid, origin=origin, made=made)
        for vmid in new:
            self._tell(vmid)
            await self._write_mirror(self._guests[vmid])
            log.info("guest created", extra={"vmid": vmid, "user": user})

    async def write(
        self, guest: Guest, file: GuestFile, *, user: str, task: str = "", keep_history: bool = True
    ) -> None:
        """Replace a guest's configuration; the predecessor is kept, each with who made it, when and by which task.
        Raises Conflict when somebody else wrote it meanwhile, and what `beside` raises; then nothing changed."""
        text = print_conf(file)
        if text == guest.text:
            return
        key, made = f"{PREFIX}{guest.vmid}", {"time": time.time(), "user": user, **({"task": task} if task else {})}
        puts = {key: _record(text, guest.uid, guest.origin, made)}
        if keep_history:
            old = {"text": guest.text, "made": dict(guest.made)}
            puts[f"{HISTORY}{guest.vmid}/{guest.revision:012d}"] = json.dumps(old).encode()
        kept = [e.key for e in await self._store.range(f"{HISTORY}{guest.vmid}/")]
        surplus = kept[: max(0, len(kept) - HISTORY_KEPT + 1)][:MOST_DELETES]
        async with self.beside(guest.vmid, file) as beside:
            revision = await self._store.transact(
                [Compare.unchanged(key, guest.revision), *beside.compares],
                puts={**puts, **beside.puts},
                deletes=[*surplus, *beside.deletes],
            )
        guest.replace_text(text, revision)
        guest.made = made
        self._tell(guest.vmid)
        await self._write_mirror(guest)

    def check_beside(self, vmid: int, file: GuestFile) -> None:
        """Whether such a configuration could be written, as far as `beside` has a say. Raises what it raises; changes
        nothing."""
        self.beside(vmid, file).failed()

    async def write_beside(self, guest: Guest) -> None:
        """What belongs to a configuration is as it should be, where that did not exist yet when it was written. Raises
        what `beside` raises."""
        async with self.beside(guest.vmid, guest.file) as beside:
            await self._store.transact(beside.compares, puts=beside.puts, deletes=beside.deletes)

    async def apply_pending(self, guest: Guest, *, user: str, task: str = "") -> None:
        """Bring into force what waited for a cold boot."""
        file = guest.file
        change = apply_pending(file.current, file.pending, file.pending_delete)
        new = dataclasses.replace(file, current=change.current, pending={}, pending_delete={})
        await self.write(guest, new, user=user, task=task)

    async def history(self, vmid: int) -> list[tuple[int, dict[str, Any]]]:
        """Earlier configurations, oldest first, by their revisions: `text`, and `made` as `Guest.made`."""
        prefix = f"{HISTORY}{vmid}/"
        return [(int(e.key.removeprefix(prefix)), json.loads(e.value)) for e in await self._store.range(prefix)]

    async def remove(self, vmid: int) -> None:
        """Forget a guest and its history; that it is gone already is fine."""
        old = [e.key for e in await self._store.range(f"{HISTORY}{vmid}/")]
        async with self.beside(vmid, None) as beside:
            await self._store.transact([], deletes=[f"{PREFIX}{vmid}", *old[:MOST_DELETES], *beside.deletes])
        await self._store.transact([], deletes=old[MOST_DELETES:])
        self._guests.pop(vmid, None)
        self.numbers.take_back(vmid)
        self._tell(vmid)
        await asyncio.to_thread(remove_durably, self._mirror_path(vmid))

    def references(self, volid: str) -> list[int]:
        """The guests whose configuration, pending changes or snapshots name a volume."""
        return [g.vmid for g in self._guests.values() if volid in g.text and volid in _volumes(g.file)]

    def _tell(self, vmid: int) -> None:
        for listener in self.changed:
            listener(vmid)

    async def _write_mirror(self, guest: Guest) -> None:
        """A text copy for the day the store is lost, to be read by people: nothing reads it back."""
        await asyncio.to_thread(write_atomic, self._mirror_path(guest.vmid), guest.text, mode=0o600)

    def _mirror_path(self, vmid: int) -> Path:
        return self._mirror / f"{vmid}.conf"


def _record(text: str, uid: int | None, origin: Mapping[str, Any] | None, made: Mapping[str, Any]) -> bytes:
    record: dict[str, Any] = {"format": 1, "kind": "qemu", "text": text, "uid": uid, "made": dict(made)}
    if origin is not None:
        record["origin"] = dict(origin)
    return json.dumps(record).encode()


def _volumes(file: GuestFile) -> set[str]:
    sections = [file.current, file.pending, *file.snapshots.values()]
    found = {text.split(",", 1)[0].removeprefix("file=") for section in sections for text in section.values()}
    snippets = (part for section in sections for part in section.get("cicustom", "").split(","))
    return found | {part.partition("=")[2] for part in snippets}
