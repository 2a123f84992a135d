"""What guests are doing, as Proxmox shows it: the list of a node's guests and one guest's present status."""

from __future__ import annotations

from typing import Any

from tarmac.model.lifecycle import State, allowed
from tarmac.services.access.access import Access, Identity
from tarmac.services.guests.guests import Guest, Guests
from tarmac.services.instant.records import InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.node.nodes import Nodes
from tarmac.services.resources.cluster import boot_disk_bytes, memory_bytes, observed
from tarmac.services.resources.encoded_rows import EncodedRows

_LOCK_WORDS = {
    "qmcreate": "create",
    "qmclone": "clone",
    "qminstant": "clone",
    "vzdump": "backup",
    "qmigrate": "migrate",
}


class VmStatus:
    """Rows and single records from memory; nothing here asks QEMU."""

    def __init__(
        self,
        *,
        guests: Guests,
        jobs: Jobs,
        nodes: Nodes,
        access: Access,
        records: InstantRecords,
        states: LiveStates,
    ) -> None:
        self._guests = guests
        self._jobs = jobs
        self._nodes = nodes
        self._access = access
        self._records = records
        self._states = states
        self.rows = EncodedRows("listing", self.row, at_rest=self._at_rest)

    async def listing(self, identity: Identity) -> list[bytes]:
        """`GET /nodes/{node}/qemu`: the guests that the caller may see, as a JSON list in pieces."""
        allowed_here = self._access.filter(identity, "/vms/{}", ("VM.Audit",))
        return await self.rows.encode(guest for guest in list(self._guests) if allowed_here(guest.vmid))

    def _at_rest(self, guest: Guest) -> bool:
        return guest.state is State.STOPPED and self._jobs.lock_of(f"guest/{guest.vmid}") is None

    def row(self, guest: Guest) -> dict[str, Any]:
        """One guest in short. `template` is there only for templates: a client takes any value for yes."""
        config = guest.config
        row: dict[str, Any] = {
            "vmid": guest.vmid,
            "name": guest.name,
            "cpus": config.present_vcpus,
            "maxmem": memory_bytes(config),
            "maxdisk": boot_disk_bytes(config),
            **observed(guest),
        }
        if config.tags:
            row["tags"] = ";".join(config.tags)
        if guest.template:
            row["template"] = 1
        if guest.process is not None:
            row["pid"] = guest.process.pid
        if lock := self._lock(guest):
            row["lock"] = lock
        return row

    def current(self, vmid: int) -> dict[str, Any]:
        """`status/current`: the row, QEMU's own words, and ours: what is possible now, who works on it, why it is
        slow (`accelerator`), how it ended last."""
        guest = self._guests.get(vmid)
        status = self.row(guest)
        status["qmpstatus"] = guest.state.value
        status["ha"] = {"managed": 0}
        status["agent"] = int(guest.config.agent.enabled)
        status["possible"] = [verb.value for verb in allowed(guest.state)]
        if guest.config.balloon != 0 and guest.state is not State.STOPPED:
            status["balloon"] = status["maxmem"]
        if "memhost" in guest.usage and guest.state is not State.STOPPED:
            status["memhost"] = int(guest.usage["memhost"])
        if guest.process is not None:
            status["running-qemu"] = guest.process.record.qemu_version
            status["accelerator"] = accelerator_of(guest.process.record.argv)
            if status["accelerator"] == "tcg":
                status["accelerator-reason"] = self._nodes.facts.kvm.reason
        status |= self._instant(guest)
        if job := self._jobs.lock_of(f"guest/{vmid}"):
            status["task"] = job.upid
        if guest.last_exit:
            status["last-exit"] = guest.last_exit
        if guest.halted is not None and guest.state is State.IO_ERROR:
            status["io-error"] = guest.halted.as_record()
        if guest.note:
            status["note"] = guest.note
        return status

    def _instant(self, guest: Guest) -> dict[str, Any]:
        """Of a live template, what its clones share; of an instant clone, where it came from, whether its identity is
        its own, and while it is on its template's memory how much of that is its own by now."""
        found: dict[str, Any] = {}
        if self._states.is_live(guest):
            found["live"] = 1
            found["memory-held"] = self._states.held(guest.vmid)
            found["instant-clones"] = len(self._records.of_template(guest.vmid))
        record = self._records.find(guest.vmid)
        if record is not None:
            found["instant"] = {"template": record.template, "identity": record.identity}
            if record.left:
                found["instant"]["left"] = record.left
        if "private" in guest.usage:
            found["memory-private"] = int(guest.usage["private"])
            found["memory-shared"] = int(guest.usage["shared"])
        return found

    def _lock(self, guest: Guest) -> str | None:
        """Proxmox's word for the work that goes on; a mark left in an imported configuration is shown as it stands."""
        job = self._jobs.lock_of(f"guest/{guest.vmid}")
        if job is not None:
            # The source of a clone is read and not locked; clients wait for the clone alone.
            of_the_source = job.kind == "qmclone" and job.id == str(guest.vmid)
            return None if of_the_source else _LOCK_WORDS.get(job.kind)
        return guest.config.lock


def accelerator_of(argv: tuple[str, ...]) -> str:
    """`kvm` or `tcg`, as a running QEMU was started."""
    return "kvm" if any(word.startswith("kvm") or "accel=kvm" in word for word in argv) else "tcg"
