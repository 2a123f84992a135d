"""`tarmac vm showcmd`: the exact QEMU command line, of a guest of the daemon or of a configuration's text.

With `--config` nothing is asked and nothing is touched: no daemon, no host. The text and the described node
(`--facts`, docs/format/node-facts.md) go through the pure function that the daemon uses too.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written.vm import guest_path


def showcmd_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", nargs="?", help="number or name; not with --config")
    parser.add_argument("--config", metavar="FILE", help="a configuration in Proxmox's form; -: standard input")
    parser.add_argument("--facts", metavar="FILE", help="the node as JSON, for --config (default: a plain one)")
    parser.add_argument(
        "--vmid", type=int, help="the guest's number, for --config (default: from the file's name, or 100)"
    )
    parser.add_argument("--pretty", action="store_true", help="one option a line")
    parser.add_argument("--node", help="the guest's node")


def showcmd(session: Session) -> int:
    """Print the command line; as JSON or YAML what `show` gives. Raises CliError or TarmacError."""
    o = session.options
    if o.config:
        found = from_text(_read(o.config), o.facts, o.vmid or _number(o.config))
    elif o.guest:
        data = session.client.get(f"{guest_path(session, o.guest)}/showcmd")
        found = data if isinstance(data, dict) else {"argv": shlex.split(str(data))}
    else:
        raise usage("which guest?", "tarmac vm showcmd 100", "tarmac vm showcmd --config FILE.conf")
    if session.output != "table":
        session.show(found)
    else:
        print(pretty(found["argv"]) if o.pretty else shlex.join(found["argv"]))
        for note in found.get("notes") or ():
            session.say(f"note: {note}")
    return 0


def from_text(text: str, facts: str | None, vmid: int) -> dict[str, Any]:
    """What the pure function makes of a configuration's text: `argv`, `taps`, `accelerator`, `notes`, ...

    Raises TarmacError, and CliError for files that cannot be read."""
    import msgspec

    from tarmac.drivers.qemu.argv import show
    from tarmac.drivers.qemu.facts import NodeFacts

    node = NodeFacts.parse(_read(facts)) if facts else NodeFacts()
    found: dict[str, Any] = msgspec.to_builtins(show(text, node, vmid=vmid))
    return found


def pretty(argv: Sequence[str]) -> str:
    """The command line with one option a line, still good for pasting into a shell."""
    lines = [shlex.quote(argv[0])]
    for word in argv[1:]:
        if word.startswith("-"):
            lines.append(f"  {shlex.quote(word)}")
        else:
            lines[-1] += f" {shlex.quote(word)}"
    return " \\\n".join(lines)


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"cannot read {name}: {error}") from error


def _number(name: str) -> int:
    stem = Path(name).stem
    return int(stem) if stem.isdigit() and int(stem) >= 100 else 100
