"""`tarmac vm export-disk` and `tarmac storage export`: a disk as a file of this machine, its format by its ending."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from tarmac.faces.cli.client import BASE
from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written.vm import guest_path

_FORMATS = {"qcow2": "qcow2", "raw": "raw", "img": "raw", "vmdk": "vmdk", "vhd": "vpc", "vpc": "vpc", "vhdx": "vhdx", "vdi": "vdi"}  # fmt: skip # noqa: E501
_CONVERT_SECONDS = 24 * 3600.0


def disk_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument("disk", metavar="DISK", help="scsi0, virtio1, ...")
    _file_options(parser)
    parser.add_argument("--snapname", help="as it was in this snapshot")
    parser.add_argument("--node", help="the guest's node")


def volume_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("volume", metavar="VOLID", help="local:100/vm-100-disk-0.qcow2")
    _file_options(parser)
    parser.add_argument("--node", help="the node (default: the one that answers)")


def _file_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="where to; must not exist")
    parser.add_argument("--format", choices=sorted(set(_FORMATS.values())), help="default: by the file's ending")


def disk(session: Session) -> int:
    """Download a guest's disk."""
    o = session.options
    params = {"disk": o.disk, **({"snapname": o.snapname} if o.snapname else {})}
    return _download(session, f"{guest_path(session, o.guest)}/export", params)


def volume(session: Session) -> int:
    """Download a disk image of a storage."""
    o = session.options
    storage, colon, _ = o.volume.partition(":")
    if not colon:
        raise usage(f"'{o.volume}' is not STORAGE:NAME")
    path = f"/nodes/{session.node()}/storage/{quote(storage, safe='')}/export"
    return _download(session, path, {"volume": o.volume})


def _download(session: Session, path: str, params: dict[str, str]) -> int:
    """The file appears whole or not at all."""
    target = Path(session.options.file)
    format = session.options.format or _FORMATS.get(target.suffix[1:].lower())
    if format is None:
        raise usage(f"what format is {target.name}?", "say it: --format qcow2")
    if target.exists():
        raise usage(f"{target} exists already")
    client, shown = session.client, session.progress(f"exporting {target.name}")
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:

            def take(piece: bytes, done: int, total: int) -> None:
                file.write(piece)
                shown.update(done, total, "bytes")

            query = urlencode({**params, "format": format})
            reply = client.send("GET", f"{BASE}{path}?{query}", client.headers(), timeout=_CONVERT_SECONDS, take=take)
        if reply.status != 200:
            client.understand(reply)
        part.rename(target)
    finally:
        shown.end()
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    session.say(f"{target}: {target.stat().st_size} bytes, {format}")
    return 0
