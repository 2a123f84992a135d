"""Replies as bytes: the envelope, the exact content type, compression, the headers that every reply has."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from tarmac.faces.api.declare import Encoded, Headed, Paged
from tarmac.faces.api.errors import body_of, reason_of, status_of
from tarmac.model.errors import LoginFailed, TarmacError, Unauthenticated
from tarmac.model.job import Plan

JSON = "application/json;charset=UTF-8"
GZIP_ABOVE = 1024
OFF_LOOP_ABOVE = 64 * 1024
BETWEEN_TURNS = 256 * 1024
PIECE = 64 * 1024
HEADERS = {
    "Server": "tarmac",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
}
_PLAIN = frozenset({str, int, float, type(None)})
encode = msgspec.json.Encoder().encode


def envelope(result: Any, extra: Mapping[str, Any] | None = None) -> bytes:
    """A handler's result as `{"data": ...}` with `total` beside it where it has one, and `extra` fields."""
    body: dict[str, Any] = {}
    if isinstance(result, Paged):
        body["data"], body["total"] = plain(result.items), result.total
    elif isinstance(result, Encoded):
        body["data"] = msgspec.Raw(result.json)
    else:
        body["data"] = plain(result)
    return encode({**body, **(extra or {})})


def plain(value: Any) -> Any:
    """A value as the JSON that Proxmox's clients expect: booleans are 1 and 0, texts and numbers as they are."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {key if type(key) is str else str(key): plain(item) for key, item in value.items()}
    if kind is bool:
        return int(value)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Plan):
        return plain(value.as_record())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return str(value)


class Long(web.StreamResponse):
    """A response with a long body, written piece by piece. In one piece all of it would lie in the transport unseen,
    and a client that does not read could not be told from one that has got everything."""

    def __init__(self, body: bytes, *, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        self.content_length = len(body)
        self._left = memoryview(body)

    async def write_eof(self, data: bytes = b"") -> None:
        while self._left:
            piece, self._left = self._left[:PIECE], self._left[PIECE:]
            await self.write(bytes(piece))
        await super().write_eof(data)


async def reply(body: bytes, *, status: int = 200, reason: str = "", gzip: bool = False) -> web.StreamResponse:
    """A JSON response. Compressed when the client takes it and it pays; off the loop when that takes long."""
    headers = {**HEADERS, "Content-Type": JSON}
    if gzip and len(body) > GZIP_ABOVE:
        body = await asyncio.to_thread(_gzip, body) if len(body) > OFF_LOOP_ABOVE else _gzip(body)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    kind = Long if len(body) > PIECE else _whole
    return kind(body, status=status, reason=reason or _standard(status), headers=headers)


def _whole(body: bytes, *, status: int, reason: str, headers: Mapping[str, str]) -> web.StreamResponse:
    return web.Response(body=body, status=status, reason=reason, headers=headers)


async def headed(result: Headed) -> web.StreamResponse:
    """A result with a status and headers of its own."""
    if result.status == 204 or result.data is None:
        return web.Response(status=result.status, headers={**HEADERS, **result.headers})
    response = await reply(envelope(result.data), status=result.status)
    response.headers.update(result.headers)
    return response


async def stream(request: BaseRequest, result: Encoded) -> web.StreamResponse:
    """A long list piece by piece; others get their turn in between, and the client's pace is kept."""
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": JSON})
    pieces = (b'{"data":', *result.pieces, b"}")
    response.content_length = sum(map(len, pieces))
    await response.prepare(request)
    written = 0
    for piece in pieces:
        await response.write(piece)
        written += len(piece)
        if written > BETWEEN_TURNS:
            written = 0
            await asyncio.sleep(0)
    await response.write_eof()
    return response


async def error_reply(
    problem: TarmacError, *, extjs: bool = False, gzip: bool = False, status: int | None = None
) -> web.StreamResponse:
    """An error as a response. The connection is closed after it, as Proxmox does. A missing or wrong login has an
    empty body; a login that was tried and failed has a body like the others."""
    status, reason = status or status_of(problem), reason_of(problem.message)
    if status == 401 and isinstance(problem, Unauthenticated) and not isinstance(problem, LoginFailed):
        response: web.StreamResponse = web.Response(status=401, reason=reason or "No ticket", headers=HEADERS)
    elif extjs:
        body = {**body_of(problem), "success": 0, "status": status}
        response = await reply(encode(plain(body)), gzip=gzip)
    else:
        response = await reply(encode(plain(body_of(problem))), status=status, reason=reason, gzip=gzip)
    response.force_close()
    return response


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(4, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _standard(status: int) -> str:
    return HTTPStatus(status).phrase
