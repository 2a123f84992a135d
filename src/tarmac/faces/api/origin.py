"""Which page may open a connection that stays: only this server's own."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tarmac.model.errors import Denied


def check_origin(headers: Mapping[str, str]) -> None:
    """A browser says which page opens a WebSocket or an event stream, and sends its cookies along whichever page that
    is. Raises Denied for another server's page."""
    origin, host = headers.get("Origin"), headers.get("Host", "")
    if origin is None:
        return
    told = urlsplit(origin)
    if told.scheme != "https" or told.netloc.lower() != host.lower():
        raise Denied(
            "Permission check failed - another server's page may not open this",
            code="foreign-origin",
            cause="the connection was opened by a page of another server",
            evidence=f"Origin: {origin[:200]}; Host: {host[:200]}",
        )
