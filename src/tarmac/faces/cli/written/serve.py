"""`tarmac serve`: run the daemon in the foreground.

`tarmac.daemon` stands above the faces and is imported by its name only here, where the program becomes the daemon.
"""

from __future__ import annotations

import argparse
import gc
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.session import Session
from tarmac.lib.places import default_data_dir

DEFAULT_PORT = 8006
_LISTEN = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:\[\]]*):)?(?P<port>\d{1,5})")


def serve_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", help="where the API answers (default: all addresses, 8006)")
    parser.add_argument("--node", metavar="NAME", help="this node's name (default: the host's)")
    parser.add_argument("--password-file", metavar="FILE", help="its first line becomes the password of root@pam")
    parser.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO", type=str.upper)


def serve(session: Session) -> int:
    """Returns after SIGTERM or SIGINT. Raises TarmacError when the daemon cannot start."""
    o = session.options
    host, port = listen_address(o.listen)
    gc.disable()  # what is loaded stays; the daemon freezes it and collects from then on
    daemon = import_module("tarmac.daemon")
    options = daemon.Options(
        data_dir=data_dir(session),
        host=host,
        port=port,
        node=o.node or "",
        log_level=o.log_level,
        password_file=Path(o.password_file) if o.password_file else None,
    )
    return int(daemon.main(options))


def listen_address(text: str | None) -> tuple[str, int]:
    """Host ("" is every address) and port. Raises CliError for anything else."""
    if not text:
        return "", DEFAULT_PORT
    match = _LISTEN.fullmatch(text)
    if match is None or not int(match["port"]) < 65536:
        raise usage(f"not an address to listen on: {text}", "--listen 127.0.0.1:8006", "--listen [::1]:8006")
    return (match["host"] or "").strip("[]"), int(match["port"])


def daemon_command(session: Session) -> list[str]:
    """The daemon's command line for these options, for a process or a systemd unit."""
    o = session.options
    script = Path(sys.executable).with_name("tarmac")
    words = [str(script)] if script.exists() else [sys.executable, "-m", "tarmac.faces.cli.main"]
    words += ["serve", "--data-dir", str(data_dir(session))]
    for flag in ("listen", "node"):
        if value := getattr(o, flag, None):
            words += [f"--{flag}", str(value)]
    if value := getattr(o, "password_file", None):
        words += ["--password-file", str(Path(value).absolute())]
    return words


def data_dir(session: Session) -> Path:
    """The data directory of this run, absolute: it will be read from elsewhere."""
    return Path(session.options.data_dir or default_data_dir()).absolute()
