"""Users, groups, roles, grants and tokens: what is answered, what is kept, and in which words it is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.drivers.store.sqlite import SqliteStore
from tarmac.lib.passwords import Hasher
from tarmac.model.errors import Conflict, DataCorrupt, Denied, InvalidInput, NotFound, TarmacError, Unauthenticated
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.acls import Acls
from tarmac.services.access.directory import Directory
from tarmac.services.access.groups import Groups
from tarmac.services.access.roles import Roles
from tarmac.services.access.tokens import Tokens
from tarmac.services.access.users import Users

ROOT = Identity("root@pam")
BY = "root@pam"


async def build(store: Any) -> Any:
    directory = Directory(store)
    await directory.load()
    access, now = Access(directory), SimpleNamespace(time=1_800_000_000.0)
    return SimpleNamespace(
        store=store,
        directory=directory,
        access=access,
        users=Users(directory, access, Hasher()),
        groups=Groups(directory, access),
        roles=Roles(directory),
        acls=Acls(directory, access),
        tokens=Tokens(directory, lambda: now.time),
        now=now,
    )


@pytest.fixture
async def world() -> AsyncIterator[Any]:
    made = await build(MemoryStore())
    yield made
    await made.store.close()


def five(error: TarmacError) -> None:
    assert error.error_code and error.message and error.fixes, error.as_record()


async def test_root_is_there_from_the_start_and_stays(world: Any) -> None:
    assert [row["userid"] for row in world.users.list(ROOT)] == ["root@pam"]
    assert world.users.get("root@pam") == {"enable": 1, "expire": 0, "groups": [], "tokens": {}}
    with pytest.raises(Denied) as caught:
        await world.users.delete("root@pam", by=BY)
    five(caught.value)


async def test_the_life_of_a_user(world: Any) -> None:
    await world.groups.create("staff", by=BY, comment="who works here")
    await world.groups.create("dev", by=BY)
    await world.users.create("joe@pve", by=BY, groups=["staff"], email="joe@x.org", comment="Joe", expire=None)
    assert world.users.get("joe@pve") == {
        "enable": 1, "expire": 0, "email": "joe@x.org", "comment": "Joe", "groups": ["staff"], "tokens": {},
    }  # fmt: skip
    await world.users.update("joe@pve", by=BY, groups=["dev"], append=True, enable=False, expire=5)
    assert world.directory.groups_of("joe@pve") == ["dev", "staff"]
    await world.users.update("joe@pve", by=BY, groups=["dev"], comment="")
    row = world.users.list(ROOT, full=True)[0]
    assert row == {
        "userid": "joe@pve", "enable": 0, "expire": 5, "email": "joe@x.org", "realm-type": "pve", "groups": "dev",
        "tokens": [],
    }  # fmt: skip
    assert [r["userid"] for r in world.users.list(ROOT, enabled=True)] == ["root@pam"]
    assert world.groups.list(ROOT) == [
        {"groupid": "dev", "users": "joe@pve"},
        {"groupid": "staff", "users": "", "comment": "who works here"},
    ]
    assert world.groups.get("dev") == {"members": ["joe@pve"]}
    await world.users.delete("joe@pve", by=BY)
    assert world.groups.get("dev") == {"members": []}
    with pytest.raises(NotFound):
        world.users.get("joe@pve")


async def test_refusals_of_users_are_in_proxmox_words(world: Any) -> None:
    await world.users.create("joe@pve", by=BY)
    for call, kind, text in (
        (world.users.create("joe@pve", by=BY), Conflict, "create user failed: user 'joe@pve' already exists"),
        (world.users.create("a@pve", by=BY, groups=["g"]), InvalidInput, "create user failed: no such group 'g'"),
        (world.users.update("x@pve", by=BY), NotFound, "update user failed: no such user ('x@pve')"),
        (world.users.delete("x@pve", by=BY), NotFound, "delete user failed: no such user ('x@pve')"),
        (world.groups.update("g", by=BY), NotFound, "update group failed: group 'g' does not exist"),
        (world.groups.delete("g", by=BY), NotFound, "delete group failed: group 'g' does not exist"),
        (world.roles.delete("r", by=BY), NotFound, "delete role failed: role 'r' does not exist"),
        (world.roles.update("PVEAdmin", [], by=BY), Denied, "auto-generated role 'PVEAdmin' cannot be modified"),
        (world.roles.delete("NoAccess", by=BY), Denied, "auto-generated role 'NoAccess' cannot be deleted"),
    ):
        with pytest.raises(kind, match=f"^{re.escape(text)}$") as caught:
            await call
        if kind is not InvalidInput:
            five(caught.value)
    for userid, why in (
        ("joe", "does not look like a valid user name"),
        ("a b@pve", "does not look like a valid user name"),
        ("a/b@pve", "does not look like a valid user name"),
        ("joe@ldap", "auth domain 'ldap' does not exist"),
        ("x" * 61 + "@pve", "is too long (65 > 64)"),
    ):
        with pytest.raises(InvalidInput) as bad:
            await world.users.create(userid, by=BY)
        assert why in bad.value.parameters["userid"]
    with pytest.raises(InvalidInput):
        await world.users.create("root2@pam", by=BY, password="secret-secret")
    with pytest.raises(NotFound, match=r"^no such user \('x@pve'\)$"):
        world.users.get("x@pve")
    with pytest.raises(NotFound, match=r"^group 'g' does not exist$"):
        world.groups.get("g")


async def test_who_sees_which_users(world: Any) -> None:
    await world.groups.create("a", by=BY)
    await world.groups.create("b", by=BY)
    for name, groups in (("boss@pve", []), ("one@pve", ["a"]), ("two@pve", ["b"])):
        await world.users.create(name, by=BY, groups=groups)
    boss = Identity("boss@pve")
    assert [r["userid"] for r in world.users.list(boss)] == ["boss@pve"]
    await world.acls.update(ROOT, "/access/groups/a", roles=["PVEUserAdmin"], users=["boss@pve"])
    assert [r["userid"] for r in world.users.list(boss)] == ["boss@pve", "one@pve"]
    assert [r["groupid"] for r in world.groups.list(boss)] == ["a"]
    world.users.check_rights(boss, "one@pve", ["User.Modify"])
    with pytest.raises(Denied, match=r"\(/access/groups, User.Modify\)"):
        world.users.check_rights(boss, "two@pve", ["User.Modify"])
    with pytest.raises(Denied, match=r"\(/access/groups/b, User.Modify\)"):
        world.users.check_rights(boss, "one@pve", ["User.Modify"], groups=["b"])
    with pytest.raises(Denied):
        world.users.check_rights(boss, "new@pve", ["User.Modify"], groups=[], new=True)
    world.users.check_rights(boss, "new@pve", ["User.Modify"], groups=["a"], new=True)
    with pytest.raises(NotFound):
        world.users.check_rights(ROOT, "gone@pve", ["User.Modify"])
    with pytest.raises(Denied, match=r"\(/access/realm/pve, Realm.AllocateUser\)"):
        world.users.check_realm(boss, "new@pve")
    world.users.check_realm(ROOT, "new@pve")
    assert world.users.is_self(boss, "boss@pve") and not world.users.is_self(Identity("boss@pve", "t"), "boss@pve")


async def test_roles(world: Any) -> None:
    await world.roles.create("mine", ["VM.Audit", "VM.Clone", "VM.Audit"], by=BY)
    assert world.roles.get("mine") == {"VM.Audit": 1, "VM.Clone": 1}
    await world.roles.update("mine", ["VM.Console"], append=True, by=BY)
    assert list(world.roles.get("mine")) == ["VM.Audit", "VM.Clone", "VM.Console"]
    await world.roles.update("mine", ["VM.Audit"], by=BY)
    assert {"roleid": "mine", "privs": "VM.Audit", "special": 0} in world.roles.list()
    assert {"roleid": "NoAccess", "privs": "", "special": 1} in world.roles.list()
    for name, privs in (("PVEown", []), ("a b", []), ("x", ["VM.Nothing"])):
        with pytest.raises(InvalidInput):
            await world.roles.create(name, privs, by=BY)
    with pytest.raises(Conflict, match="^create role failed: role 'mine' already exists$"):
        await world.roles.create("mine", by=BY)
    await world.users.create("joe@pve", by=BY)
    await world.acls.update(ROOT, "/vms", roles=["mine"], users=["joe@pve"])
    await world.roles.delete("mine", by=BY)
    assert world.acls.list(ROOT) == []
    await world.roles.create("mine", ["VM.Allocate"], by=BY)
    assert not world.access.permissions(Identity("joe@pve"), "/vms")


async def test_grants(world: Any) -> None:
    await world.users.create("joe@pve", by=BY)
    await world.groups.create("g", by=BY)
    await world.tokens.create("joe@pve", "tk", by=BY)
    await world.acls.update(
        ROOT, "vms/100/", roles=["PVEVMUser", "PVEAuditor"], users=["joe@pve"], groups=["g"], tokens=["joe@pve!tk"]
    )
    assert {"path": "/vms/100", "type": "group", "ugid": "g", "roleid": "PVEVMUser", "propagate": 1} in (
        world.acls.list(ROOT)
    )
    assert len(world.acls.list(ROOT)) == 6
    await world.acls.update(ROOT, "/vms/100", roles=["PVEVMUser"], users=["joe@pve"], propagate=False)
    assert {"path": "/vms/100", "type": "user", "ugid": "joe@pve", "roleid": "PVEVMUser", "propagate": 0} in (
        world.acls.list(ROOT)
    )
    assert len(world.acls.list(ROOT)) == 6
    await world.acls.update(ROOT, "/vms/100", roles=["PVEAuditor"], tokens=["joe@pve!tk"], delete=True)
    assert [(r["type"], r["roleid"]) for r in world.acls.list(ROOT)] == [
        ("group", "PVEAuditor"), ("group", "PVEVMUser"), ("token", "PVEVMUser"), ("user", "PVEAuditor"),
        ("user", "PVEVMUser"),
    ]  # fmt: skip
    await world.tokens.delete("joe@pve", "tk", by=BY)
    assert {r["type"] for r in world.acls.list(ROOT)} == {"user", "group"}
    await world.acls.forget("/vms/100", by=BY)
    assert world.acls.list(ROOT) == []
    assert [e.key for e in await world.store.range("access/grants/")] == []


async def test_refusals_of_grants(world: Any) -> None:
    await world.users.create("joe@pve", by=BY)
    update, joe = world.acls.update, ["joe@pve"]
    for call, parameter, text in (
        (update(ROOT, "/nowhere", roles=["PVEAdmin"], users=joe), "path", "invalid ACL path '/nowhere'"),
        (update(ROOT, "/a b", roles=["PVEAdmin"], users=joe, delete=True), "path", "invalid ACL path '/a b'"),
        (update(ROOT, "/", roles=["none"], users=joe), "roles", "role 'none' does not exist"),
        (update(ROOT, "/", roles=["PVEAdmin"], users=["x@pve"]), "users", "user 'x@pve' does not exist"),
        (update(ROOT, "/", roles=["PVEAdmin"], groups=["g"]), "groups", "group 'g' does not exist"),
        (
            update(ROOT, "/", roles=["PVEAdmin"], tokens=["joe@pve!xx"]),
            "tokens",
            "no such token 'xx' for user 'joe@pve'",
        ),
        (update(ROOT, "/", roles=["PVEAdmin"]), "users", "either 'users', 'groups' or 'tokens' is required."),
    ):
        with pytest.raises(InvalidInput) as caught:
            await call
        assert caught.value.parameters[parameter] == text
    assert world.acls.list(ROOT) == []


async def test_one_can_hand_on_only_what_one_has(world: Any) -> None:
    for name in ("owner@pve", "joe@pve"):
        await world.users.create(name, by=BY)
    owner = Identity("owner@pve")
    await world.acls.update(ROOT, "/vms/100", roles=["PVEVMAdmin"], users=["owner@pve"])
    await world.acls.update(owner, "/vms/100", roles=["PVEVMUser"], users=["joe@pve"])
    assert world.access.allowed(Identity("joe@pve"), "/vms/100", ["VM.PowerMgmt"])
    assert len(world.acls.list(owner)) == 2
    for path, roles in (("/vms/100", ["Administrator"]), ("/vms/100", ["NoAccess"]), ("/vms", ["PVEVMUser"])):
        with pytest.raises(Denied):
            await world.acls.update(owner, path, roles=roles, users=["joe@pve"])
    await world.acls.update(ROOT, "/vms/101", roles=["PVEVMAdmin"], users=["owner@pve"], propagate=False)
    with pytest.raises(Denied, match="with propagation"):
        await world.acls.update(owner, "/vms/101", roles=["PVEVMUser"], users=["joe@pve"])
    await world.acls.update(owner, "/vms/101", roles=["PVEVMUser"], users=["joe@pve"], propagate=False)
    with pytest.raises(Denied, match=r"Permission check failed \(/vms, Permissions.Modify\)"):
        world.acls.check_modify(owner, "/vms")


async def test_a_token_is_shown_once_and_opens_until_it_ends(world: Any) -> None:
    await world.users.create("joe@pve", by=BY)
    made = await world.tokens.create("joe@pve", "ci", by=BY, comment="build", expire=0)
    assert made["full-tokenid"] == "joe@pve!ci" and made["info"] == {"privsep": 1, "expire": 0, "comment": "build"}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["value"])
    text = f"joe@pve!ci={made['value']}"
    assert await world.tokens.verify(text) == Identity("joe@pve", "ci")
    stored = b"".join([entry.value for entry in await world.store.range("")])
    assert made["value"].encode() not in stored
    assert world.tokens.list("joe@pve") == [{"tokenid": "ci", "privsep": 1, "expire": 0, "comment": "build"}]
    assert world.users.get("joe@pve")["tokens"] == {"ci": {"privsep": 1, "expire": 0, "comment": "build"}}
    renewed = await world.tokens.update("joe@pve", "ci", by=BY, privsep=False, delete=["comment"], regenerate=True)
    assert renewed["privsep"] == 0 and "comment" not in renewed
    with pytest.raises(Unauthenticated):
        await world.tokens.verify(text)
    text = f"joe@pve!ci={renewed['value']}"
    await world.tokens.verify(text)
    await world.tokens.update("joe@pve", "ci", by=BY, expire=int(world.now.time) + 10)
    await world.tokens.verify(text)
    world.now.time += 11
    with pytest.raises(Unauthenticated):
        await world.tokens.verify(text)
    await world.tokens.update("joe@pve", "ci", by=BY, expire=0)
    await world.users.update("joe@pve", by=BY, enable=False)
    with pytest.raises(Unauthenticated):
        await world.tokens.verify(text)
    await world.users.update("joe@pve", by=BY, enable=True)
    await world.tokens.delete("joe@pve", "ci", by=BY)
    with pytest.raises(Unauthenticated):
        await world.tokens.verify(text)


async def test_refusals_of_tokens(world: Any) -> None:
    with pytest.raises(NotFound, match=r"^no such user \('x@pve'\)$"):
        await world.tokens.create("x@pve", "tok", by=BY)
    await world.users.create("joe@pve", by=BY)
    await world.tokens.create("joe@pve", "tok", by=BY)
    with pytest.raises(InvalidInput) as caught:
        await world.tokens.create("joe@pve", "tok", by=BY)
    assert caught.value.parameters == {"tokenid": "Token already exists."}
    for name in ("", "1x", "a b", "a!b", "a=b"):
        with pytest.raises(InvalidInput):
            await world.tokens.create("joe@pve", name, by=BY)
    for call in (world.tokens.update("joe@pve", "no", by=BY), world.tokens.delete("joe@pve", "no", by=BY)):
        with pytest.raises(NotFound, match=r"^no such token 'no' for user 'joe@pve'$"):
            await call
    with pytest.raises(InvalidInput):
        await world.tokens.update("joe@pve", "tok", by=BY, delete=["privsep"])
    for text in (
        "",
        "=",
        "joe@pve!tok",
        "joe@pve!tok=",
        "joe@pve!tok=x",
        "joe@pve=x",
        "x@pve!tok=x",
        "a" * 9999,
        "\ud800",
    ):
        with pytest.raises(Unauthenticated, match="^Authentication failed!$") as refused:
            await world.tokens.verify(text)
        five(refused.value)


async def test_everything_survives_a_restart_with_its_history(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tarmac.db")
    world = await build(store)
    await world.groups.create("g", by="root@pam")
    await world.users.create("joe@pve", by="root@pam", groups=["g"], password="hunter22")
    made = await world.tokens.create("joe@pve", "tok", by="joe@pve")
    await world.roles.create("mine", ["VM.Audit"], by="root@pam")
    await world.acls.update(ROOT, "/vms", roles=["mine"], groups=["g"], tokens=["joe@pve!tok"])
    await world.users.update("joe@pve", by="root@pam!t", comment="x")
    await store.close()
    store = await SqliteStore.open(tmp_path / "tarmac.db")
    again = await build(store)
    for name in ("users", "groups", "roles", "grants", "passwords", "pools"):
        assert getattr(again.directory, name) == getattr(world.directory, name)
    identity = await again.tokens.verify(f"joe@pve!tok={made['value']}")
    again.access.check(identity, "/vms/7", ["VM.Audit"])
    history = await again.users.history()
    assert [(h["who"], h["what"]) for h in history][:2] == [
        ("root@pam!t", "update user joe@pve"), ("root@pam", "grant mine on /vms: g,joe@pve!tok"),
    ]  # fmt: skip
    assert history[0]["before"]["user/joe@pve"]["comment"] == "" and history[0]["when"] > 1_700_000_000
    text = str(history)
    assert world.directory.users["joe@pve"].tokens["tok"].secret not in text
    assert world.directory.passwords["joe@pve"].hash not in text
    assert len(history) == 6
    # Another node's change makes ours a conflict instead of being overwritten.
    await store.put("access/group/g", b'{"groupid":"g","members":[]}')
    with pytest.raises(Conflict):
        await again.groups.update("g", by=BY, comment="new")
    assert again.groups.get("g") == {"members": ["joe@pve"]}
    await store.put("access/user/bad@pve", b"{}")
    with pytest.raises(DataCorrupt, match="access/user/bad@pve"):
        await build(store)
    await store.close()


async def test_removing_a_user_takes_everything_of_it(world: Any) -> None:
    for n in range(130):  # more than fits into one transaction
        await world.groups.create(f"g{n}", by=BY)
    await world.users.create("joe@pve", by=BY, groups=[f"g{n}" for n in range(100)], password="hunter22")
    await world.users.update("joe@pve", by=BY, groups=[f"g{n}" for n in range(100, 130)], append=True)
    await world.acls.update(ROOT, "/", roles=["PVEAdmin"], users=["joe@pve"])
    await world.users.delete("joe@pve", by=BY)
    left = [e.key for e in await world.store.range("access/") if b"joe" in e.value or "joe" in e.key]
    assert left == []
    await world.users.create("joe@pve", by=BY)
    assert not world.access.permissions(Identity("joe@pve"), "/")


async def test_who_listens_hears_of_each_change(world: Any) -> None:
    heard = []
    world.directory.on_change(lambda: heard.append(world.directory.version))
    await world.groups.create("g", by=BY)
    await world.groups.update("g", by=BY, comment="")
    assert len(heard) == 1


async def test_ten_thousand_guests_are_filtered_in_a_moment(world: Any) -> None:
    """A generous bound on a slow machine; the figure itself is a benchmark's matter."""
    import time

    await world.users.create("joe@pve", by=BY)
    for vmid in range(100, 200):
        await world.acls.update(ROOT, f"/vms/{vmid}", roles=["PVEVMUser"], users=["joe@pve"])
    identity = Identity("joe@pve")
    begun = time.process_time()
    may = world.access.filter(identity, "/vms/{}", ["VM.Audit"])
    assert sum(may(vmid) for vmid in range(100, 10_100)) == 100
    assert time.process_time() - begun < 0.25
