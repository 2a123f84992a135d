"""The whole life of a guest: one total table of states and verbs.

    STOPPED ── start ──> RUNNING ── suspend ──> PAUSED ── resume ──> RUNNING
       ^                    │ stop, shutdown, power-off, crash
       └────────────────────┘

`IO_ERROR` is a guest that QEMU paused because its storage refused a write (full, say); it goes on by `resume`.
`UNKNOWN` is a guest whose process lives but whose monitor does not answer: it may only be looked at, stopped or killed.
The texts are those of Proxmox where clients match on them.
"""

from __future__ import annotations

import enum

from tarmac.model.errors import Fix, NeedsStop, WrongState


class State(enum.StrEnum):
    """What is observed of a guest. Append-only: the values are stored."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"
    IO_ERROR = "io-error"
    UNKNOWN = "unknown"


class Verb(enum.StrEnum):
    START = "start"
    STOP = "stop"
    SHUTDOWN = "shutdown"
    REBOOT = "reboot"
    RESET = "reset"
    SUSPEND = "suspend"
    RESUME = "resume"
    DELETE = "delete"


_S, _R, _P, _E, _U = State.STOPPED, State.RUNNING, State.PAUSED, State.IO_ERROR, State.UNKNOWN
_NOT_RUNNING, _RUNNING = "VM {vmid} not running", "VM {vmid} already running"
_DESTROY = "VM {vmid} is running - destroy failed"
_HUNG = "VM {vmid} does not answer its monitor"

TABLE: dict[tuple[State, Verb], State | str] = {
    (_S, Verb.START): _R,
    (_R, Verb.START): _RUNNING,
    (_P, Verb.START): _RUNNING,
    (_E, Verb.START): _RUNNING,
    (_U, Verb.START): _RUNNING,
    (_S, Verb.STOP): _S,  # as in Proxmox, stopping what is stopped is done already
    (_R, Verb.STOP): _S,
    (_P, Verb.STOP): _S,
    (_E, Verb.STOP): _S,
    (_U, Verb.STOP): _S,
    (_S, Verb.SHUTDOWN): _S,
    (_R, Verb.SHUTDOWN): _S,
    (_P, Verb.SHUTDOWN): _S,  # it is resumed first: a paused guest cannot hear the button
    (_E, Verb.SHUTDOWN): _S,
    (_U, Verb.SHUTDOWN): _HUNG,
    (_S, Verb.REBOOT): _NOT_RUNNING,
    (_R, Verb.REBOOT): _R,
    (_P, Verb.REBOOT): _R,
    (_E, Verb.REBOOT): _R,
    (_U, Verb.REBOOT): _HUNG,
    (_S, Verb.RESET): _NOT_RUNNING,
    (_R, Verb.RESET): _R,
    (_P, Verb.RESET): _P,
    (_E, Verb.RESET): _E,
    (_U, Verb.RESET): _HUNG,
    (_S, Verb.SUSPEND): _NOT_RUNNING,
    (_R, Verb.SUSPEND): _P,
    (_P, Verb.SUSPEND): _P,
    (_E, Verb.SUSPEND): _P,
    (_U, Verb.SUSPEND): _HUNG,
    (_S, Verb.RESUME): _NOT_RUNNING,
    (_R, Verb.RESUME): _R,
    (_P, Verb.RESUME): _R,
    (_E, Verb.RESUME): _R,
    (_U, Verb.RESUME): _HUNG,
    (_S, Verb.DELETE): _S,
    (_R, Verb.DELETE): _DESTROY,
    (_P, Verb.DELETE): _DESTROY,
    (_E, Verb.DELETE): _DESTROY,
    (_U, Verb.DELETE): _DESTROY,
}


def after(state: State, verb: Verb, vmid: int) -> State:
    """The state that `verb` leads to from `state`. Raises WrongState, which names both and what is possible instead."""
    outcome = TABLE[state, verb]
    if isinstance(outcome, State):
        return outcome
    kind = NeedsStop if verb is Verb.DELETE else WrongState
    raise kind(
        outcome.format(vmid=vmid),
        code=f"cannot-{verb}-{state}",
        cause=f"'{verb}' is not possible while the guest is {state}",
        evidence=f"state: {state}",
        fixes=[
            Fix(text=f"possible now: {', '.join(allowed(state))}", action="GET .../status/current"),
        ],
    )


def not_running(vmid: int, words: str = _NOT_RUNNING) -> WrongState:
    """The refusal of what only a running guest has; `words` are Proxmox's, which differ by call."""
    return WrongState(
        words.format(vmid=vmid),
        code="not-running",
        cause="only a running guest has a QEMU process that could do it",
        evidence=f"guest {vmid} is {_S}",
        fixes=[Fix(text="start it", action=f"POST .../qemu/{vmid}/status/start")],
    )


def allowed(state: State) -> list[Verb]:
    """The verbs that the table admits in `state`."""
    return [verb for verb in Verb if isinstance(TABLE[state, verb], State)]
