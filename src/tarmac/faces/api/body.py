"""A request's headers and body within Proxmox's limits: 64 headers, 8 KiB of them, 512 KiB of body, no chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import hdrs
from aiohttp.web_request import BaseRequest

from tarmac.faces.api.params import MAX_BODY
from tarmac.model.errors import InvalidInput, NotBuilt

MAX_HEADERS = 64
MAX_HEADER_BYTES = 8192
MAX_PUBLIC_BODY = 64 * 1024
"""Of somebody who need not log in for the call: a thousand of them must not cost half a gigabyte."""
BODY_SECONDS = 60.0
STALL_SECONDS = 120.0
CHUNK = 256 * 1024


def check_headers(request: BaseRequest) -> None:
    """Raises InvalidInput for more headers than Proxmox takes. The parser has bounded each of them before."""
    headers = request.raw_headers
    size = sum(len(name) + len(value) + 4 for name, value in headers)
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise InvalidInput(
            f"http header too large (at most {MAX_HEADERS} lines and {MAX_HEADER_BYTES} bytes)",
            code="headers-too-large",
            evidence=f"{len(headers)} lines, {size} bytes",
        )


async def read_body(request: BaseRequest, most: int = MAX_BODY) -> bytes:
    """The whole body. Raises NotBuilt (501, as Proxmox does) for chunks, for more than `most` bytes, and for a body of
    a GET or DELETE; InvalidInput when it does not arrive in time."""
    if hdrs.TRANSFER_ENCODING in request.headers:
        raise NotBuilt("chunked transfer encoding not supported", code="chunked-body")
    length = request.content_length or 0
    if length == 0:
        return b""
    if request.method in ("GET", "HEAD", "DELETE"):
        raise NotBuilt(f"Unexpected content for method '{request.method}'", code="unexpected-body")
    if length > most:
        raise NotBuilt(
            f"request body too large (at most {most} bytes)",
            code="body-too-large",
            evidence=f"Content-Length: {length}",
        )
    await invite_body(request)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise InvalidInput(
            f"the body did not arrive within {BODY_SECONDS:g} s", code="body-late", evidence=f"{length} bytes announced"
        ) from None


async def invite_body(request: BaseRequest) -> None:
    """Tell a client that waits for it (`Expect: 100-continue`) to send its body."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written is no part of the reply's own size.
        request.writer.output_size = 0


async def body_chunks(request: BaseRequest) -> AsyncIterator[bytes]:
    """A long body piece by piece; its length does not matter. Raises InvalidInput (`body-late`) when the client is
    silent for too long, ConnectionError when it goes away."""
    await invite_body(request)
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                chunk = await request.content.read(CHUNK)
        except TimeoutError:
            raise InvalidInput(f"nothing came for {STALL_SECONDS:g} s", code="body-late") from None
        if not chunk:
            return
        yield chunk
