"""`tarmac storage upload`: a file of this machine into a storage, streamed, with progress and checksum."""

from __future__ import annotations

import argparse
import hashlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from tarmac.faces.cli.client import BASE
from tarmac.faces.cli.commands import show_outcome
from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.progress import Progress
from tarmac.faces.cli.session import Session

_CHUNK = 1 << 20


def upload_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("file", metavar="FILE", help="the file to upload")
    parser.add_argument("--storage", default="local", help="the storage (default: local)")
    parser.add_argument(
        "--content", choices=("iso", "import", "vztmpl", "snippets"), help="what it is (default: by its ending)"
    )
    parser.add_argument("--filename", help="its name there (default: its own)")
    parser.add_argument("--no-checksum", action="store_true", help="do not have the daemon compare a checksum")
    parser.add_argument("--node", help="the node (default: the one that answers)")


def upload(session: Session) -> int:
    """Upload one file and wait until the daemon has put it in its place."""
    o = session.options
    source = Path(o.file)
    if not source.is_file():
        raise usage(f"{source} is not a file")
    name = o.filename or source.name
    if any(sign in name for sign in '"\\/\r\n'):
        raise usage(f"'{name}' cannot be a file name in a storage", "name it: --filename NAME")
    content = o.content or _content(name.lower())
    fields = {"content": content}
    if not o.no_checksum:
        fields |= {"checksum-algorithm": "sha256", "checksum": _checksum(source, session.progress(f"reading {name}"))}
    shown = session.progress(f"uploading {name}")
    try:
        upid = _send(session, o.storage, source, name, fields, shown)
    finally:
        shown.end()
    status = {"upid": upid} if o.no_wait else session.wait(upid, f"checking {name}")
    show_outcome(session, status, f"{o.storage}:{content}/{name}")
    return 0


def _content(name: str) -> str:
    if name.endswith(".iso"):
        return "iso"
    return "snippets" if name.endswith((".yaml", ".yml")) else "import"


def _send(session: Session, storage: str, source: Path, name: str, fields: dict[str, str], shown: Progress) -> str:
    """The multipart body as PVE wants it: the fields first, the file last, its part named `filename`."""
    boundary = secrets.token_hex(16)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="filename"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n"
    size = source.stat().st_size

    def body() -> Iterator[bytes]:
        yield head.encode()
        yield from _chunks(source, size, shown)
        yield tail.encode()

    client = session.client
    reply = client.send(
        "POST",
        f"{BASE}/nodes/{session.node()}/storage/{quote(storage, safe='')}/upload",
        {**client.headers(), "Content-Type": f"multipart/form-data; boundary={boundary}"},
        body(),
        len(head.encode()) + size + len(tail),
        timeout=600,
    )
    return str(client.understand(reply)["data"])


def _chunks(source: Path, size: int, shown: Progress) -> Iterator[bytes]:
    """Exactly `size` bytes, even if the file grows meanwhile; a file that shrinks ends the upload with an error."""
    done = 0
    with source.open("rb") as file:
        while done < size:
            chunk = file.read(min(_CHUNK, size - done))
            if not chunk:
                raise usage(f"{source} became shorter while it was read")
            done += len(chunk)
            yield chunk
            shown.update(done, size, "bytes")


def _checksum(source: Path, shown: Progress) -> str:
    digest = hashlib.sha256()
    size = source.stat().st_size
    for chunk in _chunks(source, size, shown):
        digest.update(chunk)
    shown.end()
    return digest.hexdigest()
