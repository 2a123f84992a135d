"""`tarmac serve`: become the daemon. A face may not import `tarmac.daemon`, so the program is replaced by it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tarmac.faces.cli.session import Session
from tarmac.lib.places import default_data_dir


def serve_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", help="where the API answers (default: all addresses, 8006)")
    parser.add_argument("--node", metavar="NAME", help="this node's name (default: the host's)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="from which level on to log")


def serve(session: Session) -> int:
    """Does not return."""
    words = daemon_command(session)
    os.execv(words[0], words)


def daemon_command(session: Session) -> list[str]:
    """The daemon's command line for these options."""
    o = session.options
    words = [sys.executable, "-m", "tarmac.daemon", "--data-dir", str(data_dir(session))]
    for flag in ("listen", "node", "log_level"):
        if value := getattr(o, flag, None):
            words += [f"--{flag.replace('_', '-')}", str(value)]
    return words


def data_dir(session: Session) -> Path:
    """The data directory of this run, absolute: it will be read from elsewhere."""
    return Path(session.options.data_dir or default_data_dir()).absolute()
