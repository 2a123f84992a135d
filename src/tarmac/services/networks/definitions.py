"""What is defined of networks and what of it is in force, as Proxmox has it: changes wait until they are applied.

    networks/definitions    {"format": 1, "zones": {<id>: {<key>: <text>}}, "vnets": ..., "subnets": ..., "version"}
    networks/running        the same, of what was applied last
    networks/lock           the token of whoever locked all this

Each is one record, so a change is one conditional write, and no reader sees half of one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tarmac.drivers.store.base import Compare, Store
from tarmac.model.digest import check_digest
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound
from tarmac.model.network_rules import (
    KINDS,
    NOTHING,
    NOUNS,
    Definitions,
    Network,
    check,
    cidr_of,
    networks_of,
    shown,
    with_pending,
)
from tarmac.model.networks import OPTIONS
from tarmac.model.settings import find_setting
from tarmac.services.change_record import change_entry

PREFIX = "networks/"
WANTED, RUNNING, LOCK = f"{PREFIX}definitions", f"{PREFIX}running", f"{PREFIX}lock"


class NetworkDefinitions:
    """Reads and changes them. `changed` are called after something came into force; `reserved`, set by the service of
    addresses, says which addresses of a network guests have."""

    def __init__(self, store: Store, node: str) -> None:
        self._store = store
        self._node = node
        self.wanted = NOTHING
        self.running = NOTHING
        self.networks: dict[str, Network] = {}
        self.changed: list[Callable[[], None]] = []
        self.reserved: Callable[[str, IPv4Network], Collection[IPv4Address]] = lambda vnet, network: ()
        self._revisions = {WANTED: 0, RUNNING: 0, LOCK: 0}
        self._token: str | None = None

    async def load(self) -> None:
        """Read everything; called once, before anything else."""
        for entry in await self._store.range(PREFIX):
            self._revisions[entry.key] = entry.revision
            record = json.loads(entry.value)
            if entry.key == WANTED:
                self.wanted = Definitions.of(record)
            elif entry.key == RUNNING:
                self.running = Definitions.of(record)
                self.networks = networks_of(self.running, self._node)
            elif entry.key == LOCK:
                self._token = record["token"]

    # -- reading ------------------------------------------------------------------------------------------------

    def rows(self, kind: str, *, pending: bool = False, running: bool = False) -> list[dict[str, Any]]:
        """All of a kind: as defined, with what waits (`pending`), or as in force (`running`)."""
        ids = set() if running and not pending else set(getattr(self.wanted, kind))
        ids |= set(getattr(self.running, kind)) if pending or running else set()
        return [self.row(kind, id, pending=pending, running=running) for id in sorted(ids)]

    def row(self, kind: str, id: str, *, pending: bool = False, running: bool = False) -> dict[str, Any]:
        """One, as `rows`. Raises NotFound in Proxmox's words."""
        there = self._shown(kind, id, pending=pending, running=running)
        if there is None:
            raise self.missing(kind, id)
        return {**there, "digest": self.wanted.digest(kind)}

    def _shown(self, kind: str, id: str, *, pending: bool, running: bool) -> dict[str, Any] | None:
        wanted, applied = getattr(self.wanted, kind).get(id), getattr(self.running, kind).get(id)
        if pending and (wanted is not None or applied is not None):
            return with_pending(kind, id, applied, wanted)
        texts = applied if running else wanted
        return None if texts is None else shown(kind, id, texts)

    def missing(self, kind: str, id: str) -> NotFound:
        """The error for what is not there."""
        noun = NOUNS[kind]
        known = ", ".join(sorted(getattr(self.wanted, kind)))
        return NotFound(
            f"sdn '{id}' does not exist",
            code=f"no-such-{noun}",
            cause=f"no {noun} of this name is defined",
            evidence=f"defined are: {known or 'none'}",
            fixes=[Fix(text="see what there is", action=f"tarmac {noun} list")],
        )

    def zone_of(self, vnet: str) -> str | None:
        """The zone of a virtual network, whether it is applied or not; None for what is none."""
        for definitions in (self.wanted, self.running):
            if vnet in definitions.vnets:
                return definitions.vnets[vnet]["zone"]
        return None

    def applied_zone_of(self, vnet: str) -> str | None:
        """The zone of a virtual network that this node has. Others count for no rights of guests: whoever may define
        networks could define one by the name of a bridge that is not his."""
        network = self.networks.get(vnet)
        return None if network is None else network.zone

    @property
    def waiting(self) -> bool:
        """Whether anything is defined otherwise than it is in force."""
        return any(self.wanted.all(kind) != self.running.all(kind) for kind in KINDS)

    # -- changing -----------------------------------------------------------------------------------------------

    async def create(self, kind: str, id: str, texts: Mapping[str, str], *, token: str | None, by: str) -> None:
        """Raises InvalidInput and NotBuilt that name what is wrong, Conflict for an id that is taken or a lock."""
        self.check_lock(token)
        if id in getattr(self.wanted, kind):
            noun = NOUNS[kind]
            raise Conflict(f"sdn {noun} object ID '{id}' already defined", code=f"{noun}-exists", evidence=id)
        await self._change(kind, id, texts, by=by, what=f"define {NOUNS[kind]} {id}")

    async def update(
        self,
        kind: str,
        id: str,
        texts: Mapping[str, str],
        *,
        delete: Sequence[str] = (),
        digest: str | None,
        token: str | None,
        by: str,
    ) -> None:
        """Raises NotFound, InvalidInput, NotBuilt, Conflict (another digest, a lock)."""
        self.check_lock(token)
        old = getattr(self.wanted, kind).get(id)
        if old is None:
            raise self.missing(kind, id)
        check_digest(digest, self.wanted.digest(kind))
        problems = {key: "cannot be set and deleted at once" for key in delete if key in texts}
        problems |= {
            key: f"unable to delete fixed or unknown option '{key}'"
            for key in delete
            if key == "zone" or find_setting(OPTIONS[kind], key) is None
        }
        if problems:
            raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)
        merged = {key: text for key, text in (old | dict(texts)).items() if key not in delete}
        await self._change(kind, id, merged, by=by, what=f"change {NOUNS[kind]} {id}")

    async def delete(self, kind: str, id: str, *, token: str | None, by: str) -> None:
        """Raises NotFound, Conflict (a lock), InvalidInput while something stands on it."""
        self.check_lock(token)
        if id not in getattr(self.wanted, kind):
            raise self.missing(kind, id)
        self._check_unused(kind, id)
        await self._change(kind, id, None, by=by, what=f"remove {NOUNS[kind]} {id}")

    def _check_unused(self, kind: str, id: str) -> None:
        if kind == "zones" and (on := [v for v, t in self.wanted.vnets.items() if t["zone"] == id]):
            raise InvalidInput.of("zone", f"zone '{id}' is used by vnet '{on[0]}'", code="zone-in-use")
        if kind == "vnets" and any(t["vnet"] == id for t in self.wanted.subnets.values()):
            raise InvalidInput.of("vnet", "Can't delete vnet if subnets exists", code="vnet-in-use")
        if kind == "subnets" and (count := len(self._reserved(id, self.wanted.subnets[id]))):
            raise Conflict(
                f"cannot delete subnet '{id}', not empty",
                code="subnet-in-use",
                cause="guests have addresses of it",
                evidence=f"{count} addresses",
                fixes=[Fix(text="see whose they are", action="GET /cluster/sdn/ipams/pve/status")],
            )

    def _reserved(self, subnet: str, texts: Mapping[str, str]) -> Collection[IPv4Address]:
        return self.reserved(texts["vnet"], IPv4Network(cidr_of(subnet)))

    def _check_gateway(self, id: str, texts: Mapping[str, str]) -> None:
        if "gateway" in texts and IPv4Address(texts["gateway"]) in self._reserved(id, texts):
            raise InvalidInput.of("gateway", f"{texts['gateway']} is reserved for a guest", code="address-taken")

    async def _change(self, kind: str, id: str, texts: Mapping[str, str] | None, *, by: str, what: str) -> None:
        new = self.wanted.changed(kind, id, texts)
        check(new)
        if kind == "subnets" and texts is not None:
            self._check_gateway(id, texts)
        key, old = f"{NOUNS[kind]}/{id}", getattr(self.wanted, kind).get(id)
        told = change_entry(
            "networks", by=by, what=what, before={key: old}, after={key: None if texts is None else dict(texts)}
        )
        await self._write(WANTED, new, also=told)
        self.wanted = new

    async def _write(self, key: str, new: Definitions, also: Mapping[str, bytes] | None = None) -> None:
        value = json.dumps({"format": 1, **new.record()}).encode()
        compares = [Compare.unchanged(key, self._revisions[key])]
        self._revisions[key] = await self._store.transact(compares, puts={key: value, **(also or {})})

    async def enforce(self, new: Definitions) -> None:
        """These are in force from now on; repeatable."""
        if new != self.running:
            await self._write(RUNNING, new)
            self.running = new
        self.networks = networks_of(new, self._node)
        for listener in self.changed:
            listener()

    async def roll_back(self, *, token: str | None, by: str) -> None:
        """Give up what waits: the definitions are those in force again. Raises Conflict (a lock)."""
        self.check_lock(token)
        new = Definitions.of({**self.running.record(), "version": self.wanted.version})
        before = {f"{NOUNS[kind]}/{id}": texts for kind in KINDS for id, texts in self.wanted.all(kind).items()}
        after = {f"{NOUNS[kind]}/{id}": texts for kind in KINDS for id, texts in new.all(kind).items()}
        differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        told = change_entry(
            "networks",
            by=by,
            what="give up what waited to be applied",
            before={key: before.get(key) for key in sorted(differ)},
            after={key: after.get(key) for key in sorted(differ)},
        )
        await self._write(WANTED, new, also=told if differ else None)
        self.wanted = new

    # -- the lock -----------------------------------------------------------------------------------------------

    def check_lock(self, token: str | None) -> None:
        """Raises Conflict unless there is no lock, or `token` is its."""
        if self._token is not None and token != self._token:
            raise Conflict(
                "invalid lock token provided!",
                code="networks-locked",
                cause="somebody has locked the definitions of networks to change them alone",
                evidence="a lock is held; the token that was sent is " + ("none" if token is None else "another one"),
                fixes=[
                    Fix(text="wait until it is given up"),
                    Fix(text="break it", action="DELETE /cluster/sdn/lock", parameters={"force": "1"}),
                ],
            )

    async def lock(self, *, allow_pending: bool) -> str:
        """Lock the definitions; returns the token. Raises Conflict where they are locked or, unless `allow_pending`,
        changes wait."""
        self.check_lock(None)
        if not allow_pending and self.waiting:
            raise Conflict(
                "configuration has pending changes",
                code="networks-pending",
                cause="somebody changed definitions and did not apply them",
                fixes=[
                    Fix(text="apply them", action="PUT /cluster/sdn"),
                    Fix(text="give them up", action="POST /cluster/sdn/rollback"),
                    Fix(text="lock all the same", parameters={"allow-pending": "1"}),
                ],
            )
        token = str(uuid.uuid4())
        value = json.dumps({"format": 1, "token": token}).encode()
        self._revisions[LOCK] = await self._store.transact([Compare.absent(LOCK)], puts={LOCK: value})
        self._token = token
        return token

    async def unlock(self, token: str | None, *, force: bool = False) -> None:
        """Give up the lock; that there is none is fine. Raises Conflict for another token unless `force`."""
        if not force:
            self.check_lock(token)
        await self._store.transact([], deletes=[LOCK])
        self._token = None
