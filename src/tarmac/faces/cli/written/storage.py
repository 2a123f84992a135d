"""`tarmac storage upload`: a file of this machine into a storage, with progress and checksum.

It goes on by itself where it was when the connection breaks or the daemon is started anew; and a second call with the
same file goes on where an earlier one was ended. See `docs/format/uploads.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tarmac.faces.cli.client import BASE, Client
from tarmac.faces.cli.commands import show_outcome
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.progress import Progress
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.wire import Reply

_CHUNK = 1 << 20
_GIVE_UP_SECONDS = 120.0
"""So long it tries again without getting any further."""
_WAITS = (0.2, 0.5, 1.0, 2.0, 5.0)
_AGAIN = frozenset({"unavailable", "outcome-unknown"})
"""Kinds of errors after which it goes on: there was no reply."""


def upload_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("file", metavar="FILE", help="the file to upload")
    parser.add_argument("--storage", default="local", help="the storage (default: local)")
    parser.add_argument(
        "--content", choices=("iso", "import", "vztmpl", "snippets"), help="what it is (default: by its ending)"
    )
    parser.add_argument("--filename", help="its name there (default: its own)")
    parser.add_argument(
        "--no-checksum", action="store_true", help="do not have a checksum compared; a later call cannot go on then"
    )
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
    fields: dict[str, Any] = {"content": content, "filename": name, "size": source.stat().st_size}
    if not o.no_checksum:
        fields |= {"checksum-algorithm": "sha256", "checksum": _checksum(source, session.progress(f"reading {name}"))}
    shown = session.progress(f"uploading {name}")
    try:
        path = f"/nodes/{session.node()}/storage/{quote(o.storage, safe='')}/uploads"
        upid = _Sending(session.client, path, source, fields, shown).run()
    except KeyboardInterrupt:
        shown.end()
        again = "" if o.no_checksum else "\nThe same command goes on from there."
        session.say(f"What has come in stays for a day: tarmac storage uploads {o.storage}{again}")
        raise
    finally:
        shown.end()
    status = {"upid": upid} if o.no_wait else session.wait(upid, f"checking {name}")
    show_outcome(session, status, f"{o.storage}:{content}/{name}")
    return 0


def _content(name: str) -> str:
    if name.endswith(".iso"):
        return "iso"
    return "snippets" if name.endswith((".yaml", ".yml")) else "import"


class _Sending:
    """One file on its way. `run` returns the UPID of the task that puts it in its place."""

    def __init__(self, client: Client, path: str, source: Path, fields: dict[str, Any], shown: Progress) -> None:
        self._client = client
        self._path = path
        self._source = source
        self._fields = fields
        self._size = int(fields["size"])
        self._shown = shown

    def run(self) -> str:
        row = self._begun() or self._client.post(self._path, self._fields)
        one = f"{self._path}/{row['upload']}"
        offset, task = int(row["offset"]), row.get("task")
        best, since, turn = offset, time.monotonic(), 0
        while not task:
            try:
                offset, task = self._send(one, offset)
            except CliError as error:
                if error.kind not in _AGAIN or time.monotonic() - since > _GIVE_UP_SECONDS:
                    raise
                self._shown.update(offset, self._size, "bytes", note="the connection broke, going on")
                time.sleep(_WAITS[min(turn, len(_WAITS) - 1)])
                turn += 1
                offset, task = self._look(one, offset)
            if offset > best:
                best, since, turn = offset, time.monotonic(), 0
        return str(task)

    def _begun(self) -> dict[str, Any] | None:
        """What an earlier call has begun with the same file; without a checksum nobody knows whether it is the same."""
        if "checksum" not in self._fields:
            return None
        same = ("content", "filename", "size", "checksum", "checksum-algorithm")
        rows = self._client.get(self._path) or []
        found = [r for r in rows if not r.get("task") and all(r.get(key) == self._fields[key] for key in same)]
        return max(found, key=lambda row: int(row["offset"])) if found else None

    def _look(self, one: str, offset: int) -> tuple[int, str | None]:
        """How far it has come; as before where nobody answers."""
        try:
            reply = self._client.send("HEAD", BASE + one, self._client.headers())
        except CliError as error:
            if error.kind not in _AGAIN:
                raise
            return offset, None
        return self._state(reply)

    def _send(self, one: str, offset: int) -> tuple[int, str | None]:
        headers = {
            **self._client.headers(),
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        body = _chunks(self._source, self._size, self._shown, offset)
        reply = self._client.send("PATCH", BASE + one, headers, body, self._size - offset, timeout=600)
        if reply.status == 409:  # it has come further, or not as far
            return self._state(self._client.send("HEAD", BASE + one, self._client.headers()))
        return self._state(reply)

    def _state(self, reply: Reply) -> tuple[int, str | None]:
        if "upload-offset" not in reply.headers:
            self._client.understand(reply)
            raise CliError("error", "the server does not say how far the upload has come", evidence=reply.reason)
        return int(reply.headers["upload-offset"]), reply.headers.get("tarmac-task")


def _chunks(source: Path, size: int, shown: Progress, start: int = 0) -> Iterator[bytes]:
    """The bytes from `start` up to `size`, even if the file grows meanwhile; a file that shrinks ends it with an
    error."""
    done = start
    with source.open("rb") as file:
        file.seek(start)
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
