"""Parameters that many endpoints share, and how a call that is synchronous in Proxmox waits for its job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import Allow, Call
from tarmac.model import errors as tree
from tarmac.model.errors import Fix, OutcomeUnknown, TarmacError
from tarmac.model.job import JobRecord, Plan, Started
from tarmac.model.settings import setting

DISK_KEYS = (
    *(f"ide{i}" for i in range(4)),
    *(f"scsi{i}" for i in range(31)),
    *(f"virtio{i}" for i in range(16)),
    *(f"sata{i}" for i in range(6)),
    "efidisk0",
    "tpmstate0",
)
SYNC_SECONDS = 28.0


@dataclass(frozen=True, kw_only=True)
class Node:
    """Endpoints below `/nodes/{node}`."""

    node: str = setting(format="pve-node", help="The node; `localhost` is the one that answers.")


@dataclass(frozen=True, kw_only=True)
class Guest(Node):
    """Endpoints below `/nodes/{node}/qemu/{vmid}`."""

    vmid: int = setting(ge=100, le=999_999_999, help="The guest's number.")


@dataclass(frozen=True, kw_only=True)
class Changing:
    """Changes of what is defined: its options are parameters of their own."""

    delete: tuple[str, ...] = setting((), format="pve-configid", max_length=4096, help="Keys to remove.")
    digest: str | None = setting(None, max_length=64, help="Only if the definitions still have this digest.")


@dataclass(frozen=True, kw_only=True)
class Locked(Guest):
    """Changes of a guest that Proxmox lets root do in spite of a lock."""

    skiplock: bool = setting(False, help="Taken and without effect: there are no lock flags that could be left over.")


def on_each(privilege: str) -> Allow:
    """Who may call what works on many guests (`vms`): it takes the privilege on each."""

    async def check(call: Call, p: Any) -> None:
        call.services.bulk.check_rights(call.identity, p.vmids, privilege)

    return Allow.by(check, f"{privilege} on /vms/{{vmid}} of each guest that is named; for all: {privilege} on /")


def digest_setting() -> Any:
    """`digest` of a guest's configuration: refuse the change if it is another one now."""
    return setting(None, max_length=40, help="Only if the configuration still has this digest (from `GET config`).")


async def settle(call: Call, started: Started, seconds: float = SYNC_SECONDS) -> Plan | None:
    """Wait for a job whose call is synchronous in Proxmox: its failure is the call's failure.

    Raises the job's error; OutcomeUnknown when it still runs after `seconds` (it goes on)."""
    if isinstance(started, Plan):
        return started
    record: JobRecord = await call.services.jobs.wait(started, seconds)
    if not record.state.ended:
        raise OutcomeUnknown(
            "the change is still under way",
            code="still-running",
            cause=f"it did not end within {seconds:g} s",
            evidence=started,
            fixes=[Fix(text="follow the task", action=f"GET /nodes/{record.node}/tasks/{started}/status")],
        )
    if record.error is not None:
        raise error_of(dict(record.error), record.exitstatus or "")
    return None


def error_of(record: dict[str, Any], message: str) -> TarmacError:
    """A job's recorded error as the error it was."""
    found = getattr(tree, str(record.get("kind", "")), TarmacError)
    kind = found if isinstance(found, type) and issubclass(found, TarmacError) else TarmacError
    return kind(
        str(record.get("message") or message),
        code=str(record.get("code") or "failed"),
        cause=str(record.get("cause") or ""),
        evidence=str(record.get("evidence") or ""),
        fixes=[Fix(text=f["text"], action=f["action"], parameters=f["parameters"]) for f in record.get("fixes", ())],
        parameters=record.get("parameters"),
    )
