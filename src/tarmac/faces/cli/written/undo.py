"""`tarmac vm undo`, `task undo`, `history undo`: make the calls that a change's history names as its inverse."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.session import Session, task_path
from tarmac.faces.cli.written.vm import guest_path

Inverse = Sequence[Mapping[str, Any]]


def _dryrun(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dryrun", action="store_true", help="print what would be done, and do nothing")


def of_guest_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument("revision", metavar="REVISION", nargs="?", type=int, help="undo this one (default: the last)")
    parser.add_argument("--node", help="the guest's node")
    _dryrun(parser)


def of_guest(session: Session) -> int:
    """Undo the change that made a version of a guest's configuration."""
    o = session.options
    rows = session.client.get(f"{guest_path(session, o.guest)}/history")
    row = rows[0] if o.revision is None else next((r for r in rows if r["revision"] == o.revision), None)
    if row is None:
        raise usage(f"guest {o.guest} has no revision {o.revision}", f"see them: tarmac vm history {o.guest}")
    return undo(session, row.get("inverse", []), f"revision {row['revision']} of guest {o.guest}")


def of_task_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("upid", metavar="UPID", help="the task's id")
    _dryrun(parser)


def of_task(session: Session) -> int:
    """Undo what a task did."""
    upid = session.options.upid
    status = session.client.get(f"{task_path(upid)}/status")
    return undo(session, status.get("inverse", []), f"task {status.get('type')} {status.get('id')}".rstrip())


def of_change_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("id", metavar="ID", help="the change's id: tarmac history list")
    _dryrun(parser)


def of_change(session: Session) -> int:
    """Undo a change of users, grants, pools, storages or options."""
    change = session.options.id
    row = session.client.get(f"/cluster/history/{quote(change, safe='')}")
    return undo(session, row.get("inverse", []), f"'{row['what']}'")


def undo(session: Session, inverse: Inverse, what: str) -> int:
    """Make the calls, in their order. Raises CliError where there is none, and for the first that is refused."""
    if not inverse:
        raise CliError(
            "wrong-state",
            f"{what} has no inverse",
            code="no-inverse",
            cause="what was before cannot be brought back by a call",
            fixes=["for a guest's disks: tarmac vm rollback GUEST SNAPSHOT"],
        )
    dryrun = session.options.dryrun
    plans = []
    for call in inverse:
        params = {**call["parameters"], **({"dryrun": 1} if dryrun else {})}
        title = f"{call['method']} {call['path']}"
        if dryrun:
            plans.append(
                {"call": dict(call), "plan": session.client.call(call["method"], call["path"], params)["data"]}
            )
        else:
            session.task(call["method"], call["path"], params, title)
            session.say(f"{title}: done")
    if dryrun:
        session.show(plans)
    return 0
