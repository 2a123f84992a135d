"""One request from its first header to its reply: the top of the face.

The order is Proxmox's: find the endpoint, ask who calls, read and check the parameters, check the rights, act, answer.
A login is asked for before an unknown path is admitted to be unknown. Nothing that goes wrong inside reaches a client
as a traceback: an error of the tree is rendered with its five parts, anything else is a bug with an id that is in the
log.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError
from aiohttp.web_request import BaseRequest

from tarmac.faces.api import pages
from tarmac.faces.api.auth import Peer, identify, peer_of
from tarmac.faces.api.body import MAX_PUBLIC_BODY, check_headers, read_body
from tarmac.faces.api.declare import RAW, UPID, Call, Encoded, Endpoint, Headed, Returns
from tarmac.faces.api.index import complete
from tarmac.faces.api.params import MAX_BODY, Parsed, decode_body, decode_query, masked, merge, parse
from tarmac.faces.api.replies import envelope, error_reply, headed, reply, stream
from tarmac.faces.api.rights import authorize
from tarmac.faces.api.router import METHODS, Match, Router
from tarmac.model.errors import Bug, LoginFailed, NotBuilt, TarmacError, Unauthenticated
from tarmac.model.job import Plan, PlannedStep
from tarmac.services.access.audit import Event

if TYPE_CHECKING:
    from tarmac.services.registry import Services

log = logging.getLogger(__name__)

PREFIXES = {"json": "/api2/json", "extjs": "/api2/extjs"}
ALIASES = {"/api2/events": "/events", "/metrics": "/metrics"}
"""Paths of ours that are also answered outside the API's own: what they answer has no envelope."""
UNAUTHORIZED_DELAY = 3.0
MAX_DELAYED = 500


