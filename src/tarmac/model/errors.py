"""The one tree of errors, split by what the caller can do about it.

    TarmacError
    ├── InvalidInput        the request is wrong: change it           (parameters name the places)
    ├── NotBuilt            known, but this version does not have it
    ├── Unauthenticated     no valid login
    │   └── LoginFailed     a login was tried, and refused: why is told
    ├── Denied              logged in, but not allowed
    ├── NotFound            the object does not exist
    ├── Conflict            it exists already, or changed meanwhile
    ├── WrongState          not possible in the object's present state
    │   └── NeedsStop       not while the guest runs; once it is stopped, it is
    ├── Busy                somebody else works on it
    ├── Unavailable         try again later
    ├── HostFailure         QEMU, the kernel, a tool or a disk said no
    ├── NoSpace             a storage is full
    ├── OutcomeUnknown      sent, no answer: look before trying again
    ├── DataCorrupt         stop, never retry
    └── Bug                 our fault

Every error has five parts: `code` (stable, kebab-case), `message` (one sentence with the object's name and the
numbers; Proxmox's own text where clients match on it), `cause`, `evidence` (the line or figure that shows it) and
`fixes`. The message never repeats the cause, because faces print all five.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One thing that would help: `text` for people; `action` (`METHOD /path` or a command) for programs."""

    text: str
    action: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


class TarmacError(Exception):
    """Base of the tree; never raised itself. Carries the five parts and, for bad input, the parameters' own texts."""

    code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        cause: str = "",
        evidence: str = "",
        fixes: Sequence[Fix] = (),
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or type(self).code
        self.cause = cause
        self.evidence = evidence
        self.fixes = tuple(fixes)
        self.parameters = dict(parameters or {})

    def as_record(self) -> dict[str, object]:
        """The five parts as plain values, for JSON and for the journal; `kind` is the class's own code, from which
        faces derive what to do (an exit code, a status) also for an error that comes out of the journal."""
        return {
            "kind": type(self).code,
            "code": self.error_code,
            "message": self.message,
            "cause": self.cause,
            "evidence": self.evidence,
            "fixes": [{"text": f.text, "action": f.action, "parameters": dict(f.parameters)} for f in self.fixes],
        }


class InvalidInput(TarmacError):
    """A parameter or a configuration value is wrong. `parameters` maps each name to its own text."""

    code = "invalid-input"

    @classmethod
    def of(cls, name: str, text: str, *, code: str | None = None, fixes: Sequence[Fix] = ()) -> InvalidInput:
        """The usual case: one parameter, in Proxmox's form (`Parameter verification failed.`)."""
        return cls(
            "Parameter verification failed.",
            code=code,
            evidence=f"{name}: {text}",
            fixes=fixes,
            parameters={name: text},
        )


class NotBuilt(TarmacError):
    """A key, a method or a feature that is known and that this version does not have."""

    code = "not-built"


class Unauthenticated(TarmacError):
    """No ticket or token, or one that is not valid (any more)."""

    code = "unauthenticated"


class LoginFailed(Unauthenticated):
    """A login that was tried and refused, after whatever delay is due."""


class Denied(TarmacError):
    """The user lacks a privilege; the message names path and privilege as Proxmox does."""

    code = "denied"


class NotFound(TarmacError):
    code = "not-found"


class Conflict(TarmacError):
    code = "conflict"


class WrongState(TarmacError):
    code = "wrong-state"


class NeedsStop(WrongState):
    """Refused because the guest runs. A plan (`dryrun`) says so instead of being refused."""


class Busy(TarmacError):
    code = "busy"


class Unavailable(TarmacError):
    code = "unavailable"


class HostFailure(TarmacError):
    code = "host-failure"


class NoSpace(HostFailure):
    code = "no-space"


class OutcomeUnknown(TarmacError):
    code = "outcome-unknown"


class DataCorrupt(TarmacError):
    code = "data-corrupt"


class Bug(TarmacError):
    code = "bug"
