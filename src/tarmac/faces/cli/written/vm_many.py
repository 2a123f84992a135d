"""`tarmac vm start|shutdown|suspend`: one guest, several, those of a pool, or all. One is the guest's own task; of
several one task has each guest's outcome."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tarmac.faces.cli import commands, declared
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.session import Session

_SINGLE_ONLY = {"node", "dryrun"}
# What the bulk action calls an option of the single one.
_RENAMED = {"forceStop": "force-stop"}
_TAKEN = {"start": ("timeout",), "shutdown": ("timeout", "forceStop"), "suspend": ()}
_NEEDS = {"start": ("stopped", "paused"), "shutdown": ("running", "paused"), "suspend": ("running",)}


def start_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    _options(parser, argv, "start")


def shutdown_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    _options(parser, argv, "shutdown")


def suspend_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    _options(parser, argv, "suspend")


def start(session: Session) -> int:
    return _run(session, "start")


def shutdown(session: Session) -> int:
    return _run(session, "shutdown")


def suspend(session: Session) -> int:
    return _run(session, "suspend")


def _options(parser: argparse.ArgumentParser, argv: Sequence[str], action: str) -> None:
    parser.add_argument("guests", metavar="GUEST", nargs="*", help="numbers or names")
    parser.add_argument("--all", action="store_true", help=f"all guests that one can {action} now")
    parser.add_argument("--pool", metavar="POOL", help="those of them that are in this pool")
    parser.add_argument("--max-workers", metavar="N", type=int, help="of several, so many at a time (default: 4)")
    commands.add_parameters(parser, declared.table()[f"vm {action}"], argv, skip=("vmid",))


def _run(session: Session, action: str) -> int:
    o = session.options
    if len(o.guests) == 1 and not o.all and not o.pool:
        o.vmid = o.guests[0]
        return commands.run(f"vm {action}", declared.table()[f"vm {action}"], session)
    vmids = _chosen(session, action)
    if not vmids:
        session.say("(no guest that needs it)")
        return 0
    return _bulk(session, action, vmids)


def _chosen(session: Session, action: str) -> list[int]:
    """The guests that are meant. Raises CliError where the words do not say which, or say it twice."""
    o = session.options
    if sum((bool(o.guests), o.all, bool(o.pool))) != 1:
        raise usage("which guests?", f"tarmac vm {action} 100 101", "--pool POOL", "--all")
    if o.guests:
        return list(dict.fromkeys(session.guest(word)[1] for word in o.guests))
    if o.pool:
        rows = session.client.get(f"/pools/{quote(o.pool, safe='/')}", {"type": "qemu"})["members"]
    else:
        rows = session.client.get("/cluster/resources", {"type": "vm"}) or []
    return sorted(int(row["vmid"]) for row in rows if _state(row) in _NEEDS[action] and not row.get("template"))


def _state(row: dict[str, Any]) -> str:
    return str(row.get("status", "stopped"))


def _bulk(session: Session, action: str, vmids: list[int]) -> int:
    params = _params(session, action, vmids)
    path = f"/cluster/bulk-action/guest/{action}"
    if getattr(session.options, "dryrun", False):
        session.show(session.client.call("POST", path, {**params, "dryrun": 1}).get("data"))
        return 0
    upid = str(session.client.post(path, params))
    if session.options.no_wait:
        print(upid)
        return 0
    try:
        status = session.wait(upid, f"{action} of {len(vmids)} guests")
    except CliError:
        _show(session, session.task_status(upid))
        raise
    _show(session, status)
    return 0


def _params(session: Session, action: str, vmids: list[int]) -> dict[str, Any]:
    given = commands.given(declared.table()[f"vm {action}"], session.options, skip=("vmid", *_SINGLE_ONLY))
    if wrong := sorted(set(given) - set(_TAKEN[action])):
        raise usage(f"--{wrong[0]} is for one guest at a time")
    params: dict[str, Any] = {_RENAMED.get(name, name): value for name, value in given.items()}
    if action == "shutdown":
        params.setdefault("force-stop", 0)  # as for one guest: its power is cut only if that is asked for
    if session.options.max_workers is not None:
        params["max-workers"] = session.options.max_workers
    return {"vms": vmids, **params}


def _show(session: Session, status: dict[str, Any]) -> None:
    """One line a guest; for programs the task's whole status."""
    if session.output != "table":
        session.show(status)
        return
    session.show(status.get("result", {}).get("guests", []), "vm bulk")
