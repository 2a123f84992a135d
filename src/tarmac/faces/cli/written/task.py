"""`tarmac task list|follow|log`: which tasks there are, and what one says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tarmac.faces.cli import commands, declared
from tarmac.faces.cli.render import clean
from tarmac.faces.cli.session import Session, task_path

_PAGE = 1000


def list_tasks_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    commands.add_parameters(parser, _listed(), argv)
    parser.set_defaults(source="all")


def list_tasks(session: Session) -> int:
    """Running tasks too: the API, as Proxmox's, leaves those out unless it is told otherwise."""
    return commands.run("task list", _listed(), session)


def _listed() -> declared.Spec:
    spec = declared.table()["task list"]
    changed = [p | {"default": "all"} if p["name"] == "source" else p for p in spec["parameters"]]
    return {**spec, "parameters": changed}


def follow_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("upid", metavar="UPID", help="the task's id")


log_options = follow_options


def follow(session: Session) -> int:
    """Print the log as it grows; exit code 7 when the task fails."""
    status = session.wait(session.options.upid, lines=True)
    if session.output != "table":
        session.show(status)
    return 0


def log(session: Session) -> int:
    """Print all of the log's lines."""
    path = f"{task_path(session.options.upid)}/log"
    lines: list[str] = []
    while True:
        page = session.client.get(path, {"start": len(lines), "limit": _PAGE}) or []
        texts = [str(line["t"]) for line in page if line.get("n", 0) > len(lines)]
        lines += texts
        if len(page) < _PAGE or not texts:
            break
    if session.output == "table":
        for line in lines:
            print(clean(line))
    else:
        session.show(lines)
    return 0
