"""Notifications: who is told what, and that it arrives: real mail and HTTP servers on loopback."""

from __future__ import annotations

import asyncio
import base64
import datetime
import email
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tarmac.drivers.notify.mail import mail
from tarmac.drivers.notify.web import rendered
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Conflict, Denied, InvalidInput, NotFound, TarmacError
from tarmac.model.job import JobRecord, JobState
from tarmac.model.notification import Matcher, Notification
from tarmac.model.users import User
from tarmac.services.access.directory import Directory
from tarmac.services.events import notifications
from tarmac.services.events.notifications import Notifications

EVIL = "line\r\nBcc: evil@example.com\r\n\r\nbody"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
async def house() -> AsyncIterator[Notifications]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    async with directory.lock:
        records = {("user", "joe@pve"): User(userid="joe@pve", email="joe@example.com")}
        await directory.commit(records, by="root@pam", what="test")
    async with Supervisor() as supervisor:
        made = Notifications(store=store, directory=directory, supervisor=supervisor, node="n1", again=(0.05, 0.05))
        await made.load()
        yield made


# -- servers --------------------------------------------------------------------------------------------------------


class Mailbox:
    """Keeps the mails of a server that asks for a login where it was told one."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], Message]] = []
        self.refuse = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            self.refuse -= 1
            return "451 later"
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
        return "250 OK"


@asynccontextmanager
async def smtp(password: str = "") -> AsyncIterator[tuple[str, Mailbox]]:
    box = Mailbox()

    def judge(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = data.password == password.encode()
        return AuthResult(success=good, handled=good)

    told: dict[str, Any] = {"authenticator": judge, "auth_require_tls": False}
    controller = Controller(box, hostname="127.0.0.1", port=0, **(told if password else {}))
    controller.port = _free_port()
    await asyncio.to_thread(controller.start)
    try:
        yield str(controller.port), box
    finally:
        await asyncio.to_thread(controller.stop)


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def http(*statuses: int) -> AsyncIterator[tuple[str, list[tuple[web.Request, bytes]]]]:
    """Answers with these in turn, the last one for ever."""
    asked: list[tuple[web.Request, bytes]] = []
    left = list(statuses) or [200]

    async def take(request: web.Request) -> web.Response:
        asked.append((request, await request.read()))
        status = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 302 else {})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def eventually(check: Any) -> None:
    async with asyncio.timeout(40):
        while not check():
            await asyncio.sleep(0.02)


# -- what arrives ---------------------------------------------------------------------------------------------------


async def test_mail_with_login_to_addresses_and_users(house: Notifications) -> None:
    async with smtp(password="hush") as (port, box):
        texts = {"server": "127.0.0.1", "port": port, "mode": "insecure", "from-address": "tarmac@example.com"}
        people = {"mailto": "a@example.com\0b@example.com", "mailto-user": "joe@pve\0nobody@pve", "author": "Hyper"}
        await house.create_target("smtp", "mail", {**texts, **people, "username": "u", "password": "hush"})
        await house.matchers.create("all", {"target": "mail"})
        house.notify("error", "it broke", "Grüße\n.\nend", {"type": "test", "vmid": "100"})
        await eventually(lambda: box.mails)
    sender, to, message = box.mails[0]
    assert sender == "tarmac@example.com"
    assert to == ["a@example.com", "b@example.com", "joe@example.com"]
    assert message["Subject"] == "it broke" and "Hyper" in message["From"]
    text = message.get_payload(decode=True).decode().replace("\r\n", "\n")  # type: ignore[union-attr]
    assert text.startswith("Grüße\n.\nend\n") and "vmid: 100" in text and "severity: error" in text


async def test_a_wrong_password_is_told_by_the_test(house: Notifications) -> None:
    async with smtp(password="hush") as (port, box):
        texts = {"server": "127.0.0.1", "port": port, "mode": "insecure", "from-address": "t@example.com"}
        await house.create_target("smtp", "mail", {**texts, "mailto": "a@b.c", "username": "u", "password": "wrong"})
        with pytest.raises(TarmacError) as refused:
            await house.test("mail")
        assert "535" in refused.value.cause and "wrong" not in str(refused.value.as_record())
        await house.update_target("smtp", "mail", {"password": "hush"})
        await house.test("mail")
        assert box.mails[0][2]["Subject"] == "Test"


def test_nobody_can_add_headers() -> None:
    notification = Notification(severity="info", title=EVIL, text=EVIL, timestamp=1, fields={"x": EVIL})
    message = email.message_from_bytes(mail(notification, sender="a@b.c", author=None, to=["d@e.f"]).as_bytes())
    assert message["Bcc"] is None and message["To"] == "d@e.f"


async def test_a_webhook_says_what_its_templates_say(house: Notifications) -> None:
    async with http() as (address, asked):
        texts = {
            "method": "post",
            "url": f"{address}/hook/{{{{ url-encode title }}}}?key={{{{ secrets.key }}}}",
            "header": f"name=X-What,value={b64('{{ severity }} {{ fields.storage }}')}",
            "secret": f"name=key,value={b64('s3cret')}",
            "body": b64('{"text": "{{ escape message }}", "title": {{ json title }}, "none": "{{ nothing }}"}'),
            "allowed-hosts": "127.0.0.1",
        }
        await house.create_target("webhook", "web", texts)
        await house.matchers.create("all", {"target": "web"})
        house.notify("warning", 'a "b" /c', "one\ntwo", {"storage": "local\r\nEvil: 1"})
        await eventually(lambda: asked)
    request, body = asked[0]
    assert request.method == "POST" and request.raw_path == "/hook/a%20%22b%22%20%2Fc?key=s3cret"
    assert request.headers["X-What"] == "warning local Evil: 1" and "Evil" not in request.headers
    assert json.loads(body) == {"text": "one\ntwo", "title": 'a "b" /c', "none": ""}
    assert house.shown("webhook", "web")["secret"] == ["name=key"]
    assert "s3cret" not in json.dumps(house.shown("webhook", "web"))


async def test_a_webhooks_secret_stays_when_none_is_given(house: Notifications) -> None:
    secrets = f"name=a,value={b64('1')}\0name=b,value={b64('2')}"
    await house.create_target("webhook", "web", {"method": "get", "url": "https://example.com/", "secret": secrets})
    await house.update_target("webhook", "web", {"secret": f"name=a\0name=c,value={b64('3')}"})
    assert house.targets["webhook"].get("web").secret == (f"name=a,value={b64('1')}", f"name=c,value={b64('3')}")
    with pytest.raises(InvalidInput):
        await house.update_target("webhook", "web", {"secret": "name=new"})


async def test_gotify(house: Notifications) -> None:
    async with http() as (address, asked):
        texts = {"server": f"{address}/", "token": "t0ken", "allowed-hosts": "127.0.0.1"}
        await house.create_target("gotify", "g", texts)
        await house.test("g")
    request, body = asked[0]
    assert (request.path, request.headers["X-Gotify-Key"]) == ("/message", "t0ken")
    assert json.loads(body)["priority"] == 1 and "token" not in house.shown("gotify", "g")


# -- what must not be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["webhook", "gotify"])
async def test_the_own_network_is_not_asked_unless_allowed(house: Notifications, kind: str) -> None:
    async with http() as (address, asked):
        texts = (
            {"method": "post", "url": f"{address}/?secret"} if kind == "webhook" else {"server": address, "token": "t"}
        )
        await house.create_target(kind, "web", texts)
        with pytest.raises(Denied) as refused:
            await house.test("web")
        assert not asked and "secret" not in str(refused.value.as_record())
        assert "allowed-hosts" in refused.value.fixes[0].text


async def test_redirects_are_not_followed(house: Notifications) -> None:
    async with http(302) as (address, asked):
        texts = {"method": "post", "url": address, "allowed-hosts": "127.0.0.1"}
        await house.create_target("webhook", "web", texts)
        with pytest.raises(TarmacError):
            await house.test("web")
        assert len(asked) == 1


async def test_it_is_tried_again_and_one_target_does_not_hold_up_another(house: Notifications) -> None:
    async with smtp() as (port, box), http(500, 503, 200) as (address, asked):
        box.refuse = 1
        texts = {"server": "127.0.0.1", "port": port, "mode": "insecure", "from-address": "t@example.com"}
        await house.create_target("smtp", "mail", {**texts, "mailto": "a@b.c"})
        await house.create_target("webhook", "web", {"method": "put", "url": address, "allowed-hosts": "127.0.0.1"})
        away = {"method": "put", "url": "http://127.0.0.1:1/", "allowed-hosts": "127.0.0.1"}
        await house.create_target("webhook", "away", away)
        await house.matchers.create("all", {"target": "mail\0web\0away"})
        house.notify("info", "x", "y")
        await eventually(lambda: box.mails and len(asked) == 3)
        await eventually(lambda: not +house._waiting)


async def test_what_waits_is_limited(house: Notifications, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "MOST_WAITING", 5)
    away = {"method": "put", "url": "http://127.0.0.1:1/", "allowed-hosts": "127.0.0.1"}
    await house.create_target("webhook", "away", away)
    await house.matchers.create("all", {"target": "away"})
    for _ in range(15):
        house.notify("info", "x", "y")
    assert house._waiting["away"] == 5
    await eventually(lambda: not +house._waiting)


# -- matchers -------------------------------------------------------------------------------------------------------

ERROR = Notification(severity="error", title="t", text="", timestamp=0, fields={"type": "task-failed", "vmid": "100"})


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({}, True),
        ({"disable": True}, False),
        ({"match_severity": ("error,unknown",)}, True),
        ({"match_severity": ("info",)}, False),
        ({"match_severity": ("info",), "invert_match": True}, True),
        ({"match_field": ("exact:type=x,task-failed",)}, True),
        ({"match_field": ("exact:type=task",)}, False),
        ({"match_field": ("exact:storage=",)}, False),
        ({"match_field": ("regex:vmid=^1",)}, True),
        ({"match_field": ("regex:vmid=^2",)}, False),
        ({"match_severity": ("info",), "match_field": ("regex:vmid=^1",)}, False),
        ({"match_severity": ("info",), "match_field": ("regex:vmid=^1",), "mode": "any"}, True),
        ({"match_severity": ("info",), "match_field": ("regex:vmid=^2",), "mode": "any"}, False),
    ],
)
def test_what_a_matcher_fits(rules: dict[str, Any], fits: bool) -> None:
    assert Matcher(**rules).fits(ERROR) is fits


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({"match_calendar": ("8-12",)}, True),
        ({"match_calendar": ("mon-fri 8-12",)}, False),
        ({"match_calendar": ("sat,sun 8:00-10:05", "10-11")}, True),
        ({"match_calendar": ("8-12", "12-13")}, False),
        ({"match_calendar": ("8-12", "12-13"), "mode": "any"}, True),
        ({"match_calendar": ("8-12",), "invert_match": True}, False),
    ],
)
def test_a_matcher_looks_at_the_clock_of_what_happened(rules: dict[str, Any], fits: bool) -> None:
    saturday = int(datetime.datetime(2026, 11, 28, 10, 4).timestamp())
    happened = Notification(severity="info", title="t", text="", timestamp=saturday)
    assert Matcher(**rules).fits(happened) is fits


async def test_wrong_definitions_are_refused_by_name(house: Notifications) -> None:
    await house.create_target("webhook", "web", {"method": "get", "url": "https://example.com/"})
    for key, text in {
        "match-severity": "bad", "match-field": "exact:type", "match-calendar": "noon", "target": "none",
        "mode": "some",
    }.items():  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            await house.matchers.create("mail", {key: text})
        assert key in (refused.value.parameters or {})
    with pytest.raises(InvalidInput):
        await house.matchers.create("mail", {"match-field": "regex:type=("})
    base = {"method": "get", "url": "https://example.com/"}
    for key, text in {"url": "file:///etc/passwd", "body": "???", "header": "x", "secret": "name=a"}.items():
        with pytest.raises(InvalidInput) as refused:
            await house.create_target("webhook", "x", {**base, key: text})
        assert key in (refused.value.parameters or {})
    with pytest.raises(InvalidInput):
        await house.create_target("smtp", "x", {"server": "a.example", "from-address": "a@b.c"})
    with pytest.raises(Conflict):
        await house.create_target("gotify", "web", {"server": "https://x.example", "token": "t"})


async def test_a_target_in_use_stays(house: Notifications) -> None:
    await house.create_target("webhook", "web", {"method": "get", "url": "https://example.com/"})
    await house.matchers.create("mail", {"target": "web"})
    with pytest.raises(Conflict, match="referenced by: mail"):
        await house.delete_target("webhook", "web")
    await house.matchers.delete("mail")
    await house.delete_target("webhook", "web")
    with pytest.raises(NotFound):
        await house.test("web")


async def test_a_failed_task_is_told_with_its_reason(house: Notifications, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(house, "notify", lambda *what: told.append(what))
    error = {"cause": "the bridge is missing", "evidence": "vmbr9", "fixes": [{"text": "make it"}]}
    common: dict[str, Any] = {"upid": "UPID:x", "node": "n1", "id": "100", "user": "joe@pve", "args": {}, "queues": ()}
    for kind, state in (("qmstart", JobState.FAILED), ("qmstart", JobState.CANCELLED), ("qmstart", JobState.DONE), ("vncproxy", JobState.FAILED)):  # fmt: skip # noqa: E501
        house.task_ended(JobRecord(kind=kind, state=state, created=0, exitstatus="no bridge", error=error, **common))
    ((severity, title, text, fields),) = told
    assert severity == "error" and "qmstart 100" in title
    assert all(word in text for word in ("no bridge", "the bridge is missing", "vmbr9", "make it", "UPID:x"))
    assert fields == {"type": "task-failed", "task-type": "qmstart", "user": "joe@pve", "vmid": "100"}


def test_templates() -> None:
    values = {"title": 'a"b', "fields.x": "1"}
    assert rendered("{{title}}|{{ json title }}|{{escape title}}|{{fields.x}}|{{ fields.y }}|{{ {", values) == (
        'a"b|"a\\"b"|a\\"b|1||{{ {'
    )
