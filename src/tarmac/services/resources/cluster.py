"""What the cluster shows of everything: resources and membership, answered from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from tarmac.model.lifecycle import State
from tarmac.model.units import parse_size
from tarmac.model.vm import VmConfig
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.pools import SEEN_BY as POOLS_SEEN_BY
from tarmac.services.access.pools import Pools
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.node.nodes import Nodes
from tarmac.services.resources.encoded_rows import EncodedRows

_SEEN_BY = ("VM.Audit",)
_STORAGES_SEEN_BY = ("Datastore.Audit", "Datastore.AllocateSpace")
_ZONES_SEEN_BY = ("SDN.Audit",)
Sees = Callable[[str], bool]
"""Whether somebody may see the object of an id."""
_encode = msgspec.json.Encoder().encode


class Cluster:
    """Rows of `GET /cluster/resources` and `GET /cluster/status`."""

    def __init__(
        self,
        *,
        guests: Guests,
        nodes: Nodes,
        access: Access,
        storages: Callable[[], list[dict[str, Any]]],
        zones: Callable[[], list[dict[str, Any]]],
        pools: Pools,
    ) -> None:
        self._guests = guests
        self._nodes = nodes
        self._access = access
        self._storages = storages
        self._zones = zones
        self._pools = pools
        pools.guest_row, pools.storage_row, pools.changed = self._member, self.storage_row, self._pool_changed
        self.rows = EncodedRows("resources", self.guest_row, at_rest=lambda guest: guest.state is State.STOPPED)
        self.touched: list[Callable[[str], None]] = []

    async def resources(self, identity: Identity, kind: str | None = None) -> list[bytes]:
        """All rows that the caller may see, as a JSON list in pieces, optionally of one type (`vm`, `node`, `storage`,
        `sdn`)."""
        rows: list[dict[str, Any]] = []
        guests: Iterable[Guest] = ()
        if kind in (None, "vm"):
            allowed = self._access.filter(identity, "/vms/{}", _SEEN_BY)
            guests = (guest for guest in list(self._guests) if allowed(guest.vmid))
        if kind in (None, "node"):
            rows.append(self._nodes.summary())
        if kind in (None, "storage"):
            may = self._access.filter(identity, "/storage/{}", _STORAGES_SEEN_BY)
            rows += [self._storage(row) for row in self._storages() if may(row["storage"])]
        if kind in (None, "sdn"):
            may = self._access.filter(identity, "/sdn/zones/{}", _ZONES_SEEN_BY)
            rows += [row for row in self._zones() if may(row["sdn"])]
        if kind is None:
            rows += self._pools.resources(identity)
        return await self.rows.encode(guests, rows)

    # -- one by one, for the event stream -----------------------------------------------------------------------

    def ids(self) -> Iterator[str]:
        """The ids of all resources that there are now; what comes and goes while one iterates does not matter."""
        yield f"node/{self._nodes.node}"
        yield from [self._storage(row)["id"] for row in self._storages()]
        yield from [row["id"] for row in self._zones()]
        yield from self._pools.ids()
        for guest in list(self._guests):
            yield f"qemu/{guest.vmid}"

    def find(self, id: str) -> bytes | None:
        """A resource's row as JSON, None when there is no such resource (any more)."""
        kind, _, name = id.partition("/")
        if kind == "qemu":
            guest = self._guests.find(int(name))
            return self.rows.row(guest) if guest is not None else None
        if kind == "node":
            others = [self._nodes.summary()]
        else:
            stored = map(self._storage, self._storages())
            others = [*stored, *self._zones(), *map(self._pools.row, self._pools.ids())]
        return next((_encode(row) for row in others if row["id"] == id), None)

    def sees(self, identity: Identity) -> Sees:
        """Which ids somebody may see. Good until the directory changes; the answers of an old one stay what they
        were."""
        guests = self._access.filter(identity, "/vms/{}", _SEEN_BY)
        storages = self._access.filter(identity, "/storage/{}", _STORAGES_SEEN_BY)
        zones = self._access.filter(identity, "/sdn/zones/{}", _ZONES_SEEN_BY)
        pools = self._access.filter(identity, "/pool/{}", POOLS_SEEN_BY)

        def sees(id: str) -> bool:
            kind, _, name = id.partition("/")
            if kind == "qemu":
                return guests(name)
            if kind == "storage":
                return storages(name.partition("/")[2])
            if kind == "sdn":
                return zones(name.partition("/")[2])
            return kind == "node" or pools(name.partition("/")[2])

        return sees

    def guest_row(self, guest: Guest) -> dict[str, Any]:
        """One guest as a resource: what its configuration fixes, its pool, and what is observed now; QEMU's word
        (`qmpstatus`: `paused`, `io-error`) where it says more than the status."""
        pool = self._pools.of_guest(guest.vmid)
        row = {**_fixed(guest, self._nodes.node), **({"pool": pool} if pool else {}), **observed(guest)}
        return row if guest.state in (State.STOPPED, State.RUNNING) else {**row, "qmpstatus": guest.state.value}

    def storage_row(self, storage: str) -> dict[str, Any] | None:
        """One storage as a resource; None where there is none of this name here."""
        return next((self._storage(row) for row in self._storages() if row["storage"] == storage), None)

    def _storage(self, row: dict[str, Any]) -> dict[str, Any]:
        node = self._nodes.node
        return {**row, "id": f"storage/{node}/{row['storage']}", "type": "storage", "node": node}

    def _member(self, vmid: int) -> dict[str, Any] | None:
        guest = self._guests.find(vmid)
        return None if guest is None else self.guest_row(guest)

    def _pool_changed(self, vmids: Sequence[int]) -> None:
        for vmid in vmids:
            if (guest := self._guests.find(vmid)) is not None:
                guest.rows.clear()
        for id in (*self._pools.ids(), *(f"qemu/{vmid}" for vmid in vmids)):
            for touched in self.touched:
                touched(id)

    def status(self) -> list[dict[str, Any]]:
        """A standalone node is one entry; numbers, not booleans, because clients assert them."""
        node = self._nodes.node
        return [
            {
                "type": "node",
                "id": f"node/{node}",
                "name": node,
                "ip": self._nodes.address(),
                "local": 1,
                "nodeid": 0,
                "online": 1,
                "level": "",
            }
        ]


