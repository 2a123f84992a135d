"""How an endpoint is declared: once, beside its handler, with everything that others derive from it.

    @dataclass(frozen=True, kw_only=True)
    class Start(Guest):                       # Guest has `node` and `vmid`, the path's parameters
        timeout: int | None = setting(None, ge=0, unit="s", help="How long the start may take.")

    @post("/nodes/{node}/qemu/{vmid}/status/start", params=Start, allow=Allow("/vms/{vmid}", "VM.PowerMgmt"),
          returns=UPID, cli="vm start {vmid}", help="Start a virtual machine.")
    async def start(call: Call, p: Start) -> Started:
        return await call.services.vms.start(call.identity, p.vmid, timeout=p.timeout, dryrun=call.dryrun)

From the declarations come routing, validation, the permission check, OpenAPI, the reference and the command line. A
decorator only leaves a mark on the function; `collect(module)` reads the marks, so importing registers nothing.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tarmac.model.settings import Setting, settings_of

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from tarmac.services.registry import Services


Handler = Callable[["Call", Any], Awaitable[Any]]
Check = Callable[["Call", Any], Awaitable[None]]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

READING = frozenset({"GET", "HEAD"})
_MARK = "__tarmac_endpoint__"
_PLACE = re.compile(r"\{([a-z][a-z0-9_-]*)(\.\.\.)?\}")


class Returns(enum.Enum):
    """The kind of `data` in a reply; typed clients crash on a wrong one. `RAW`: the handler answers by itself."""

    NULL = "null"
    UPID = "upid"
    LIST = "list"
    OBJECT = "object"
    TEXT = "text"
    ANY = "any"
    RAW = "raw"


NULL, UPID, LIST, OBJECT = Returns.NULL, Returns.UPID, Returns.LIST, Returns.OBJECT
TEXT, ANY, RAW = Returns.TEXT, Returns.ANY, Returns.RAW


@dataclass(frozen=True, slots=True)
class Paged:
    """A part of a list with the number of all items, which goes beside `data` as `total`."""

    items: Sequence[Any]
    total: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """`data` that is JSON already, in pieces: a long list that a service keeps encoded row by row."""

    pieces: Sequence[bytes]

    @property
    def json(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Headed:
    """`data` with a status and headers of its own, where a protocol of others' demands them. With 204 there is no
    body."""

    data: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoParams:
    """For endpoints without parameters."""


class Allow:
    """Who may call an endpoint: `privileges` on an access `path` whose `{name}`s are parameters of the call.

    All privileges are needed, or with `any=True` one of them. `a | b`: either is enough. `Allow.by(check, "words")`
    is decided by an endpoint's own coroutine, which raises Denied. `Allow.login`: every user that is logged in (the
    service shows each only what he may see). `Allow.everybody`: no login needed."""

    everybody: ClassVar[Allow]
    login: ClassVar[Allow]

    def __init__(self, path: str, *privileges: str, any: bool = False) -> None:
        self.path = path
        self.privileges = privileges
        self.any = any
        self.check: Check | None = None
        self.words = ""
        self.either: tuple[Allow, ...] = ()

    @classmethod
    def by(cls, check: Check, words: str) -> Allow:
        """Decided by `check(call, params)`; `words` say the rule in the reference."""
        rule = cls("")
        rule.check, rule.words = check, words
        return rule

    def __or__(self, other: Allow) -> Allow:
        rule = Allow("")
        rule.either = (*(self.either or (self,)), *(other.either or (other,)))
        return rule

    @property
    def text(self) -> str:
        """The rule for people."""
        if self is Allow.everybody:
            return "nobody needs to log in"
        if self is Allow.login:
            return "every user; the reply holds what the user may see"
        if self.either:
            return " or ".join(rule.text for rule in self.either)
        if self.check is not None:
            return self.words
        return f"{(' or ' if self.any else ' and ').join(self.privileges)} on {self.path}"


Allow.everybody = Allow("")
Allow.login = Allow("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One declared endpoint; see `_declare` for the fields' meaning."""

    method: str
    path: str
    handler: Handler
    params: type
    config: type | None
    allow: Allow
    returns: Returns
    help: str
    cli: str
    plans: bool
    tokens: bool
    csrf: bool
    stream: bool
    asks: bool = False
    later: bool = False  # stands for a feature that is not built yet
    reply: Any = None

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(match[1] for match in _PLACE.finditer(self.path))

    @property
    def schema_path(self) -> str:
        """The path in Proxmox's spelling: `{volume...}` is `{volume}` there."""
        return self.path.replace("...}", "}")

    @property
    def public(self) -> bool:
        """Whether it is answered without a login."""
        return self.allow is Allow.everybody

    @property
    def changes(self) -> bool:
        """Whether it changes anything (so `dryrun` applies and the request is logged)."""
        return self.method not in READING and not self.asks

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All parameters in order of declaration, the configuration's keys last; ours (`wait`, `dryrun`) not."""
        own = settings_of(self.params)
        known = {s.name for s in own}
        return own + tuple(s for s in (settings_of(self.config) if self.config else ()) if s.name not in known)


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, as its handler sees it: who asks, what for, and the services that can do it.

    `config` holds the validated texts of the keys that `config=` declared; `sent` every parameter as it was sent."""

    services: Services
    identity: Any
    endpoint: Endpoint
    peer: str
    config: dict[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)
    wait: float | None = None
    dryrun: bool = False
    request: BaseRequest | None = None

    @property
    def user(self) -> str:
        """The user's id (`root@pam`), without a token's name."""
        return str(self.identity.user)

    @property
    def token(self) -> str | None:
        """The token's name, if the call came with one."""
        return self.identity.token or None

    @property
    def host(self) -> str:
        """The name (and port) by which the caller speaks to us; empty for a call that did not come over HTTP."""
        return self.request.host if self.request is not None else ""

    @property
    def http(self) -> BaseRequest:
        """The raw request, for what streams."""
        assert self.request is not None, "this call did not come over HTTP"
        return self.request


