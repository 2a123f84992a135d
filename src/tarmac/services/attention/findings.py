"""The rules: which states of storages, guests, tasks and certificates are findings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarmac.model.errors import Fix, TarmacError
from tarmac.model.job import QUIET_KINDS, JobRecord, JobState
from tarmac.model.units import human_size

SEVERITIES = ("error", "warning", "info")
DAY = 86_400.0
CERTIFICATE_DAYS = 14
FAILED_SECONDS = DAY
"""How long a failed task is shown, unless the same was done since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`object` is an id of `GET /cluster/resources`; `since` seconds since 1970, None where that is not known."""

    id: str
    severity: str
    object: str
    code: str
    message: str
    cause: str = ""
    evidence: str = ""
    fixes: Sequence[Mapping[str, Any]] = ()
    since: float | None = None

    def row(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.id, "severity": self.severity, "object": self.object, "code": self.code}
        shown |= {"message": self.message, "cause": self.cause, "evidence": self.evidence, "fixes": list(self.fixes)}
        return shown if self.since is None else {**shown, "since": int(self.since)}


def of_storage(row: Mapping[str, Any], object: str) -> list[Finding]:
    """`row` is one of `GET /nodes/{node}/storage`."""
    name, found = row["storage"], []
    if row.get("problem") and row["enabled"]:
        stale = row.get("stale")
        found.append(
            Finding(
                id=f"storage-away/{name}",
                severity="error",
                object=object,
                code="storage-away",
                message=f"storage '{name}' cannot be used",
                cause="it does not answer; what is shown of it is old" if stale else "it is not ready",
                evidence=row["problem"],
                fixes=[_fix("do without it: disable it", f"PUT /storage/{name}", {"disable": "1"})],
            )
        )
    if row.get("warning"):
        free, total = human_size(row["avail"]), human_size(row["total"])
        found.append(
            Finding(
                id=f"storage-low/{name}",
                severity="warning",
                object=object,
                code="storage-low",
                message=f"storage '{name}' runs low: {row['warning']}",
                cause="when it is full, the guests that write to it are paused",
                evidence=f"{free} of {total} are free",
                fixes=[
                    _fix("see what nobody needs", f"tarmac storage orphans {name}"),
                    _fix("keep less in reserve", f"PUT /storage/{name}", {"reserve": "1%"})
                    if row["avail"] < row.get("reserve", 0)
                    else _fix("foretell nothing for it", f"PUT /storage/{name}", {"forecast-days": "0"}),
                ],
            )
        )
    return found


def of_orphans(storage: str, object: str, orphans: Sequence[Mapping[str, Any]]) -> list[Finding]:
    if not orphans:
        return []
    size = human_size(sum(int(row.get("used") or row["size"]) for row in orphans))
    count = f"{len(orphans)} image{'s' if len(orphans) > 1 else ''}"
    return [
        Finding(
            id=f"orphans/{storage}",
            severity="info",
            object=object,
            code="orphans",
            message=f"{count} on storage '{storage}' belong to nobody",
            cause="no guest, snapshot or clone names them",
            evidence=f"{orphans[0]['volid']}{' and others' if len(orphans) > 1 else ''}: {size}",
            fixes=[_fix("look at them, and remove what is not needed", f"tarmac storage orphans {storage}")],
        )
    ]


def of_network(vnet: str, object: str, problem: TarmacError | None, restarts: int) -> list[Finding]:
    """`restarts`: how often its DHCP ended by itself since the daemon started."""
    if problem is not None:
        parts: dict[str, Any] = problem.as_record()
        return [
            Finding(
                id=f"network/{vnet}",
                severity="error",
                object=object,
                code=parts["code"],
                message=f"vnet '{vnet}' is not as it should be: {parts['message']}",
                cause=parts["cause"],
                evidence=parts["evidence"],
                fixes=[*parts["fixes"], _fix("apply the definitions again", "PUT /cluster/sdn")],
            )
        ]
    if not restarts:
        return []
    return [
        Finding(
            id=f"network-dhcp/{vnet}",
            severity="warning",
            object=object,
            code="dhcp-restarted",
            message=f"DHCP of vnet '{vnet}' ended by itself and was started again",
            cause="somebody ended it, or it failed",
            evidence=f"{restarts} time{'s' if restarts > 1 else ''} since the daemon started",
            fixes=[_fix("look for the reason", "tarmac node syslog")],
        )
    ]


def of_halted(vmid: int, problem: TarmacError) -> Finding:
    """A guest that QEMU paused because a disk cannot be written."""
    parts: dict[str, Any] = problem.as_record()
    go_on = _fix("go on now", "POST .../status/resume")
    fixes = parts["fixes"] if any(f["action"] == go_on["action"] for f in parts["fixes"]) else [*parts["fixes"], go_on]
    return Finding(
        id=f"halted/{vmid}",
        severity="error",
        object=f"qemu/{vmid}",
        code=parts["code"],
        message=parts["message"],
        cause=parts["cause"],
        evidence=parts["evidence"],
        fixes=fixes,
    )


def of_pending(vmid: int, title: str, keys: Sequence[str]) -> Finding:
    """A running guest with changes that wait."""
    return Finding(
        id=f"pending/{vmid}",
        severity="info",
        object=f"qemu/{vmid}",
        code="pending-changes",
        message=f"changes of guest {title} wait for its next start",
        cause="they cannot be made while it runs",
        evidence=", ".join(keys),
        fixes=[
            _fix("restart the guest", "POST .../status/reboot"),
            _fix("forget the changes", "PUT .../config", {"revert": ",".join(keys)}),
        ],
    )


def of_exit(vmid: int, title: str, how: str) -> Finding:
    """A guest that ended by itself, and not because it shut down."""
    return Finding(
        id=f"ended/{vmid}",
        severity="error",
        object=f"qemu/{vmid}",
        code="ended-by-itself",
        message=f"guest {title} ended by itself",
        cause="nobody asked for it",
        evidence=how,
        fixes=[_fix("start it again", "POST .../status/start")],
    )


def of_tasks(ended: Iterable[JobRecord], node: str, now: float, exists: Callable[[int], bool]) -> list[Finding]:
    """Failed tasks of the last day after which the same was not done; `ended` newest first. `exists` says whether there
    is such a guest (still)."""
    found, seen = [], set()
    for record in ended:
        key = (record.kind, record.id)
        at = record.ended or record.created
        if key in seen or now - at > FAILED_SECONDS:
            continue
        seen.add(key)
        if (
            record.kind in QUIET_KINDS
            or record.state is not JobState.FAILED
            or (record.id.isdigit() and not exists(int(record.id)))
        ):
            continue
        found.append(_of_task(record, node, at))
    return found


def _of_task(record: JobRecord, node: str, at: float) -> Finding:
    error: Mapping[str, Any] = record.error or {}
    guest = record.id.isdigit()
    fixes = list(error.get("fixes") or ())
    if record.kind == "qmstart" and guest:
        fixes.append(_fix("try again", "POST .../status/start"))
    return Finding(
        id=f"task/{record.upid}",
        severity="error",
        object=f"qemu/{record.id}" if guest else f"node/{node}",
        code=str(error.get("code", "task-failed")),
        message=f"{record.kind} {record.id}: {error.get('message') or record.exitstatus}",
        cause=str(error.get("cause", "")),
        evidence=str(error.get("evidence", "")),
        fixes=[*fixes, _fix("see its log", f"GET /nodes/{node}/tasks/{record.upid}/log")],
        since=at,
    )


def of_certificate(row: Mapping[str, Any], node: str, now: float) -> list[Finding]:
    """`row` is one of `GET /nodes/{node}/certificates/info`."""
    days = (row["notafter"] - now) / DAY
    if days > CERTIFICATE_DAYS:
        return []
    when = "has expired" if days < 0 else f"expires in {max(1, round(days))} days"
    return [
        Finding(
            id=f"certificate/{row['filename']}",
            severity="error" if days < 0 else "warning",
            object=f"node/{node}",
            code="certificate-expires",
            message=f"the certificate of node {node} {when}",
            cause="browsers and programs refuse an expired one; one of our own is made anew when the daemon starts",
            evidence=f"{row['subject']}, issued by {row['issuer']}",
            fixes=[_fix("bring a new certificate, or restart the daemon", f"POST /nodes/{node}/certificates/custom")],
        )
    ]


def of_metric_server(name: str, problem: str, node: str) -> Finding:
    return Finding(
        id=f"metric-server/{name}",
        severity="warning",
        object=f"node/{node}",
        code="metric-server-away",
        message=f"figures cannot be sent to '{name}'",
        cause="it is tried again each time; what could not be sent is not kept",
        evidence=problem,
        fixes=[_fix("send it nothing any more", f"PUT /cluster/metrics/server/{name}", {"disable": "1"})],
    )


def of_locked_user(row: Mapping[str, Any], node: str) -> Finding:
    """`row` is one of `GET /access/tfa` with a lock."""
    return Finding(
        id=f"locked/{row['userid']}",
        severity="warning",
        object=f"node/{node}",
        code="second-factor-locked",
        message=f"the second factor of {row['userid']} is locked",
        cause="too many wrong codes: somebody who knows the password may be guessing",
        evidence=row["userid"],
        fixes=[_fix("let the user try again", f"PUT /access/users/{row['userid']}/unlock-tfa")],
    )


def _fix(text: str, action: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
    fix = Fix(text=text, action=action, parameters=parameters or {})
    return {"text": fix.text, "action": fix.action, "parameters": dict(fix.parameters)}
