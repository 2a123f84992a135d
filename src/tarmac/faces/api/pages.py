"""What is served beside the API: the web page at `/`, and the way from plain HTTP to HTTPS.

The page is built from `ui/` into `faces/page/` and compressed there; here its files are kept in memory and handed out.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.web_request import BaseRequest

from tarmac.faces.api.replies import HEADERS, error_reply
from tarmac.model.errors import NotBuilt, NotFound

BUILT = Path(__file__).resolve().parent.parent / "page"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
# Mantine and xterm.js write style elements; scripts come from our own files alone.
_POLICY = (
    "default-src 'self'; connect-src 'self' wss:; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS = {**HEADERS, "Content-Security-Policy": _POLICY}
_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tarmac</title></head>
<body><h1>tarmac</h1><p>This node is up. The API is at <code>/api2/json</code>. The web page was not built into this
installation: <code>packaging/page.py</code> does that.</p></body></html>
"""


@dataclass(slots=True)
class _File:
    kind: str
    forms: dict[str, bytes] = field(default_factory=dict)  # by content encoding, "" for the plain one


class Page:
    """The files of the page. Without a built page a few words stand in its place."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._files: dict[str, _File] = {}
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.suffix != ".sha256":
                self._take(folder, path)
        if "/index.html" not in self._files:
            self._files["/index.html"] = _File("text/html", {"": _NOT_BUILT.encode()})
        self._files["/"] = self._files["/index.html"]

    def _take(self, folder: Path, path: Path) -> None:
        encoding, ending = next((pair for pair in _ENCODINGS if path.suffix == pair[1]), ("", ""))
        name = f"/{path.relative_to(folder)}".removesuffix(ending)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._files.setdefault(name, _File(kind)).forms[encoding] = path.read_bytes()

    async def reply(self, method: str, path: str, headers: Mapping[str, str]) -> web.StreamResponse:
        """A reply to a path that is not the API's. Raises NotBuilt for other methods than GET and HEAD."""
        if method not in ("GET", "HEAD"):
            raise NotBuilt(f"Method '{method[:20]} {path[:200]}' not implemented", code="no-such-method")
        found = self._files.get(path)
        if found is None:
            return await error_reply(NotFound(f"no such file '{path[:200]}'", code="no-such-page"), status=404)
        accepted = headers.get("Accept-Encoding", "")
        encoding = next((name for name, _ in _ENCODINGS if name in accepted and name in found.forms), "")
        # A file's name changes with its contents, save for the two that a browser asks for by name.
        lasting = path.startswith("/assets/")
        cache = "public, max-age=31536000, immutable" if lasting else "no-cache"
        more = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
        if encoding:
            more["Content-Encoding"] = encoding
        charset = "utf-8" if found.kind.startswith("text/") else None
        return web.Response(
            body=found.forms[encoding], content_type=found.kind, charset=charset, headers={**_HEADERS, **more}
        )


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
