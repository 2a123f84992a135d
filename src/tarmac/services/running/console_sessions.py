"""Consoles over the web: offered with a ticket, opened once within 40 s, ended with the right to them.

A session is a task like any other (`vncproxy`), so it is seen, and ends when it is cancelled. It also ends with the
guest, and as soon as the login, the user, the token or the grant that allowed it is gone.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tarmac.model.errors import NotFound, Unauthenticated, Unavailable, WrongState
from tarmac.model.job import Plan, PlannedStep
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.tickets import VNC_LIFETIME, Tickets
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.running.consoles import Consoles

FIRST_PORT, LAST_PORT = 5900, 5999
RIGHT = ("VM.Console",)
Kind = Literal["vnc", "term"]


@dataclass(slots=True, kw_only=True)
class ConsoleSession:
    """One console: offered, then opened by the one who has its ticket. `until` is when the login that opened it ends
    (seconds since 1970)."""

    kind: Kind
    vmid: int
    port: int
    identity: Identity
    ticket: str
    serial: int = 0
    upid: str = ""
    until: float = math.inf
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ConsoleSessions:
    """`port` is only a name here: everything goes over the API's own port."""

    def __init__(
        self,
        *,
        consoles: Consoles,
        tickets: Tickets,
        access: Access,
        directory: Directory,
        jobs: Jobs,
        registry: Registry,
    ) -> None:
        self._consoles = consoles
        self._tickets = tickets
        self._access = access
        self._jobs = jobs
        self._sessions: dict[int, ConsoleSession] = {}
        registry.step("console-session", self._do_session)
        registry.kind("vncproxy", self._plan)
        consoles.detached.append(self._guest_ended)
        directory.on_change(self.check_all)

    # -- offering -----------------------------------------------------------------------------------------------

    async def offer_vnc(self, identity: Identity, vmid: int, *, tell_password: bool = False) -> dict[str, Any]:
        """`vncproxy`: a ticket whose first 8 characters are the VNC password; with `tell_password` it also stands by
        itself. Raises WrongState, Unavailable without a free port."""
        password = await self._consoles.vnc_password(vmid, VNC_LIFETIME)
        session = await self._offer("vnc", identity, vmid, prefix=f"{password}:")
        reply = self._reply(session)
        return {**reply, "password": password} if tell_password else reply

    async def offer_term(self, identity: Identity, vmid: int, serial: str | None = None) -> dict[str, Any]:
        """`termproxy`. Raises WrongState (`unable to find a serial interface`), Unavailable without a free port."""
        index = self._consoles.serial_port(vmid, serial)
        return self._reply(await self._offer("term", identity, vmid, serial=index))

    async def _offer(
        self, kind: Kind, identity: Identity, vmid: int, *, prefix: str = "", serial: int = 0
    ) -> ConsoleSession:
        port = next((p for p in range(FIRST_PORT, LAST_PORT + 1) if p not in self._sessions), None)
        if port is None:
            raise Unavailable(
                f"unable to find free port ({FIRST_PORT}-{LAST_PORT})",
                code="no-console-port",
                cause="too many consoles are open",
                evidence=f"{len(self._sessions)} consoles",
            )
        session = ConsoleSession(kind=kind, vmid=vmid, port=port, identity=identity, ticket="", serial=serial)
        self._sessions[port] = session
        try:
            session.ticket = prefix + await self._tickets.vnc(identity, f"/vms/{vmid}", port)
            args = {"vmid": vmid, "port": port}
            session.upid = await self._jobs.submit("vncproxy", id=str(vmid), user=identity.name, args=args)
        except BaseException:
            self._sessions.pop(port, None)
            raise
        return session

    @staticmethod
    def _reply(session: ConsoleSession) -> dict[str, Any]:
        return {
            "user": session.identity.name,
            "ticket": session.ticket,
            "port": session.port,
            "upid": session.upid,
        }

    # -- opening ------------------------------------------------------------------------------------------------

    async def open(
        self, identity: Identity, vmid: int, port: int, ticket: str, *, until: float = math.inf
    ) -> ConsoleSession:
        """Take up an offered session, once; it ends with the login at `until`.

        Raises Unauthenticated for a ticket that is not this user's for this guest and port, or too old; NotFound when
        there is no such session (any more)."""
        await self._tickets.verify_vnc(ticket, identity, f"/vms/{vmid}", port)
        session = self._sessions.get(port)
        if session is None or session.vmid != vmid or session.opened.is_set():
            raise NotFound(
                f"no console on port {port}", code="no-such-console", cause="it has ended or is open already"
            )
        if not same_ticket(session.ticket, ticket):
            raise Unauthenticated("permission denied - invalid PVEVNC ticket", code="bad-ticket")
        session.until = until
        session.opened.set()
        return session

    def greeted(self, session: ConsoleSession, line: str) -> bool:
        """Whether a terminal's first line, `user:ticket`, is its owner's."""
        name, _, ticket = line.partition(":")
        return name == session.identity.name and same_ticket(session.ticket, ticket)

    def close(self, session: ConsoleSession) -> None:
        """The session is over; its task ends."""
        session.ended.set()
        session.opened.set()
        if self._sessions.get(session.port) is session:
            del self._sessions[session.port]

    # -- ending -------------------------------------------------------------------------------------------------

    def check_all(self) -> None:
        """End the sessions whose user, token or right is gone; called after each change of the directory, and by
        whoever serves a session now and then, because accounts also end by themselves."""
        for session in list(self._sessions.values()):
            if not self.still_allowed(session):
                self.close(session)

    def still_allowed(self, session: ConsoleSession) -> bool:
        return (
            time.time() < session.until
            and self._tickets.is_active(session.identity)
            and self._access.allowed(session.identity, f"/vms/{session.vmid}", RIGHT)
        )

    def _guest_ended(self, vmid: int) -> None:
        for session in list(self._sessions.values()):
            if session.vmid == vmid:
                self.close(session)

    # -- the task -----------------------------------------------------------------------------------------------

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        title = f"console of guest {args['vmid']} on port {args['port']}"
        return Plan(steps=(PlannedStep(step="console-session", title=title, args=dict(args)),))

    async def _do_session(self, ctx: StepContext, vmid: int, port: int) -> None:
        session = self._sessions.get(port)
        if session is None or session.upid not in ("", ctx.upid):
            raise WrongState("the console has ended", code="console-ended", cause="the daemon was restarted")
        try:
            async with asyncio.timeout(VNC_LIFETIME):
                await session.opened.wait()
            if not session.ended.is_set():
                ctx.log(f"opened by {session.identity.name}")
            await session.ended.wait()
        except TimeoutError:
            raise Unavailable(
                "connection timed out",
                code="console-not-opened",
                cause=f"nobody opened it within {VNC_LIFETIME} s",
                evidence=f"port {port}",
            ) from None
        finally:
            self.close(session)


def same_ticket(one: str, other: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(one.encode(), other.encode(errors="surrogatepass"))
