"""Endpoints that echo, fail and answer in every form, and somebody who may log in: for tests of the wire."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.api_site import Site
from tarmac.drivers.store.memory import MemoryStore
from tarmac.faces.api.declare import LIST, OBJECT, TEXT, Allow, Call, Encoded, NoParams, Paged, get, post, put
from tarmac.lib.signing import Signer
from tarmac.model.errors import Fix, HostFailure, NotFound
from tarmac.model.settings import setting
from tarmac.model.users import User
from tarmac.services.access.access import Access
from tarmac.services.access.directory import Directory
from tarmac.services.access.tickets import Tickets
from tarmac.services.access.tokens import Tokens
from tarmac.services.registry import Services


@dataclass(frozen=True, kw_only=True)
class Echo:
    text: str = setting("", help="t")
    password: str | None = setting(None, secret=True, help="p")


@get("/fail", params=Echo, allow=Allow.everybody, help="Fail with the text.")
async def fail(call: Call, p: Echo) -> None:
    raise NotFound(p.text, cause="asked to", evidence="it was", fixes=[Fix(text="do not", action="GET /ok")])


@get("/bug", allow=Allow.everybody, help="A bug.")
async def bug(call: Call, p: NoParams) -> None:
    raise ZeroDivisionError("the secret of the house")


@get("/ok", allow=Allow.everybody, returns=OBJECT, help="Fine.")
async def ok(call: Call, p: NoParams) -> dict[str, Any]:
    return {"yes": True}


@get("/empty", allow=Allow.everybody, returns=LIST, help="An empty list.")
async def empty(call: Call, p: NoParams) -> None:
    return None


@get("/paged", allow=Allow.everybody, returns=LIST, help="A page.")
async def paged(call: Call, p: NoParams) -> Paged:
    return Paged([1, 2], 17)


@get("/encoded", allow=Allow.everybody, returns=LIST, help="JSON already.")
async def encoded(call: Call, p: NoParams) -> Encoded:
    return Encoded([b'[{"a"', b":1}]"])


@get("/big", allow=Allow.everybody, returns=TEXT, help="Much.")
async def big(call: Call, p: NoParams) -> str:
    return "x" * 200_000


@post("/echo", params=Echo, allow=Allow.login, returns=TEXT, help="Echo.")
async def echo(call: Call, p: Echo) -> str:
    return f"{call.user}:{p.text}"


@put("/host", allow=Allow("/", "Sys.Modify"), help="A failing change.")
async def host(call: Call, p: NoParams) -> None:
    raise HostFailure("the host said no")


@post("/people", allow=Allow.login, tokens=False, help="Not for tokens.")
async def people(call: Call, p: NoParams) -> None: ...


HANDLERS = (fail, bug, ok, empty, paged, encoded, big, echo, host, people)
TABLE = tuple(f.__tarmac_endpoint__ for f in HANDLERS)  # type: ignore[attr-defined]


@dataclass(slots=True)
class Logins:
    """What a client may present: `{ticket}`, `{quoted}`, `{csrf}` and `{token}` in a test's headers."""

    ticket: str
    csrf: str
    token: str

    def fill(self, text: str) -> str:
        quoted = quote(self.ticket, safe="")
        return text.format(ticket=self.ticket, quoted=quoted, csrf=self.csrf, token=self.token)


async def make_services(tmp_path: Path) -> Services:
    """Who may log in and what they may do, as in the daemon; `joe@pve` has no rights."""
    directory = Directory(MemoryStore())
    await directory.load()
    await directory.commit({("user", "joe@pve"): User(userid="joe@pve")}, by="root@pam", what="test")
    signer = Signer(tmp_path / "keys")
    await signer.load()
    return Services(
        node="pve",
        version="0",
        access=Access(directory),
        tickets=Tickets(directory, signer),
        tokens=Tokens(directory),
    )


async def make_logins(site: Site) -> Logins:
    """`joe@pve` logged in, with a token."""
    services = site.api.services
    made = await services.tokens.create("joe@pve", "api", by="root@pam")
    return Logins(
        ticket=await services.tickets.issue("joe@pve"),
        csrf=services.tickets.csrf("joe@pve"),
        token=f"{made['full-tokenid']}={made['value']}",
    )
