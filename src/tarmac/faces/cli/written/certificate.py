"""`tarmac node set-certificate`: files in, nothing secret in the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.session import Session


def set_certificate_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("certificate", metavar="CHAIN.pem", type=Path, help="the certificate, then its issuers")
    parser.add_argument("key", metavar="KEY.pem", type=Path, nargs="?", help="its key (default: as now)")
    parser.add_argument("--force", action="store_true", help="replace the one that is there")
    parser.add_argument("--node", help="the node (default: the one that answers)")


def set_certificate(session: Session) -> int:
    o = session.options
    params = {"certificates": _read(o.certificate), "key": _read(o.key) if o.key else None, "force": o.force}
    row = session.client.post(f"/nodes/{session.node()}/certificates/custom", params)
    if session.output == "table":
        session.say(f"{row['subject']} is shown to new connections; fingerprint {row['fingerprint']}")
    else:
        session.show(row)
    return 0


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text("ascii")
    except (OSError, UnicodeDecodeError) as problem:
        raise usage(f"cannot read {path}: {getattr(problem, 'strerror', None) or 'it is no PEM file'}") from problem
