"""An upload's form as a stream: the fields are read, the file is handed on chunk by chunk and never held in memory.

The file must come last, as the part named `filename`; Proxmox's own parser demands the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import BodyPartReader, MultipartReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_request import BaseRequest

from tarmac.faces.api.body import CHUNK, STALL_SECONDS, invite_body
from tarmac.model.errors import InvalidInput

T = TypeVar("T")

MAX_FIELDS = 16
MAX_FIELD_BYTES = 4096
# RuntimeWarning: aiohttp's word for a bad header, an exception only where warnings are errors.
_BROKEN = (ValueError, AssertionError, RuntimeError, KeyError, HttpProcessingError, RuntimeWarning)


@dataclass(slots=True)
class UploadForm:
    """The fields before the file, the file's name, and the file itself."""

    fields: dict[str, str]
    filename: str | None
    part: BodyPartReader

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes as they come. Raises InvalidInput when the form breaks off or stalls, ConnectionError
        when the client goes away."""
        while True:
            chunk = await _within(self.part.read_chunk(CHUNK))
            if not chunk:
                break
            yield chunk
        if not self.part.at_eof():
            raise _broken("the file's part has no end")


async def read_upload(request: BaseRequest, given: Mapping[str, str]) -> UploadForm:
    """Read a form up to its file. `given`: fields that came in the query. Raises InvalidInput."""
    if not request.headers.get("Content-Type", "").lower().startswith("multipart/form-data"):
        raise InvalidInput("an upload is multipart/form-data", code="no-form", evidence="another Content-Type")
    await invite_body(request)
    try:
        reader = MultipartReader(request.headers, request.content)
    except _BROKEN as problem:
        raise _broken(str(problem)) from None
    fields = dict(given)
    for _ in range(MAX_FIELDS):
        part = await _within(reader.next())
        if part is None:
            raise InvalidInput.of("filename", "property is missing and it is not optional", code="no-file")
        if not isinstance(part, BodyPartReader):
            raise _broken("a part of it is a form again")
        name = part.name or ""
        if name == "filename" and part.filename is not None:
            return UploadForm(fields, fields.pop("filename", None) or part.filename, part)
        fields[name] = await _field(name, part)
    raise _broken(f"more than {MAX_FIELDS} fields before the file")


async def _field(name: str, part: BodyPartReader) -> str:
    data = b""
    while chunk := await _within(part.read_chunk(MAX_FIELD_BYTES)):
        data += chunk
        if len(data) > MAX_FIELD_BYTES:
            raise InvalidInput.of(name[:100], f"value may only be {MAX_FIELD_BYTES} characters long")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput.of(name[:100], "value is not valid UTF-8") from None


async def _within(reading: Coroutine[Any, Any, T]) -> T:
    """One read, with a limit on how long the client may be silent."""
    try:
        async with asyncio.timeout(STALL_SECONDS):
            return await reading
    except TimeoutError:
        raise _broken(f"nothing came for {STALL_SECONDS:g} s") from None
    except _BROKEN as problem:
        raise _broken(str(problem) or type(problem).__name__) from None


def _broken(evidence: str) -> InvalidInput:
    return InvalidInput(
        "the upload's form is broken",
        code="bad-form",
        cause="it does not follow multipart/form-data",
        evidence=evidence,
    )
