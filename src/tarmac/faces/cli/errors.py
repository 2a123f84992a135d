"""Errors as the command line shows them, and the one table from an error's kind to the exit code.

Scripts rely on these numbers; they are append-only:

    0 done                     4 not allowed, not logged in      8 this version does not have it
    1 QEMU, host or tool       5 exists, wrong state, busy       9 a storage is full
    2 the request is wrong     6 not reachable, try later       10 outcome unknown: look first
    3 it does not exist        7 the task failed                11 data is corrupt   12 a bug   130 interrupted
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tarmac.faces.cli.fixes import GUEST, command_of

OK = 0
USAGE = 2
TASK_FAILED = 7
INTERRUPTED = 130

EXIT_CODES: dict[str, int] = {
    "error": 1,
    "host-failure": 1,
    "invalid-input": USAGE,
    "not-found": 3,
    "denied": 4,
    "unauthenticated": 4,
    "conflict": 5,
    "wrong-state": 5,
    "busy": 5,
    "unavailable": 6,
    "task-failed": TASK_FAILED,
    "not-built": 8,
    "no-space": 9,
    "outcome-unknown": 10,
    "data-corrupt": 11,
    "bug": 12,
}

_BY_STATUS = {400: "invalid-input", 401: "unauthenticated", 403: "denied", 404: "not-found", 501: "not-built"}
_BY_STATUS |= {409: "conflict", 503: "unavailable", 507: "no-space", 595: "unavailable", 596: "unavailable"}
_BY_TEXT = (
    ("does not exist", "not-found"),
    ("no such", "not-found"),
    ("already exists", "conflict"),
    ("already running", "wrong-state"),
    ("not running", "wrong-state"),
)


class CliError(Exception):
    """Everything that ends a command without success: a kind of the table above, and the error's five parts."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        cause: str = "",
        evidence: str = "",
        fixes: Iterable[str] = (),
        code: str = "",
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.cause = cause
        self.evidence = evidence
        self.fixes = tuple(fixes)
        self.code = code or kind
        self.parameters = dict(parameters or {})

    @property
    def exit_code(self) -> int:
        return EXIT_CODES.get(self.kind, 1)

    def about(self, guest: str) -> None:
        """Remedies that name no guest mean this one."""
        self.fixes = tuple(re.sub(rf"\b{GUEST}\b", guest, fix) for fix in self.fixes)

    def as_record(self) -> dict[str, Any]:
        """For `--output json`: what a program reads from standard error."""
        return {
            "code": self.code,
            "kind": self.kind,
            "message": self.message,
            "cause": self.cause,
            "evidence": self.evidence,
            "fixes": list(self.fixes),
            "errors": self.parameters,
            "exit": self.exit_code,
        }


def usage(message: str, *fixes: str) -> CliError:
    """The words of the command are wrong."""
    return CliError("invalid-input", message, fixes=fixes)


def from_record(record: Mapping[str, Any], kind: str = "", parameters: Mapping[str, str] | None = None) -> CliError:
    """An error's five parts as a reply or a task's record holds them. `kind` overrides the record's own."""
    return CliError(
        kind or str(record.get("kind") or "error"),
        str(record.get("message") or "the request failed").strip(),
        cause=str(record.get("cause") or ""),
        evidence=str(record.get("evidence") or ""),
        fixes=[_fix(fix) for fix in record.get("fixes") or ()],
        code=str(record.get("code") or ""),
        parameters=parameters,
    )


def from_reply(status: int, reason: str, document: Any) -> CliError:
    """The error of an HTTP reply. Ours carries the five parts as `error`; a Proxmox node only text: there the kind
    is guessed from the status and the words."""
    document = document if isinstance(document, dict) else {}
    errors = {str(name): str(text) for name, text in (document.get("errors") or {}).items()}
    record = document.get("error")
    if isinstance(record, dict) and record.get("message"):
        return from_record(record, str(record.get("kind") or _kind(status, str(record["message"]))), errors)
    text = str(document.get("message") or reason or f"HTTP status {status}").strip()
    evidence = "; ".join(f"{name}: {value.strip()}" for name, value in errors.items())
    return CliError(_kind(status, f"{text} {evidence}"), text, evidence=evidence, parameters=errors)


def of_tarmac(error: Exception) -> CliError:
    """An error of `model.errors`, raised in this very process (`vm showcmd --config`)."""
    from tarmac.model.errors import TarmacError

    if not isinstance(error, TarmacError):
        raise error
    return from_record(error.as_record(), parameters=error.parameters)


def text_of(error: CliError, head: str = "Error") -> str:
    """The five parts for people, without colours; guests' control characters are taken out by the printer."""
    lines = [f"{head}: {error.message}"]
    if error.cause:
        lines.append(f"  Cause:    {error.cause}")
    if error.evidence and error.evidence not in error.message:
        first, *more = error.evidence.strip().splitlines() or [""]
        lines += [f"  Evidence: {first}", *(f"            {line}" for line in more)]
    for number, fix in enumerate(error.fixes):
        lines.append(f"  {'Fix:' if number == 0 else 'Or:':9} {fix}")
    return "\n".join(lines)


def _fix(fix: Any) -> str:
    if not isinstance(fix, dict):
        return str(fix)
    text, action = str(fix.get("text") or ""), str(fix.get("action") or "")
    parameters = fix.get("parameters") or {}
    if not action or action in text:
        return text
    if command := command_of(action, parameters):
        return f"{text}  [{command}]"
    form = "--{} {}" if action.startswith("tarmac ") else "{}={}"
    words = " ".join(form.format(name, value) for name, value in parameters.items())
    return f"{text}  [{' '.join(part for part in (action, words) if part)}]"


def _kind(status: int, text: str) -> str:
    known = _BY_STATUS.get(status)
    if known is not None and known != "invalid-input":
        return known
    lowered = text.lower()
    for words, kind in _BY_TEXT:
        if words in lowered:
            return kind
    return known or ("host-failure" if status >= 500 else "error")
