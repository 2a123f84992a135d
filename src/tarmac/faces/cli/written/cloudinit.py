"""`tarmac vm cloudinit-set`, and the documents that `vm create` takes: files of this machine, no SSH to the node."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written.vm import guest_path

KINDS = ("user", "network", "meta", "vendor")


def set_document_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument("type", choices=KINDS, help="which document")
    parser.add_argument("file", metavar="FILE", help="the document (-: standard input)")
    parser.add_argument("--node", help="the guest's node")


def set_document(session: Session) -> int:
    """Set it; it is on the medium from the next start on, or from `vm cloudinit-update`."""
    o = session.options
    checked = put_document(session, guest_path(session, o.guest), o.type, read_document(o.file))
    if session.output != "table":
        session.show(checked)
    else:
        session.say(f"{o.type} document of guest {o.guest}: set; on its medium at the next start")
    return 0


def put_document(session: Session, guest: str, kind: str, text: str) -> object:
    """Set a document of the guest at an API path. Raises CliError when cloud-init would not take it."""
    return session.client.call("PUT", f"{guest}/cloudinit/documents/{kind}", {"content": text}).get("data")


def read_document(word: str) -> str:
    """The text of a file. Raises CliError."""
    try:
        return sys.stdin.read() if word == "-" else Path(word).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise usage(f"cannot read {word}: {getattr(problem, 'strerror', None) or 'it is no text'}") from problem