def _declare(
    method: str,
    path: str,
    *,
    allow: Allow,
    help: str,
    params: type = NoParams,
    config: type | None = None,
    returns: Returns = NULL,
    cli: str = "",
    plans: bool | None = None,
    tokens: bool = True,
    csrf: bool = True,
    stream: bool = False,
    asks: bool = False,
    reply: Any = None,
) -> Callable[[F], F]:
    """Mark a coroutine `handler(call, params)` as an endpoint.

    path     below `/api2/json`; `{name}` is one segment, `{name...}` the rest of the path with its slashes
    params   the declared class of all parameters, the path's included; unknown ones are refused by name
    config   a declared class whose keys are taken too and handed over as `call.config`
    allow    who may call it, checked before the handler runs
    returns  the kind of `data`; `UPID` adds the parameter `wait`
    cli      the command's words with its positional parameters: `vm start {vmid}`; empty: no command
    plans    the handler obeys `call.dryrun` and returns the Plan (default: where it returns a UPID); a change that
             does not gets a plan of one line from the face, after parameters and rights are checked
    tokens   False: not with an API token;  csrf False: no CSRF token needed with a ticket
    asks     it changes nothing although its method, which is Proxmox's, says so
    stream   the handler reads the request's body itself; parameters come from path and query only
    reply    the shape of `data`, a type of `faces.api.shapes` or made of such (`list[TaskRow]`); None: not said
    """

    def mark(handler: F) -> F:
        endpoint = Endpoint(
            method=method,
            path=path,
            handler=handler,
            params=params,
            config=config,
            allow=allow,
            returns=returns,
            help=help,
            cli=cli,
            plans=(returns is UPID) if plans is None else plans,
            tokens=tokens,
            csrf=csrf,
            stream=stream,
            asks=asks,
            reply=reply,
        )
        _check_declaration(endpoint)
        setattr(handler, _MARK, endpoint)
        return handler

    return mark


def get(path: str, **declared: Any) -> Callable[[F], F]:
    """An endpoint that reads."""
    return _declare("GET", path, **declared)


def post(path: str, **declared: Any) -> Callable[[F], F]:
    """An endpoint that creates or acts."""
    return _declare("POST", path, **declared)


def head(path: str, **declared: Any) -> Callable[[F], F]:
    """An endpoint that tells in headers how something stands."""
    return _declare("HEAD", path, **declared)


def patch(path: str, **declared: Any) -> Callable[[F], F]:
    """An endpoint that adds to what is there, where a protocol of others' demands this method."""
    return _declare("PATCH", path, **declared)


def put(path: str, **declared: Any) -> Callable[[F], F]:
    """An endpoint that changes what is there."""
    return _declare("PUT", path, **declared)


def delete(path: str, **declared: Any) -> Callable[[F], F]:
    """An endpoint that removes."""
    return _declare("DELETE", path, **declared)


def collect(*modules: ModuleType) -> tuple[Endpoint, ...]:
    """The endpoints that the modules' own functions declare (also such as stand in a tuple), in order."""
    found = []
    for module in modules:
        for thing in vars(module).values():
            for one in thing if isinstance(thing, tuple) else (thing,):
                endpoint = getattr(one, _MARK, None) if callable(one) else None
                if isinstance(endpoint, Endpoint) and one.__module__ == module.__name__:
                    found.append(endpoint)
    return tuple(found)


def _check_declaration(endpoint: Endpoint) -> None:
    """A wrong declaration fails when its module is imported, not when somebody calls it."""
    where = f"{endpoint.method} {endpoint.path}"
    if not dataclasses.is_dataclass(endpoint.params):
        raise TypeError(f"{where}: params must be a declared dataclass")
    names = {s.name for s in endpoint.settings}
    for place in (*endpoint.places, *(match[1] for match in _PLACE.finditer(endpoint.cli))):
        if place not in names:
            raise TypeError(f"{where}: parameter {place} is not declared")
    for rule in endpoint.allow.either or (endpoint.allow,):
        missing = {match[1] for match in _PLACE.finditer(rule.path)} - names
        if missing:
            raise TypeError(f"{where}: the access path {rule.path} names unknown parameters {missing}")
