"""`tarmac vm cp`: a file into or out of a guest through its agent, so that it needs neither network nor login there.

The agent's own file calls are limited to a few tens of KiB, so the file goes in pieces through a shell in the guest,
as base64 (which every Linux has, busybox too). The guest's file appears whole or not at all; what the guest answers is
bounded and checked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import secrets
from collections.abc import Sequence
from pathlib import Path

from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written.vm import Ran, guest_path, run_in_guest

_PIECE = 384 * 1024
_GIVEN = 48 * 1024  # as base64 exactly what the API takes as a command's input


def copy_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("source", metavar="SOURCE", help="FILE, or GUEST:/path")
    parser.add_argument("target", metavar="TARGET", help="GUEST:/path, or FILE")
    parser.add_argument("--node", help="the guest's node")


def copy(session: Session) -> int:
    """Copy one file; exactly one of the two ends is in a guest."""
    source, target = _place(session.options.source), _place(session.options.target)
    if (source is None) == (target is None):
        raise usage("one end is a file here, the other GUEST:/path", "tarmac vm cp notes.txt 100:/root/notes.txt")
    if target is not None:
        guest, path = target
        local = Path(session.options.source)
        path += local.name if path.endswith("/") else ""
        _push(session, guest_path(session, guest), local, path)
    elif source is not None:
        guest, path = source
        local = Path(session.options.target)
        local = local / path.rpartition("/")[2] if local.is_dir() else local
        _pull(session, guest_path(session, guest), path, local)
    return 0


def _place(word: str) -> tuple[str, str] | None:
    """Guest and path of `GUEST:/path`; None for a file here."""
    guest, colon, path = word.partition(":")
    return (guest, path) if colon and guest and "/" not in guest and path.startswith("/") else None


def _push(session: Session, guest: str, source: Path, path: str) -> None:
    size = source.stat().st_size
    part = f"{path}.{secrets.token_hex(4)}.part"
    shown = session.progress(f"copying {source.name}")
    done = 0
    try:
        with source.open("rb") as file:
            _shell(session, guest, ': > "$1"', part)
            while piece := file.read(_GIVEN):
                _shell(session, guest, 'base64 -d >> "$1"', part, given=base64.b64encode(piece).decode())
                done += len(piece)
                shown.update(done, size, "bytes")
        arrived = _shell(
            session, guest, 'wc -c < "$1" && chmod "$3" "$1" && mv -f "$1" "$2"', part, path, _mode(source)
        )
    except CliError:
        run_in_guest(session, guest, ["rm", "-f", part])
        raise
    finally:
        shown.end()
    if int(arrived.out.strip() or -1) != done:
        raise CliError("data-corrupt", f"{path} has {arrived.out.strip()} bytes in the guest, {done} were sent")
    session.say(f"copied {done} bytes")


def _pull(session: Session, guest: str, path: str, target: Path) -> None:
    size = int(_shell(session, guest, 'wc -c < "$1"', path).out.strip())
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    shown = session.progress(f"copying {path}")
    done = 0
    try:
        with part.open("xb") as file:
            while done < size:
                turn = str(done // _PIECE)
                ran = _shell(
                    session, guest, 'dd if="$1" bs="$2" skip="$3" count=1 2>/dev/null | base64', path, str(_PIECE), turn
                )
                piece = _decode(path, ran)
                if len(piece) != min(_PIECE, size - done):
                    raise CliError("data-corrupt", f"{path} changed in the guest while it was read")
                file.write(piece)
                done += len(piece)
                shown.update(done, size, "bytes")
        part.replace(target)
    finally:
        shown.end()
        part.unlink(missing_ok=True)
    session.say(f"copied {done} bytes")


def _decode(path: str, ran: Ran) -> bytes:
    try:
        return base64.b64decode("".join(ran.out.split()), validate=True)
    except binascii.Error as error:
        raise CliError("data-corrupt", f"the guest did not send {path} whole", evidence=str(error)) from error


def _shell(session: Session, guest: str, script: str, *words: str, given: str = "") -> Ran:
    """Run a shell script with `words` as its `$1`, `$2`, ... in the guest. Raises CliError when it fails."""
    ran = run_in_guest(session, guest, ["sh", "-c", script, "sh", *words], given)
    if ran.code:
        kind = (
            "not-found" if "No such file" in ran.err or "can't open" in ran.err or "nonexistent" in ran.err else "error"
        )
        raise CliError(kind, "the guest could not do it", evidence=ran.err.strip() or f"exit code {ran.code}")
    return ran


def _mode(source: Path) -> str:
    return f"{source.stat().st_mode & 0o777:o}"
