"""Realms: what each type takes, what is kept apart, and that nothing secret is ever shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import Conflict, InvalidInput, NotFound, Unavailable
from tarmac.model.realms import KEYS, RealmOptions, balanced
from tarmac.model.settings import settings_by_name
from tarmac.services.access.directory import Directory
from tarmac.services.access.realms import Realms

BY = "root@pam"
LDAP = {"server1": "ldap.example.org", "base_dn": "dc=example,dc=org", "user_attr": "uid"}
OPENID = {"issuer-url": "https://id.example.org", "client-id": "tarmac", "client-key": "the client's key"}


@pytest.fixture
async def world() -> AsyncIterator[Any]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    tried: list[str] = []

    async def probe(kind: str, options: RealmOptions) -> None:
        tried.append(kind)
        if options.server1 == "away":
            raise Unavailable("the LDAP server does not answer")

    yield SimpleNamespace(store=store, directory=directory, realms=Realms(directory, probe), tried=tried)
    await store.close()


async def test_pam_and_pve_always_are(world: Any) -> None:
    assert [row["realm"] for row in world.realms.list()] == ["pam", "pve"]
    assert world.realms.get("pve")["type"] == "pve"
    for name in ("pam", "pve"):
        with pytest.raises(InvalidInput, match="Parameter"):
            await world.realms.create(name, "ldap", LDAP, by=BY)
        with pytest.raises(InvalidInput):
            await world.realms.delete(name, by=BY)
    await world.realms.update("pve", {"comment": "ours", "default": "1", "tfa": "type=oath"}, by=BY)
    assert world.realms.list()[1] == {"realm": "pve", "type": "pve", "comment": "ours", "default": 1, "tfa": "oath"}
    await world.realms.update("pve", {}, delete=["tfa", "default"], by=BY)
    assert "tfa" not in world.realms.list()[1]


async def test_secrets_are_apart_and_never_shown(world: Any) -> None:
    await world.realms.create("sso", "openid", OPENID, by=BY)
    await world.realms.create("corp", "ldap", {**LDAP, "bind_dn": "cn=tarmac", "password": "a bind secret"}, by=BY)
    assert world.realms.options("corp").password == "a bind secret"
    await world.realms.update("corp", {"comment": "the firm"}, by=BY)
    assert world.realms.options("corp").password == "a bind secret", "changing something else keeps it"
    told = repr((world.realms.list(), world.realms.get("sso"), world.realms.get("corp")))
    told += repr(await world.directory.history(10))
    for entry in await world.store.range("access/realm/"):
        told += entry.value.decode()
    assert "client's key" not in told and "bind secret" not in told
    other = Directory(world.store)
    await other.load()
    assert Realms(other).options("sso").client_key == "the client's key"
    await world.realms.delete("corp", by=BY)
    assert [e.key for e in await world.store.range("access/realm-secret/")] == ["access/realm-secret/sso"]
    await world.realms.update("sso", {}, delete=["client-key"], by=BY)
    assert await world.store.range("access/realm-secret/") == []


async def test_one_realm_is_the_default(world: Any) -> None:
    await world.realms.create("one", "openid", {**OPENID, "default": "1"}, by=BY)
    await world.realms.create("two", "openid", {**OPENID, "default": "1"}, by=BY)
    assert [row["realm"] for row in world.realms.list() if row.get("default")] == ["two"]


@pytest.mark.parametrize(
    "kind, texts, key",
    [
        ("ldap", {"server1": "a.example"}, "base_dn"),
        ("openid", {"issuer-url": "https://x.example"}, "client-id"),
        ("openid", {**OPENID, "issuer-url": "file:///etc/passwd"}, "issuer-url"),
        ("openid", {**OPENID, "server1": "a.example"}, "server1"),
        ("ad", {"server1": "a.example"}, "domain"),
        ("ldap", {**LDAP, "client-id": "x"}, "client-id"),
        ("ldap", {**LDAP, "bind_dn": "cn=x"}, "password"),
        ("ldap", {**LDAP, "filter": "(a=1))(|(b=2)"}, "filter"),
        ("ldap", {**LDAP, "sync_attributes": "shoe=size"}, "sync_attributes"),
        ("ldap", {**LDAP, "sync_attributes": "email=-x"}, "sync_attributes"),
        ("ldap", {**LDAP, "user_attr": "uid)(x"}, "user_attr"),
        ("ldap", {**LDAP, "user_classes": "person, a)(b"}, "user_classes"),
        ("ldap", {**LDAP, "tfa": "type=yubico"}, "tfa"),
        ("ldap", {**LDAP, "cert": "/etc/x.pem"}, "certkey"),
        ("ldap", {**LDAP, "capath": "certs"}, "capath"),
        ("ldap", {**LDAP, "sync-defaults-options": "scope=everything"}, "sync-defaults-options"),
        ("pve", {}, "type"),
    ],
)
async def test_what_is_refused_changes_nothing(world: Any, kind: str, texts: dict[str, str], key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await world.realms.create("new", kind, texts, by=BY)
    assert key in refused.value.parameters
    assert "new" not in world.realms


async def test_refusals_have_proxmoxs_words(world: Any) -> None:
    await world.realms.create("corp", "ldap", LDAP, by=BY)
    with pytest.raises(Conflict, match="domain 'corp' already exists"):
        await world.realms.create("corp", "ldap", LDAP, by=BY)
    with pytest.raises(NotFound, match="domain 'nosuch' does not exist"):
        await world.realms.update("nosuch", {}, by=BY)
    digest = world.realms.digest
    await world.realms.update("corp", {"comment": "x"}, by=BY, digest=digest)
    with pytest.raises(Conflict, match="detected modified configuration"):
        await world.realms.update("corp", {"comment": "y"}, by=BY, digest=digest)
    with pytest.raises(InvalidInput):
        await world.realms.update("corp", {}, delete=["nonsense"], by=BY)
    with pytest.raises(InvalidInput):
        await world.realms.update("corp", {}, delete=["base_dn"], by=BY)
    await world.realms.create("sso", "openid", {**OPENID, "username-claim": "email"}, by=BY)
    with pytest.raises(InvalidInput) as refused:
        await world.realms.update("sso", {"username-claim": "upn"}, by=BY)
    assert "can't change value of fixed parameter" in refused.value.parameters["username-claim"]


async def test_a_connection_is_tried_before_anything_is_kept(world: Any) -> None:
    with pytest.raises(Unavailable):
        await world.realms.create("corp", "ldap", {**LDAP, "server1": "away", "check-connection": "1"}, by=BY)
    assert "corp" not in world.realms and world.tried == ["ldap"]
    await world.realms.create("corp", "ldap", {**LDAP, "check-connection": "1"}, by=BY)
    assert "check-connection" not in world.realms.get("corp"), "it is a wish of the call, not a property of the realm"


def test_every_option_belongs_to_a_type() -> None:
    assert set().union(*KEYS.values()) == set(settings_by_name(RealmOptions))


@pytest.mark.parametrize("text, fits", [("a=1", True), ("(a=1)", True), ("(&(a=1)(b=2))", True), ("a=1)(b=2", False),
                                        ("(a=1)(b=2)", False), ("((a=1)", False), (")(", False)])  # fmt: skip
def test_filters_cannot_reach_out(text: str, fits: bool) -> None:
    assert balanced(text) is fits
