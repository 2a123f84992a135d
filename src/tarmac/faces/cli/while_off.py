"""`--while-off`: what a running guest refuses, or has only from its next start, is done between a shutdown and a start.

A chain of ordinary requests, each told. A guest that does not shut down stays as it is, and nothing is changed; where
the change fails the guest is started again as it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from tarmac.faces.cli.client import fill
from tarmac.faces.cli.declared import Spec
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.session import Session

_GUEST = "/nodes/{node}/qemu/{vmid}"
_CHANGES = {"config", "unlink", "move_disk", "template", "history/{revision}/restore"}


def add_option(parser: argparse.ArgumentParser, spec: Spec) -> None:
    """Where a command changes one guest."""
    if spec["method"] != "GET" and spec["path"].removeprefix(f"{_GUEST}/") in _CHANGES:
        parser.add_argument(
            "--while-off", action="store_true", help="shut a running guest down, do it, and start it again"
        )


@contextmanager
def while_off(session: Session, guest: dict[str, str]) -> Iterator[None]:
    """The guest is off inside; afterwards it runs if it ran before (a template cannot). Raises CliError when it does
    not shut down, and for `--no-wait`."""
    path, vmid = fill(_GUEST, guest), guest["vmid"]
    if session.client.get(f"{path}/status/current")["status"] == "stopped":
        yield
        return
    if session.options.no_wait:
        raise usage("--while-off waits for each of its steps; leave --no-wait out")
    try:
        session.task("POST", f"{path}/status/shutdown", {}, f"shut guest {vmid} down")
    except CliError:
        session.say(f"guest {vmid} did not shut down; nothing was changed")
        raise
    session.say(f"guest {vmid} is off")
    try:
        yield
    finally:
        if not session.client.get(f"{path}/status/current").get("template"):
            session.task("POST", f"{path}/status/start", {}, f"start guest {vmid} again")
            session.say(f"guest {vmid} runs again")
