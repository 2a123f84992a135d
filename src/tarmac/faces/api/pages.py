"""What is served beside the API: a status page at `/`, and the way from plain HTTP to HTTPS."""

from __future__ import annotations

import re

from aiohttp import web
from aiohttp.web_request import BaseRequest

from tarmac.faces.api.replies import HEADERS, error_reply
from tarmac.model.errors import NotBuilt, NotFound

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tarmac</title>
<style>body{font:16px/1.5 system-ui;margin:4rem auto;max-width:36rem}code{background:#eee;padding:.1em .3em}</style>
</head><body><h1>tarmac</h1><p>This node is up. The API is at <code>/api2/json</code>.</p></body></html>
"""


async def outside(method: str, path: str) -> web.StreamResponse:
    """A reply to a path that is not the API's. Raises NotBuilt for other methods than GET and HEAD."""
    if method not in ("GET", "HEAD"):
        raise NotBuilt(f"Method '{method[:20]} {path[:200]}' not implemented", code="no-such-method")
    if path in ("/", "/index.html"):
        return web.Response(text=_PAGE, content_type="text/html", charset="utf-8", headers=HEADERS)
    return await error_reply(NotFound(f"no such file '{path[:200]}'", code="no-such-page"), status=404)


def redirect(request: BaseRequest) -> web.StreamResponse:
    """Plain HTTP came to the HTTPS port: the same URL with `https`, and the connection ends."""
    host = request.headers.get("Host", "")
    if not _HOST.fullmatch(host):
        name = request.transport.get_extra_info("sockname") if request.transport else None
        address = f"[{name[0]}]" if name and ":" in name[0] else (name[0] if name else "localhost")
        host = f"{address}:{name[1]}" if name else address
    path = request.raw_path
    target = path if path.startswith("/") else "/"
    permanent = 301 if request.method in ("GET", "HEAD") else 308
    response = web.Response(status=permanent, headers={**HEADERS, "Location": f"https://{host}{target}"})
    response.force_close()
    return response
