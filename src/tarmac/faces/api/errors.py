"""The table from error class to HTTP status, and the reply that an error becomes.

Clients read the reason phrase (go-proxmox, proxmoxer), the body's `message` (Telmate) or both (bpg), so both are sent.
Proxmox answers 500 for what is missing, taken or in the wrong state, and clients look for its texts there; only wrong
parameters are 400. `error` is ours: the five parts.
"""

from __future__ import annotations

from typing import Any

from tarmac.model import errors as tree
from tarmac.model.errors import TarmacError

STATUS: dict[type[TarmacError], int] = {
    tree.TarmacError: 500,
    tree.InvalidInput: 400,
    tree.NotBuilt: 501,
    tree.Unauthenticated: 401,
    tree.LoginFailed: 401,
    tree.Denied: 403,
    tree.NotFound: 500,
    tree.Conflict: 500,
    tree.WrongState: 500,
    tree.NeedsStop: 500,
    tree.Busy: 500,
    tree.Unavailable: 500,
    tree.HostFailure: 500,
    tree.NoSpace: 500,
    tree.OutcomeUnknown: 500,
    tree.DataCorrupt: 500,
    tree.Bug: 500,
}
MAX_REASON = 400


def status_of(problem: TarmacError) -> int:
    """The HTTP status of an error; of its nearest class in the tree."""
    for kind in type(problem).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def reason_of(message: str) -> str:
    """An error's text as a reason phrase: its first line, in one byte a character, without control characters.

    Latin-1 is what the wire allows; ASCII is what arrives the same everywhere, so other characters become `?`."""
    line = next((part for part in message.splitlines() if part.strip()), "")
    clean = "".join(c if 32 <= ord(c) < 127 else "?" for c in line.strip())
    return clean[:MAX_REASON]


def body_of(problem: TarmacError) -> dict[str, Any]:
    """The error's JSON body. `errors` is an object of texts or absent, never null: two clients crash on it."""
    message = problem.message.rstrip("\n") or problem.error_code
    body: dict[str, Any] = {"data": None, "message": f"{message}\n", "error": problem.as_record()}
    if problem.parameters:
        body["errors"] = {str(key): str(text) for key, text in problem.parameters.items()}
    return body
