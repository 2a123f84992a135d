"""Notifications as HTTP requests: webhooks with templates, and Gotify. Addresses are judged as those of downloads."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

from tarmac.lib.web import FetchRules, fetch
from tarmac.model.errors import Fix, TarmacError
from tarmac.model.notification import GotifyTarget, Notification, WebhookTarget, from_base64, pairs

SECONDS = 10.0
_PRIORITIES = {"info": 1, "notice": 3, "warning": 5, "error": 9, "unknown": 3}
_PLACE = re.compile(r"\{\{\s*(?:(json|url-encode|escape)\s+)?([A-Za-z0-9_.-]+)\s*\}\}")


async def send_webhook(target: WebhookTarget, notification: Notification) -> None:
    """Raises TarmacError for an address that may not be asked, a failed connection, a status of 400 and more."""
    values = _values(notification, {k: v or "" for k, v in pairs(target.secret, "secret").items()})
    headers = {name: _line(rendered(value or "", values)) for name, value in pairs(target.header, "header").items()}
    body = rendered(from_base64(target.body), values) if target.body else ""
    url = rendered(target.url, values)
    await _ask(target.method.upper(), url, target.allowed_hosts, headers, body.encode())


async def send_gotify(target: GotifyTarget, notification: Notification) -> None:
    """As `send_webhook`."""
    body = {
        "title": notification.title,
        "message": notification.text,
        "priority": _PRIORITIES[notification.severity],
        "extras": {"client::display": {"contentType": "text/plain"}},
    }
    headers = {"X-Gotify-Key": target.token, "Content-Type": "application/json"}
    await _ask("POST", f"{target.server.rstrip('/')}/message", target.allowed_hosts, headers, json.dumps(body).encode())


async def _ask(method: str, url: str, allowed: Collection[str], headers: Mapping[str, str], body: bytes) -> None:
    rules = FetchRules(allowed=frozenset(allowed), connect=SECONDS, stall=SECONDS, redirects=0)
    try:
        async with fetch(url, rules, method=method, headers=headers, body=body if method != "GET" else None):
            pass
    except TarmacError as problem:
        # The address may hold a secret, so it is not told.
        problem.evidence = problem.evidence.replace(url, "the target's address")
        problem.message = problem.message.replace("download", "notification")
        if problem.error_code == "address-refused":
            problem.fixes = (Fix(text="an administrator can allow it: name the host in the target's allowed-hosts"),)
        raise


def rendered(template: str, values: Mapping[str, str]) -> str:
    """A template with its places filled; one that means nothing stays empty."""

    def fill(match: re.Match[str]) -> str:
        value = values.get(match[2], "")
        if match[1] == "json":
            return json.dumps(value)
        if match[1] == "escape":
            return json.dumps(value)[1:-1]
        return quote(value, safe="") if match[1] == "url-encode" else value

    return _PLACE.sub(fill, template)


def _values(notification: Notification, secrets: Mapping[str, str]) -> dict[str, str]:
    return {
        "title": notification.title,
        "message": notification.text,
        "severity": notification.severity,
        "timestamp": str(notification.timestamp),
        **{f"fields.{name}": value for name, value in notification.fields.items()},
        **{f"secrets.{name}": value for name, value in secrets.items()},
    }


def _line(text: str) -> str:
    """A header's value: one line."""
    return " ".join(text.split())
