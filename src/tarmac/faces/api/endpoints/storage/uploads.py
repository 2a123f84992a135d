"""Resumable uploads, by the protocol tus 1.0 (creation, expiration, termination, checksum): `docs/format/uploads.md`.

Beside Proxmox's `upload`, which starts over when it breaks. Everything can also be said with parameters and read as
JSON, so that a client needs no library for it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from aiohttp import web

from tarmac.faces.api.body import body_chunks
from tarmac.faces.api.declare import LIST, OBJECT, RAW, Allow, Call, Headed, delete, get, head, patch, post
from tarmac.faces.api.endpoints.storage.content import ALGORITHMS, UPLOADABLE, replaceable_by
from tarmac.faces.api.endpoints.storage.storage import OnNode
from tarmac.faces.api.replies import error_reply
from tarmac.faces.api.shapes.storage import UploadRow
from tarmac.model.errors import Busy, Conflict, DataCorrupt, InvalidInput, NotFound, TarmacError
from tarmac.model.settings import setting
from tarmac.services.transfers.upload_records import UploadRecord
from tarmac.services.transfers.uploads import UploadFields

BASE = "/nodes/{node}/storage/{storage}/uploads"
ONE = f"{BASE}/{{upload}}"
RIGHT = Allow("/storage/{storage}", "Datastore.AllocateTemplate")
TUS = {"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0"}
EXTENSIONS = {
    "Tus-Extension": "creation,expiration,termination,checksum",
    "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
}
CONTENTS = (*UPLOADABLE, "snippets")
PATCH_TYPE = "application/offset+octet-stream"
# The statuses that the protocol's clients look at; everywhere else the API has Proxmox's.
STATUSES: tuple[tuple[type[TarmacError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (Busy, 423),
    (DataCorrupt, 460),
)


@dataclass(frozen=True, kw_only=True)
class Begin(OnNode):
    size: int | None = setting(None, ge=0, le=1 << 53, unit="B", help="The file's size (or header `Upload-Length`).")
    content: str | None = setting(None, choices=CONTENTS, help="What it is.")
    filename: str | None = setting(None, max_length=255, help="Its name on the storage.")
    checksum: str | None = setting(None, max_length=256, help="The checksum to compare with when all of it is there.")
    checksum_algorithm: str | None = setting(
        None, name="checksum-algorithm", choices=ALGORITHMS, help="The checksum's kind."
    )


@dataclass(frozen=True, kw_only=True)
class One(OnNode):
    upload: str = setting(pattern=r"[0-9a-f]{32}", help="The upload's id.")


@get(
    BASE,
    params=OnNode,
    allow=RIGHT,
    returns=LIST,
    reply=list[UploadRow],
    cli="storage uploads {storage}",
    help="One's own open uploads.",
)
async def uploads(call: Call, p: OnNode) -> Any:
    service, rows = call.services.resumable, []
    for record in service.rows(call.user, p.storage):
        try:
            rows.append(record.row(await service.offset(record)))
        except NotFound:
            continue  # its file is gone
    return Headed(rows, headers={**TUS, **EXTENSIONS})


@post(
    BASE,
    params=Begin,
    allow=RIGHT,
    returns=OBJECT,
    reply=UploadRow,
    help="Begin a resumable upload (tus 1.0). The header `Location` says where its bytes go.",
)
async def begin(call: Call, p: Begin) -> Any:
    headers = call.http.headers
    _check_version(headers)
    given = {"content": p.content, "filename": p.filename, "checksum": p.checksum}
    given |= {"checksum-algorithm": p.checksum_algorithm}
    told = {**_metadata(headers.get("Upload-Metadata", "")), **{k: v for k, v in given.items() if v is not None}}
    if told.get("content", "iso") not in CONTENTS:
        raise InvalidInput.of("content", f"value '{told['content'][:40]}' is none of {', '.join(CONTENTS)}")
    fields = UploadFields.of(told, told.get("filename"))
    record = await call.services.resumable.create(
        call.user, p.storage, fields, _size(p, headers), check=replaceable_by(call)
    )
    place = f"/api2/json/nodes/{p.node}/storage/{p.storage}/uploads/{record.id}"
    return Headed(record.row(0), 201, {**_state(record, 0), "Location": place})


@get(
    ONE,
    params=One,
    allow=RIGHT,
    returns=OBJECT,
    reply=UploadRow,
    help="How far an upload has come, and its task when it is complete.",
)
async def upload(call: Call, p: One) -> Any:
    service = call.services.resumable
    record = next((r for r in service.rows(call.user, p.storage) if r.id == p.upload), None)
    if record is None:
        record, _ = await service.look(call.user, p.storage, p.upload)
    offset = await service.offset(record)
    return Headed(record.row(offset), headers=_state(record, offset))


@head(ONE, params=One, allow=RIGHT, returns=RAW, help="The same in headers (tus 1.0); whoever still sends is cut off.")
async def look(call: Call, p: One) -> Any:
    try:
        record, offset = await call.services.resumable.look(call.user, p.storage, p.upload)
    except NotFound as problem:
        return await _refused(problem)
    return web.Response(status=200, headers={**_state(record, offset), "Cache-Control": "no-store"})


@patch(
    ONE,
    params=One,
    allow=RIGHT,
    returns=RAW,
    stream=True,
    help="Add bytes from `Upload-Offset` on (tus 1.0). After the last ones `Tarmac-Task` names the task that goes on.",
)
async def append(call: Call, p: One) -> Any:
    headers = call.http.headers
    _check_version(headers)
    if headers.get("Content-Type", "") != PATCH_TYPE:
        raise InvalidInput(f"the Content-Type of a piece is {PATCH_TYPE}", code="content-type")
    offset = _number(headers, "Upload-Offset")
    if offset is None:
        raise InvalidInput("the header Upload-Offset is missing", code="bad-header")
    checksum = _checksum(headers.get("Upload-Checksum"))
    try:
        record, there = await call.services.resumable.append(
            call.user, p.storage, p.upload, offset, body_chunks(call.http), checksum, check=replaceable_by(call)
        )
    except (NotFound, Conflict, Busy, DataCorrupt) as problem:
        return await _refused(problem)
    return Headed(status=204, headers=_state(record, there))


@delete(
    ONE,
    params=One,
    allow=RIGHT,
    cli="storage abandon {storage} {upload}",
    help="Give up an upload and remove what has come in.",
)
async def remove(call: Call, p: One) -> Any:
    try:
        await call.services.resumable.remove(call.user, p.storage, p.upload)
    except NotFound as problem:
        return await _refused(problem)
    # The protocol's own clients ask for 204; everybody else gets JSON as everywhere.
    return Headed(status=204, headers=TUS) if "Tus-Resumable" in call.http.headers else None


def _state(record: UploadRecord, offset: int) -> dict[str, str]:
    headers = {**TUS, "Upload-Offset": str(offset), "Upload-Length": str(record.size)}
    headers["Upload-Expires"] = formatdate(record.expires, usegmt=True)
    return {**headers, "Tarmac-Task": record.task} if record.task else headers


async def _refused(problem: TarmacError) -> web.StreamResponse:
    status = next(status for kind, status in STATUSES if isinstance(problem, kind))
    response = await error_reply(problem, status=status)
    response.headers.update(TUS)
    return response


def _check_version(headers: Mapping[str, str]) -> None:
    version = headers.get("Tus-Resumable", "1.0.0")
    if version != "1.0.0":
        raise InvalidInput("only version 1.0.0 of tus is spoken here", code="tus-version", evidence=version[:40])


def _size(p: Begin, headers: Mapping[str, str]) -> int:
    told = _number(headers, "Upload-Length")
    if told is None:
        told = p.size
    if told is None:
        raise InvalidInput.of("size", "property is missing and it is not optional")
    if told > 1 << 53:
        raise InvalidInput.of("size", f"value must have a maximum value of {1 << 53}")
    return told


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise InvalidInput(f"the header {name} is no number", code="bad-header", evidence=text[:40])
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """`Upload-Metadata: filename eC5pc28=,content aXNv`. What is none of ours is left aside."""
    found = {}
    for pair in text.split(","):
        key, _, value = pair.strip().partition(" ")
        if key in ("content", "filename", "checksum", "checksum-algorithm"):
            try:
                found[key] = base64.b64decode(value, validate=True).decode("utf-8")
            except (binascii.Error, ValueError):
                raise InvalidInput(
                    f"the header Upload-Metadata is wrong at {key}", code="bad-header", cause="not UTF-8 in base64"
                ) from None
            if len(found[key]) > 256 or "\0" in found[key]:
                raise InvalidInput.of(key, "value is too long or has a NUL character")
    return found


def _checksum(text: str | None) -> tuple[str, str] | None:
    """`Upload-Checksum: sha1 BASE64` as algorithm and hexadecimal digest."""
    if text is None:
        return None
    algorithm, _, digest = text.partition(" ")
    try:
        if algorithm not in ALGORITHMS:
            raise ValueError(algorithm)
        return algorithm, base64.b64decode(digest.strip(), validate=True).hex()
    except (binascii.Error, ValueError) as problem:
        raise InvalidInput(
            "the header Upload-Checksum is wrong", code="bad-header", evidence=str(problem)[:80]
        ) from None