def _fixed(guest: Guest, node: str) -> dict[str, Any]:
    config = guest.config
    row: dict[str, Any] = {
        "id": f"qemu/{guest.vmid}",
        "type": "qemu",
        "vmid": guest.vmid,
        "node": node,
        "name": guest.name,
        "template": int(guest.template),
        "maxcpu": config.vcpus or config.sockets * config.cores,
        "maxmem": memory_bytes(config),
        "maxdisk": boot_disk_bytes(config),
    }
    if config.tags:
        row["tags"] = ";".join(config.tags)
    return row


def observed(guest: Guest) -> dict[str, Any]:
    """What changes by itself: the state and the last sample of usage."""
    usage = guest.usage
    running = guest.state is not State.STOPPED
    return {
        "status": "running" if running else "stopped",
        "uptime": int(usage.get("uptime", 0)) if running else 0,
        "cpu": usage.get("cpu", 0.0) if running else 0,
        "mem": int(usage.get("mem", 0)) if running else 0,
        "disk": 0,
        "netin": int(usage.get("netin", 0)) if running else 0,
        "netout": int(usage.get("netout", 0)) if running else 0,
        "diskread": int(usage.get("diskread", 0)) if running else 0,
        "diskwrite": int(usage.get("diskwrite", 0)) if running else 0,
    }


def memory_bytes(config: VmConfig) -> int:
    return config.memory_mib * 1024 * 1024


def boot_disk_bytes(config: VmConfig) -> int:
    """The size of the first boot disk, as Proxmox's `maxdisk`."""
    for key in config.boot_devices():
        disk = config.disk(key)
        if disk is not None and disk.size and not disk.is_cdrom:
            return parse_size(disk.size)
    return 0
