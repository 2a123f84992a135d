"""Logging in by OpenID Connect: what a provider may not get away with. A real provider: tests/system/test_openid.py."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from support.hostile_issuer import hostile_issuer
from tarmac.drivers.auth import openid as driver
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.passwords import Hasher
from tarmac.lib.signing import Signer
from tarmac.model.errors import HostFailure, InvalidInput, TarmacError, Unauthenticated, Unavailable
from tarmac.services.access.access import Access
from tarmac.services.access.directory import Directory
from tarmac.services.access.login import Login
from tarmac.services.access.login_limits import PER_PAIR, LoginLimits
from tarmac.services.access.openid import STATE_SECONDS, OpenIdLogins
from tarmac.services.access.realms import Realms
from tarmac.services.access.tfa import SecondFactors
from tarmac.services.access.tickets import Tickets
from tarmac.services.access.users import Users

HERE = "https://tarmac.example:8006/"
BY = "root@pam"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Any]:
    store, now = MemoryStore(), SimpleNamespace(ahead=0.0, steady=0.0)
    directory = Directory(store)
    await directory.load()
    access = Access(directory)
    tickets = Tickets(directory, await Signer.open(tmp_path))
    realms, limits = Realms(directory), LoginLimits(lambda: now.steady)
    login = Login(
        directory=directory, access=access, tickets=tickets, hasher=Hasher(), pam=None, data_dir=tmp_path,  # type: ignore[arg-type]
        factors=SecondFactors(directory, access), limits=limits,
    )  # fmt: skip
    openid = OpenIdLogins(
        directory=directory, realms=realms, login=login, limits=limits, clock=lambda: time.time() + now.ahead
    )
    async with hostile_issuer() as issuer:
        texts = {"issuer-url": issuer.issuer, "client-id": "tarmac", "client-key": "k", "username-claim": "username"}
        await realms.create("sso", "openid", {**texts, "autocreate": "1"}, by=BY)
        yield SimpleNamespace(
            directory=directory, realms=realms, openid=openid, issuer=issuer, tickets=tickets, now=now,
            users=Users(directory, access, Hasher()),
        )  # fmt: skip
    await store.close()


async def begin(world: Any) -> str:
    """The state of a login that has begun; the issuer knows its nonce."""
    query = parse_qs(urlsplit(await world.openid.auth_url("sso", HERE)).query)
    world.issuer.nonce = query["nonce"][0]
    return query["state"][0]


async def end(world: Any, state: str, code: str = "good", redirect: str = HERE) -> Any:
    return await world.openid.login(state, code, redirect, source="192.0.2.1")


async def refused(world: Any, *, code: str = "good") -> TarmacError:
    with pytest.raises(TarmacError) as problem:
        await end(world, await begin(world), code)
    assert "ann@sso" not in world.directory.users
    return problem.value


async def test_a_login(world: Any) -> None:
    address = urlsplit(await world.openid.auth_url("sso", HERE))
    query = parse_qs(address.query)
    assert query["response_type"] == ["code"] and query["scope"] == ["openid email profile"]
    assert query["code_challenge_method"] == ["S256"] and query["redirect_uri"] == [HERE]
    assert len(query["state"][0]) <= 1024
    reply = await end(world, await begin(world))
    assert reply["username"] == "ann@sso" and (await world.tickets.verify(reply["ticket"])).user == "ann@sso"
    form = world.issuer.forms[-1]
    assert len(form["code_verifier"]) >= 43 and form["redirect_uri"] == HERE
    assert base64.b64decode(form["authorization"].removeprefix("Basic ")) == b"tarmac:k"
    assert "client_secret" not in form


async def test_scopes_prompt_and_acr(world: Any) -> None:
    await world.realms.update("sso", {"scopes": "groups", "prompt": "login", "acr-values": "mfa"}, by=BY)
    query = parse_qs(urlsplit(await world.openid.auth_url("sso", HERE)).query)
    assert (query["scope"], query["prompt"], query["acr_values"]) == (["openid groups"], ["login"], ["mfa"])


async def test_a_state_is_good_once_here_and_for_ten_minutes(world: Any) -> None:
    state = await begin(world)
    await end(world, state)
    for bad in (state, "nonsense", state[:-4] + "AAAA", ""):
        with pytest.raises(Unauthenticated) as problem:
            await end(world, bad)
        assert problem.value.error_code == "openid-bad-state"
    old = await begin(world)
    world.now.ahead = STATE_SECONDS + 1
    with pytest.raises(Unauthenticated) as problem:
        await end(world, old)
    assert problem.value.error_code == "openid-bad-state" and len(world.issuer.forms) == 1


async def test_a_login_ends_where_it_began(world: Any) -> None:
    with pytest.raises(Unauthenticated) as problem:
        await end(world, await begin(world), redirect="https://evil.example/")
    assert problem.value.error_code == "openid-redirect" and world.issuer.forms == []


async def test_a_code_that_the_provider_refuses(world: Any) -> None:
    problem = await refused(world, code="replayed")
    assert problem.error_code == "openid-refused" and "invalid_grant" in problem.evidence


@dataclass
class Ago:
    """A time as of the test's own beginning, not of the run's."""

    seconds: int

    def __int__(self) -> int:
        return int(time.time()) - self.seconds


@pytest.mark.parametrize(
    "claims, words",
    [
        ({"aud": "another"}, "aud"),
        ({"aud": ["tarmac", "another"]}, "azp"),
        ({"aud": None}, "aud"),
        ({"iss": "https://another.example"}, "iss"),
        ({"exp": Ago(120)}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": Ago(-600)}, "in the future"),
        ({"nbf": Ago(-600)}, "not yet valid"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
    ],
)
async def test_a_token_of_others_or_of_another_time(world: Any, claims: dict[str, Any], words: str) -> None:
    world.issuer.claims = {name: int(value) if isinstance(value, Ago) else value for name, value in claims.items()}
    problem = await refused(world)
    assert problem.error_code == "openid-bad-token" and isinstance(problem, Unauthenticated)
    assert words in problem.evidence


async def test_clocks_may_differ_a_little(world: Any) -> None:
    world.issuer.claims = {"exp": int(time.time()) - 30, "iat": int(time.time()) + 30}
    assert (await end(world, await begin(world)))["username"] == "ann@sso"


async def test_signatures_are_checked(world: Any) -> None:
    world.issuer.signed_by = RSAKey.generate_key(2048, {"kid": "one"})
    assert (await refused(world)).error_code == "openid-bad-token"
    world.issuer.reset()
    world.issuer.header = {"alg": "none"}
    assert (await refused(world)).error_code == "openid-bad-token"
    # The secret that both sides know, and the public key taken for a secret, sign nothing.
    for secret in ("k" * 32, world.issuer.key.as_pem(private=False).decode()):
        world.issuer.header, world.issuer.secret = {"alg": "HS256", "kid": "one"}, secret
        assert (await refused(world)).error_code == "openid-bad-token"


async def test_new_keys_are_looked_up(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await end(world, await begin(world))
    world.issuer.key = world.issuer.signed_by = RSAKey.generate_key(2048, {"kid": "two"})
    world.issuer.header = {"alg": "RS256", "kid": "two"}
    with pytest.raises(Unauthenticated):  # not for each bad token that comes
        await end(world, await begin(world))
    assert world.issuer.asked.count("keys") == 1
    monkeypatch.setattr(driver, "AGAIN_SECONDS", 0.0)
    await end(world, await begin(world))
    assert world.issuer.asked.count("keys") == 2


@pytest.mark.parametrize(
    "configuration, why",
    [
        ({"issuer": "https://evil.example"}, "calls itself"),
        ({"token_endpoint": None}, "lacks token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "not protected"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not protected"),
    ],
)
async def test_a_configuration_that_cannot_be(world: Any, configuration: dict[str, Any], why: str) -> None:
    world.issuer.configuration = configuration
    with pytest.raises(HostFailure) as problem:
        await world.openid.auth_url("sso", HERE)
    assert problem.value.error_code == "openid-broken" and why in problem.value.cause


@pytest.mark.parametrize("place", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_a_protected_provider_names_no_unprotected_address(place: str) -> None:
    issuer = "https://id.example"
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    told = {"issuer": issuer, **{name: f"{issuer}/{name}" for name in names}}
    assert driver.Provider(issuer)._read(told, issuer).userinfo
    with pytest.raises(HostFailure) as problem:
        driver.Provider(issuer)._read({**told, place: "http://id.example/x"}, issuer)
    assert problem.value.error_code == "openid-broken" and "not protected" in problem.value.cause


@pytest.mark.parametrize("body", [b"{}", b"[" * 100_000, b"no json", b'{"a": "' + b"x" * driver.MOST_BYTES + b'"}'])
@pytest.mark.parametrize("place", ["openid-configuration", "keys", "token", "userinfo"])
async def test_answers_that_cannot_be_read(world: Any, place: str, body: bytes) -> None:
    world.issuer.body[place] = body
    with pytest.raises(TarmacError) as problem:
        await end(world, await begin(world))
    assert problem.value.error_code in ("openid-broken", "openid-no-token", "openid-other-user")


@pytest.mark.parametrize("place", ["openid-configuration", "keys", "token", "userinfo"])
async def test_a_provider_that_hangs_is_given_up(world: Any, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setattr(driver, "SECONDS", 0.2)
    world.issuer.hanging.add(place)
    with pytest.raises(Unavailable) as problem:
        await end(world, await begin(world))
    assert problem.value.error_code == "openid-unreachable" and "0.2 s" in problem.value.cause


async def test_of_many_who_ask_a_provider_that_hangs_one_waits(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "SECONDS", 0.2)
    world.issuer.hanging.add("openid-configuration")

    async def ask() -> None:
        with pytest.raises(Unavailable):
            await world.openid.auth_url("sso", HERE)

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(ask())
    assert world.issuer.asked == ["openid-configuration"]
    world.issuer.hanging.clear()
    monkeypatch.setattr(driver, "FAILED_SECONDS", 0.0)
    assert await world.openid.auth_url("sso", HERE)


async def test_a_provider_that_is_not_there(world: Any) -> None:
    await world.realms.update("sso", {"issuer-url": "http://127.0.0.1:9"}, by=BY)
    with pytest.raises(Unavailable):
        await world.openid.auth_url("sso", HERE)
    with pytest.raises(InvalidInput):
        await world.openid.auth_url("pve", HERE)
    with pytest.raises(InvalidInput):
        await world.openid.auth_url("sso", "javascript:alert(1)")


async def test_userinfo_of_another_user(world: Any) -> None:
    world.issuer.userinfo = {"sub": "8", "preferred_username": "root"}
    assert (await refused(world)).error_code == "openid-other-user"
    # What is signed counts more than what is not.
    world.issuer.userinfo = {"preferred_username": "root"}
    assert (await end(world, await begin(world)))["username"] == "ann@sso"


@pytest.mark.parametrize("name", ["a b", "a/b", "x" * 80, "", 7, None, "\u202e"])
async def test_names_that_cannot_be(world: Any, name: Any) -> None:
    world.issuer.claims = {"preferred_username": name}
    problem = await refused(world)
    assert problem.error_code in ("openid-bad-name", "openid-no-name")


async def test_an_address_that_was_not_verified_is_no_name(world: Any) -> None:
    issuer = {"issuer-url": world.issuer.issuer, "client-id": "tarmac", "username-claim": "email", "autocreate": "1"}
    await world.realms.delete("sso", by=BY)
    await world.realms.create("sso", "openid", issuer, by=BY)
    world.issuer.claims = {"email": "boss@example.org", "email_verified": False}
    assert (await refused(world)).error_code == "openid-unverified"
    world.issuer.claims["email_verified"] = True
    assert (await end(world, await begin(world)))["username"] == "boss@example.org@sso"


async def test_users_are_made_only_where_that_is_wished(world: Any) -> None:
    await world.realms.update("sso", {"autocreate": "0"}, by=BY)
    problem = await refused(world)
    assert problem.error_code == "openid-unknown-user" and "ann@sso" in problem.evidence
    await world.users.create("ann@sso", by=BY, enable=False)
    with pytest.raises(Unauthenticated):
        await end(world, await begin(world))
    await world.users.update("ann@sso", by=BY, enable=True)
    assert (await end(world, await begin(world)))["username"] == "ann@sso"


async def test_groups_follow_the_claim(world: Any) -> None:
    def mine() -> list[str]:
        return list(world.directory.groups_of("ann@sso"))

    await world.realms.update("sso", {"groups-claim": "groups"}, by=BY)
    world.issuer.userinfo = {"groups": ["staff", "no name", "ops"]}
    await end(world, await begin(world))
    assert mine() == [] and world.directory.groups == {}, "there are none, and none are made"
    await world.realms.update("sso", {"groups-autocreate": "1"}, by=BY)
    await end(world, await begin(world))
    assert mine() == ["ops-sso", "staff-sso"]
    world.issuer.userinfo = {"groups": "staff"}
    await end(world, await begin(world))
    assert mine() == ["ops-sso", "staff-sso"]
    await world.realms.update("sso", {"groups-overwrite": "1"}, by=BY)
    await end(world, await begin(world))
    assert mine() == ["staff-sso"]


async def test_failures_from_one_place_are_limited(world: Any) -> None:
    for _ in range(PER_PAIR):
        with pytest.raises(Unauthenticated):
            await end(world, "nonsense")
    with pytest.raises(Unauthenticated) as problem:
        await end(world, await begin(world))
    assert problem.value.error_code == "too-many-failures" and world.issuer.forms == []
    reply = await world.openid.login(await begin(world), "good", HERE, source="192.0.2.2")
    assert json.dumps(reply["username"]) == '"ann@sso"'
