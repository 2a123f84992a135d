"""Security keys: which answers are good, and that none is good twice, elsewhere or for somebody else."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from support.security_key import SecurityKey
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.passwords import Hasher
from tarmac.model.datacenter import Datacenter, WebAuthn, check_datacenter
from tarmac.model.errors import InvalidInput
from tarmac.services.access.access import Access
from tarmac.services.access.directory import Directory
from tarmac.services.access.tfa import REGISTER_SECONDS, SecondFactors
from tarmac.services.access.users import Users
from tarmac.services.access.webauthn import Party, name_of

JOE, EVE, BY = "joe@pve", "eve@pve", "root@pam"
HOST, ORIGIN = "tarmac.example:8006", "https://tarmac.example:8006"


@pytest.fixture
async def world() -> AsyncIterator[Any]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    access, now = Access(directory), SimpleNamespace(time=1_800_000_000.0)
    users = Users(directory, access, Hasher())
    for userid in (JOE, EVE):
        await users.create(userid, by=BY)
    made = SimpleNamespace(store=store, directory=directory, now=now, option=None)
    made.factors = SecondFactors(directory, access, lambda: now.time, party=lambda: Party.of(made.option))
    yield made
    await store.close()


async def add(world: Any, key: SecurityKey, userid: str = JOE, *, origin: str = ORIGIN, **more: Any) -> str:
    options = json.loads(world.factors.begin_webauthn(userid, HOST)["challenge"])
    answer = key.register(options, origin=origin, **more)
    challenge = options["publicKey"]["challenge"]
    return str((await world.factors.add_webauthn(userid, challenge, answer, description="blue", by=BY))["id"])


def asked(world: Any, host: str = HOST) -> Any:
    return (world.factors.challenge(JOE, host) or {}).get("webauthn")


async def check(world: Any, answer: str, options: Any, userid: str = JOE) -> str:
    return str(await world.factors.check(userid, f"webauthn:{answer}", {"webauthn": options}))


async def test_a_key_is_added_and_logs_in(world: Any) -> None:
    key = SecurityKey()
    id = await add(world, key)
    assert world.factors.list(JOE)[0] | {"created": 0} == {
        "id": id, "type": "webauthn", "description": "blue", "created": 0, "enable": 1
    }  # fmt: skip
    for _ in range(3):
        options = asked(world)
        assert options["publicKey"]["rpId"] == "tarmac.example" and len(options["publicKey"]["allowCredentials"]) == 1
        assert await check(world, key.answer(options, origin=ORIGIN), options) == ""
    again = Directory(world.store)
    await again.load()
    assert again.tfa[JOE].entries[0].counter == 3, "it is kept"
    await world.factors.update(JOE, id, description=None, enable=False, by=BY)
    assert world.factors.challenge(JOE, HOST) is None
    assert await check(world, key.answer(options, origin=ORIGIN), options) != ""


async def test_the_port_may_differ_and_the_name_not(world: Any) -> None:
    key = SecurityKey()
    await add(world, key)
    options = asked(world)
    assert await check(world, key.answer(options, origin="https://tarmac.example"), options) == ""
    assert asked(world, "192.0.2.1:8006") is None and asked(world, "other.example") is None
    assert world.factors.challenge(JOE, "192.0.2.1") == {"totp": False}, "another factor is asked for all the same"


async def test_an_answer_is_taken_once(world: Any) -> None:
    key = SecurityKey()
    await add(world, key)
    key.counter = -1  # a key that does not count: the challenge alone tells
    options = asked(world)
    answer = key.answer(options, origin=ORIGIN)
    assert await check(world, answer, options) == ""
    assert await check(world, answer, options) == "a security key's answer that was given before"
    assert "not good" in await check(world, answer, asked(world)), "nor for another challenge"


@pytest.mark.parametrize(
    "spoil, why",
    [
        (lambda key, o: key.answer(o, origin="https://evil.example"), "origin"),
        (lambda key, o: key.answer(o, origin="http://tarmac.example:8006"), "origin"),
        (lambda key, o: key.answer(o, origin="https://tarmac.example.evil.example"), "origin"),
        (lambda key, o: key.answer(o, origin=ORIGIN, name="evil.example"), "RP ID"),
        (lambda key, o: key.answer(o, origin=ORIGIN, kind="webauthn.create"), "type"),
        (lambda key, o: SecurityKey().answer(o, origin=ORIGIN), "Unknown credential"),
        (lambda key, o: key.answer({"publicKey": {**o["publicKey"], "challenge": "AAAA"}}, origin=ORIGIN), "challenge"),
        (lambda key, o: resigned(key.answer(o, origin=ORIGIN)), "signature"),
        (lambda key, o: untouched(key).answer(o, origin=ORIGIN), "User Present"),
        (lambda key, o: "{}", "not what a browser sends"),
        (lambda key, o: "[" * 5000, "not what a browser sends"),
        (lambda key, o: '{"id": "AA", "response": {}}', ""),
        (lambda key, o: '{"id": 7, "response": {"signature": []}}', ""),
        (lambda key, o: "x" * 20_000, "too long"),
    ],
)
async def test_bad_answers(world: Any, spoil: Callable[[SecurityKey, Any], str], why: str) -> None:
    key = SecurityKey()
    await add(world, key)
    options = asked(world)
    said = await check(world, spoil(key, options), options)
    assert said.startswith("a security key's answer that is not good") and why in said


@pytest.mark.parametrize(
    "attested",
    [b"\x81" * 8000, b"", b"\xa3", b"\xa1\x68authData\x42ab", b"\x9b" + b"\xff" * 8],
    ids=["deep", "empty", "cut off", "other keys", "endless"],
)
async def test_bytes_without_sense_are_refused_as_input(world: Any, attested: bytes) -> None:
    key = SecurityKey()
    options = json.loads(world.factors.begin_webauthn(JOE, HOST)["challenge"])
    told = json.loads(key.register(options, origin=ORIGIN))
    told["response"]["attestationObject"] = base64.urlsafe_b64encode(attested).decode().rstrip("=")
    with pytest.raises(InvalidInput) as failed:
        await world.factors.add_webauthn(
            JOE, options["publicKey"]["challenge"], json.dumps(told), description="", by=BY
        )
    assert "not good" in failed.value.parameters["value"]
    assert world.factors.list(JOE) == []


@pytest.mark.parametrize("extensions", [b"\x81" * 8000, b"\x1a\x00", b"\xa1"], ids=["deep", "cut off", "empty"])
async def test_bytes_without_sense_log_nobody_in(world: Any, extensions: bytes) -> None:
    key = SecurityKey()
    await add(world, key)
    options = asked(world)
    told = json.loads(key.answer(options, origin=ORIGIN))
    data = bytearray(base64.urlsafe_b64decode(told["response"]["authenticatorData"] + "=="))
    data[32] |= 0x80  # extension data follow
    told["response"]["authenticatorData"] = base64.urlsafe_b64encode(data + extensions).decode().rstrip("=")
    assert "not good" in await check(world, json.dumps(told), options)


def resigned(answer: str) -> str:
    told = json.loads(answer)
    told["response"]["signature"] = SecurityKey().id.hex()
    return json.dumps(told)


def untouched(key: SecurityKey) -> SecurityKey:
    key.flags = 0
    return key


async def test_a_copy_is_seen_by_its_counter(world: Any) -> None:
    key = SecurityKey()
    await add(world, key)
    for uses, why in ((5, ""), (4, "it may be a copy"), (5, "it may be a copy"), (6, "")):
        key.counter = uses - 1  # an answer is a use, too
        options = asked(world)
        said = await check(world, key.answer(options, origin=ORIGIN), options)
        assert (why in said) if why else said == ""


async def test_a_key_of_somebody_else(world: Any) -> None:
    joes, eves = SecurityKey(), SecurityKey()
    await add(world, joes)
    await add(world, eves, EVE)
    options = asked(world)
    assert "Unknown credential" in await check(world, eves.answer(options, origin=ORIGIN), options)
    assert await world.factors.check(JOE, "webauthn:{}", {"totp": True}) == "no security key was asked for"


async def test_registering_is_for_who_asked_now_and_here(world: Any) -> None:
    for more in ({"origin": "https://evil.example"}, {"name": "evil.example"}):
        with pytest.raises(InvalidInput) as refused:
            await add(world, SecurityKey(), **more)
        assert "value" in refused.value.parameters
    options = json.loads(world.factors.begin_webauthn(JOE, HOST)["challenge"])
    challenge, answer = options["publicKey"]["challenge"], SecurityKey().register(options, origin=ORIGIN)
    with pytest.raises(InvalidInput):
        await world.factors.add_webauthn(EVE, challenge, answer, description="", by=BY)
    world.now.time += REGISTER_SECONDS
    with pytest.raises(InvalidInput):
        await world.factors.add_webauthn(JOE, challenge, answer, description="", by=BY)
    assert world.directory.tfa == {}
    for bad in ("192.0.2.1:8006", "[2001:db8::1]:8006", "", "[", "bad name"):
        with pytest.raises(InvalidInput) as refused:
            world.factors.begin_webauthn(JOE, bad)
        assert refused.value.error_code == "webauthn-no-name"


async def test_a_challenge_is_answered_once_when_registering(world: Any) -> None:
    options = json.loads(world.factors.begin_webauthn(JOE, HOST)["challenge"])
    challenge, answer = options["publicKey"]["challenge"], SecurityKey().register(options, origin=ORIGIN)
    await world.factors.add_webauthn(JOE, challenge, answer, description="", by=BY)
    with pytest.raises(InvalidInput):
        await world.factors.add_webauthn(JOE, challenge, answer, description="", by=BY)
    known = json.loads(world.factors.begin_webauthn(JOE, HOST)["challenge"])["publicKey"]["excludeCredentials"]
    assert len(known) == 1, "the browser is told which keys are there"


async def test_a_domain_for_all_pages_below_it(world: Any) -> None:
    """With `id` set, a key is good on every page at or below the domain, and one from before on its own page."""
    before, key = SecurityKey(), SecurityKey()
    await add(world, before)
    world.option = WebAuthn(id="example", rp="Ours")
    options = asked(world)
    assert options["publicKey"]["rpId"] == "tarmac.example", "who has only an older key is asked for that"
    assert await check(world, before.answer(options, origin=ORIGIN), options) == ""
    begun = json.loads(world.factors.begin_webauthn(JOE, HOST)["challenge"])["publicKey"]
    assert begun["rp"] == {"id": "example", "name": "Ours"}
    await add(world, key)
    for host in ("example", "tarmac.example:8006", "other.example"):
        options = asked(world, host)
        assert options["publicKey"]["rpId"] == "example"
        assert await check(world, key.answer(options, origin=f"https://{host}"), options) == ""
    for origin in ("https://evil-example", "https://example.evil", "http://other.example"):
        options = asked(world)
        assert await check(world, key.answer(options, origin=origin), options) != ""
    assert asked(world, "elsewhere") is None and asked(world, "evil-example") is None


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        (WebAuthn(id="example", allow_subdomains=False), "https://example:8006", "https://tarmac.example"),
        (WebAuthn(id="example", origin=ORIGIN, allow_subdomains=False), ORIGIN, "https://tarmac.example"),
        (WebAuthn(id="example", origin=ORIGIN), "https://a.tarmac.example", "https://other.example"),
    ],
)
async def test_pages_that_are_left_out(world: Any, option: WebAuthn, good: str, bad: str) -> None:
    key = SecurityKey()
    world.option = WebAuthn(id="example")
    await add(world, key)
    world.option = option
    for origin, fine in ((good, True), (bad, False)):
        options = asked(world)
        assert (await check(world, key.answer(options, origin=origin), options) == "") is fine


@pytest.mark.parametrize(
    "option",
    [
        WebAuthn(id="192.0.2.1"),
        WebAuthn(id="Example"),
        WebAuthn(id="example:8006"),
        WebAuthn(origin="https://example"),
        WebAuthn(id="example", origin="http://example"),
        WebAuthn(id="example", origin="https://example/page"),
        WebAuthn(id="example", origin="https://evil-example"),
    ],
)
def test_options_that_make_no_sense(option: WebAuthn) -> None:
    assert set(check_datacenter(Datacenter(webauthn=option))) == {"webauthn"}
    assert check_datacenter(Datacenter(webauthn=WebAuthn(id="example", origin="https://a.example:8006"))) == {}


NAMES = {
    "localhost:8006": "localhost", "Pve1": "pve1", "pve-1.lan:8006": "pve-1.lan", "10.0.0.1": "", "1": "",
    "[::1]:8006": "", "a b": "", "x/..": "x", "[": "",
}  # fmt: skip


@pytest.mark.parametrize("host, name", NAMES.items())
def test_names(host: str, name: str) -> None:
    assert name_of(host) == name