class Api:
    """The table behind HTTP. `handle` is what an `aiohttp` server calls for each request."""

    def __init__(
        self, services: Services, endpoints: Iterable[Endpoint], *, unauthorized_delay: float = UNAUTHORIZED_DELAY
    ) -> None:
        self.services = services
        self.router = Router(complete(endpoints))
        self._page = pages.Page()
        self._delay = unauthorized_delay
        self._delayed = 0

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request. Raises only what ends the connection (a client that went away, the daemon's end)."""
        started = time.monotonic()
        path, _, query = request.raw_path.partition("?")
        form, rest = _split_path(path)
        entry = _LogEntry(request.method, path)
        try:
            peer = peer_of(_transport(request))
            entry.peer = peer.address
            check_headers(request)
            if not peer.secure and not peer.local:
                return pages.redirect(request)
            if not form:
                return await self._page.reply(request.method, path, request.headers)
            response = await self._answer(request, peer, form, rest, query, entry)
        except TarmacError as problem:
            response = await self._refuse(problem, request, form)
        except (ConnectionError, RequestPayloadError, asyncio.CancelledError) as gone:
            if entry.audited and self.services.audit is not None:
                self.services.audit.submit(entry.event(None))  # what was begun may be done all the same
            if isinstance(gone, RequestPayloadError):
                raise ConnectionResetError("the client went away") from gone
            raise
        except Exception:  # noqa: BLE001 - the top of the face: a bug is logged with an id, the client gets the id
            number = secrets.token_hex(6)
            log.exception("bug while answering", extra={"bug": number, "method": request.method, "path": path[:200]})
            bug = Bug(
                f"internal error {number}",
                cause="a fault of this program",
                evidence=f"the daemon's log has the details under {number}",
            )
            response = await self._refuse(bug, request, form)
        entry.write(response.status, time.monotonic() - started)
        if entry.audited and self.services.audit is not None:
            await self.services.audit.record(entry.event(response))
        return response

    async def _answer(
        self, request: BaseRequest, peer: Peer, form: str, path: str, query: str, entry: _LogEntry
    ) -> web.StreamResponse:
        match, missing = self._find(request.method, path)
        endpoint = match.endpoint if match else None
        entry.endpoint = endpoint
        identity = await identify(self.services, endpoint, peer, request.method, request.headers)
        entry.identity = identity
        if match is None:
            raise missing or NotBuilt(f"Method '{request.method} {path}' not implemented")
        endpoint = match.endpoint
        body: Mapping[str, Any] = {}
        if not endpoint.stream:
            most = MAX_PUBLIC_BODY if endpoint.public else MAX_BODY
            body = decode_body(request.headers.get("Content-Type", ""), await read_body(request, most))
        texts = merge(match.values, decode_query(query), body, endpoint)
        entry.parameters = masked(endpoint, texts)
        parsed = parse(endpoint, texts)
        call = Call(
            services=self.services,
            identity=identity,
            endpoint=endpoint,
            peer=peer.address,
            config=parsed.config,
            sent=parsed.sent,
            wait=parsed.wait,
            dryrun=parsed.dryrun,
            request=request,
        )
        entry.dryrun = parsed.dryrun
        return await self._run(call, parsed, form, entry)

    def _find(self, method: str, path: str) -> tuple[Match | None, NotBuilt | None]:
        """The endpoint, or why there is none; said only to who is logged in."""
        if method not in METHODS:
            return None, NotBuilt(f"Method '{method[:20]}' not implemented", code="no-such-method")
        try:
            return self.router.find(method, path), None
        except NotBuilt as problem:
            return None, problem

    async def _run(self, call: Call, parsed: Parsed, form: str, entry: _LogEntry) -> web.StreamResponse:
        endpoint = call.endpoint
        if "node" in endpoint.places:
            self.services.nodes.check(parsed.params.node)
        await authorize(call, parsed.params)
        if call.dryrun and not endpoint.plans:
            result: Any = _plan_of(call)
        else:
            result = await endpoint.handler(call, parsed.params)
        entry.started(result)
        if isinstance(result, web.StreamResponse):
            return result
        if isinstance(result, Headed):
            return await headed(result)
        if endpoint.returns is RAW:
            raise Bug(f"{endpoint.method} {endpoint.path} gave no response")
        if result is None and endpoint.returns is Returns.LIST:
            result = []
        extra: dict[str, Any] = {"success": 1} if form == "extjs" else {}
        if call.wait is not None and endpoint.returns is UPID and isinstance(result, str):
            extra["task"] = await self._outcome(result, call.wait)
        gzip = _takes_gzip(call.http)
        if isinstance(result, Encoded) and not extra and not gzip:
            return await stream(call.http, result)
        return await reply(envelope(result, extra), gzip=gzip)

    async def _outcome(self, upid: str, seconds: float) -> dict[str, Any]:
        """How a task ended, or that it still runs. A client that goes away meanwhile does not end it."""
        await self.services.jobs.wait(upid, seconds)
        status: dict[str, Any] = await self.services.tasks.status(upid)
        return status

    async def _refuse(self, problem: TarmacError, request: BaseRequest, form: str) -> web.StreamResponse:
        # A failed login has waited already, in the service that knows how long it took.
        if isinstance(problem, Unauthenticated) and not isinstance(problem, LoginFailed) and self._delay:
            await self._hold()
        return await error_reply(problem, extjs=form == "extjs", gzip=_takes_gzip(request))

    async def _hold(self) -> None:
        """Delay a refused login. Only the connection is held; a flood of them is cut off instead."""
        if self._delayed >= MAX_DELAYED:
            raise ConnectionAbortedError("too many refused logins")
        self._delayed += 1
        try:
            await asyncio.sleep(self._delay)
        finally:
            self._delayed -= 1


class _LogEntry:
    """What is remembered of one request: a line in the log for each change and for each read that failed inside, and
    an entry of the audit trail for each change that somebody asked for."""

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        self.peer = ""
        self.identity: Any = None
        self.endpoint: Endpoint | None = None
        self.parameters: Mapping[str, str] = {}
        self.dryrun = False
        self.task = ""

    @property
    def changes(self) -> bool:
        return self.endpoint is not None and self.endpoint.changes

    @property
    def audited(self) -> bool:
        return self.changes and not self.dryrun

    def started(self, result: Any) -> None:
        """Remember the task that the call started."""
        if self.endpoint is not None and self.endpoint.returns is UPID and isinstance(result, str):
            self.task = result

    def event(self, response: web.StreamResponse | None) -> Event:
        """The entry of the audit trail; None: the client went away. A login's user is the one that was named."""
        user = self.identity.user if self.identity is not None else self.parameters.get("username", "")
        return Event(
            time=time.time(),
            user=user[:128],
            token=self.identity.token if self.identity is not None else "",
            source=self.peer,
            method=self.method,
            path=f"/{unquote(_split_path(self.path)[1]).strip('/')}"[:500],
            parameters=dict(self.parameters),
            status=response.status if response is not None else 0,
            error="the client went away" if response is None else (response.reason if response.status >= 400 else ""),
            task=self.task,
        )

    def write(self, status: int, seconds: float) -> None:
        if self.changes or status == 500:
            log.info(
                "request",
                extra={
                    "method": self.method,
                    "path": self.path[:200],
                    "status": status,
                    "user": getattr(self.identity, "name", ""),
                    "peer": self.peer,
                    "ms": round(seconds * 1000),
                    "parameters": self.parameters if self.changes else {},
                },
            )


def _split_path(path: str) -> tuple[str, str]:
    """The reply's form (empty: not below the API) and the path below its prefix."""
    for form, prefix in PREFIXES.items():
        if path == prefix or path.startswith(prefix + "/"):
            return form, path[len(prefix) :]
    return ("json", ALIASES[path]) if path in ALIASES else ("", path)


def _transport(request: BaseRequest) -> asyncio.BaseTransport:
    if request.transport is None:
        raise ConnectionResetError("the client went away")
    return request.transport


def _takes_gzip(request: BaseRequest) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def _plan_of(call: Call) -> Plan:
    """The plan of a change that is one step: parameters and rights are checked, the rest is what its help says."""
    endpoint = call.endpoint
    step = PlannedStep(
        step=f"{endpoint.method} {endpoint.schema_path}",
        title=endpoint.help.rstrip("."),
        args={k: v for k, v in masked(endpoint, call.sent).items() if k != "dryrun"},
    )
    return Plan(steps=(step,))
