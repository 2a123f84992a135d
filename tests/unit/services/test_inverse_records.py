"""What undoes a change of definitions: applied to the same services, it brings back what was."""

from __future__ import annotations

from typing import Any

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.acls import Acls
from tarmac.services.access.directory import Directory
from tarmac.services.access.groups import Groups
from tarmac.services.access.pools import Pools
from tarmac.services.access.realms import Realms
from tarmac.services.access.roles import Roles
from tarmac.services.changes.definitions import DefinitionHistory, Sought, field_changes
from tarmac.services.changes.inverse_records import inverse_of

ROOT = Identity("root@pam")


class World:
    """The services over one store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.directory = Directory(self.store)
        access = Access(self.directory)
        self.groups, self.roles = Groups(self.directory, access), Roles(self.directory)
        self.acls, self.pools = Acls(self.directory, access), Pools(self.directory, access)
        self.history = DefinitionHistory(store=self.store, groups_of=self.directory.groups_of)

    async def newest(self) -> dict[str, Any]:
        return (await self.history.search(Sought()))[1][0]


async def world() -> World:
    made = World()
    await made.directory.load()
    return made


async def test_roles_grants_and_pools_say_how_to_go_back() -> None:
    w = await world()
    await w.roles.create("ops", ["VM.Audit"], by="root@pam")
    change = await w.newest()
    assert change["inverse"] == [{"method": "DELETE", "path": "/access/roles/ops", "parameters": {}}]
    assert change["objects"][0] | {"changes": []} == {"kind": "role", "name": "ops", "changes": []}
    await w.roles.update("ops", ["VM.PowerMgmt"], by="root@pam")
    change = await w.newest()
    assert change["inverse"] == [{"method": "PUT", "path": "/access/roles/ops", "parameters": {"privs": "VM.Audit"}}]
    assert {"key": "privileges", "old": ["VM.Audit"], "new": ["VM.PowerMgmt"]} in change["objects"][0]["changes"]
    await w.acls.update(ROOT, "/vms/100", roles=["ops"], users=["root@pam"])
    grant = {"path": "/vms/100", "users": "root@pam", "roles": "ops"}
    assert (await w.newest())["inverse"] == [
        {"method": "PUT", "path": "/access/acl", "parameters": {**grant, "delete": "1"}}
    ]
    await w.acls.update(ROOT, "/vms/100", roles=["ops"], users=["root@pam"], propagate=False)
    assert (await w.newest())["inverse"] == [
        {"method": "PUT", "path": "/access/acl", "parameters": {**grant, "propagate": "1"}}
    ]
    await w.acls.update(ROOT, "/vms/100", roles=["ops"], users=["root@pam"], delete=True)
    assert (await w.newest())["inverse"] == [
        {"method": "PUT", "path": "/access/acl", "parameters": {**grant, "propagate": "0"}}
    ]
    await w.pools.create("web", by="root@pam", comment="front")
    await w.pools.add_guest("web", 100, by="op@pve")
    change = await w.newest()
    assert (change["user"], change["what"]) == ("op@pve", "add guest 100 to pool web")
    parameters = {"poolid": "web", "vms": "100", "delete": "1"}
    assert change["inverse"] == [{"method": "PUT", "path": "/pools", "parameters": parameters}]
    total, rows = await w.history.search(Sought(kind="pool", user="op@pve"))
    assert (total, [row["id"] for row in rows]) == (1, [change["id"]])
    assert await w.history.get(change["id"]) == change


USER = {"userid": "joe@pve", "enable": True, "expire": 0, "comment": "", "tokens": {}}
TOKEN = {"expire": 0, "privsep": True, "comment": ""}


def calls(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    found = inverse_of(before, after, lambda user: ["a", "b"])
    return [(call.method, call.path, dict(call.parameters)) for call in found]


def test_users_and_their_groups() -> None:
    path = "/access/users/joe@pve"
    made = {"user/joe@pve": None, "password/joe@pve": None, "group/a": {"members": []}}
    after = {"user/joe@pve": USER, "password/joe@pve": "(a password)", "group/a": {"members": ["joe@pve"]}}
    assert calls(made, after) == [("DELETE", path, {})]
    changed = {**USER, "enable": False, "comment": "gone"}
    assert calls({"user/joe@pve": USER}, {"user/joe@pve": changed}) == [("PUT", path, {"enable": "1", "comment": ""})]
    joined = ({"group/a": {"members": []}}, {"group/a": {"members": ["joe@pve"]}})
    assert calls(*joined) == [("PUT", path, {"groups": "b"})]
    assert calls(*joined[::-1]) == [("PUT", path, {"groups": "a", "append": "1"})]
    gone = calls({"group/a": {"comment": "c", "members": ["joe@pve"]}}, {"group/a": None})
    assert gone == [
        ("POST", "/access/groups", {"groupid": "a", "comment": "c"}),
        ("PUT", path, {"groups": "a", "append": "1"}),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"user/joe@pve": USER}, {"user/joe@pve": None}),
        ({"password/joe@pve": "(a password)"}, {"password/joe@pve": "(a password)"}),
        ({"user/joe@pve": {**USER, "tokens": {"t": TOKEN}}}, {"user/joe@pve": USER}),
        ({"user/joe@pve": USER, "tfa/joe@pve": None}, {"user/joe@pve": {**USER, "enable": False}, "tfa/joe@pve": "x"}),
        ({"storage/nas": {"type": "cifs", "secrets": "1"}}, {"storage/nas": None}),
        ({"something/new": {}}, {"something/new": None}),
    ],
)
def test_what_cannot_be_brought_back_has_no_inverse_at_all(before: Any, after: Any) -> None:
    assert calls(before, after) == []


def test_storages_and_options() -> None:
    old, new = {"storage": "s", "type": "dir", "content": "iso"}, {"storage": "s", "type": "dir", "shared": "1"}
    assert calls({"storage/s": None}, {"storage/s": old}) == [("DELETE", "/storage/s", {})]
    assert calls({"storage/s": old}, {"storage/s": None}) == [("POST", "/storage", old)]
    assert calls({"storage/s": old}, {"storage/s": new}) == [
        ("PUT", "/storage/s", {"content": "iso", "delete": "shared"})
    ]
    assert calls({"options/datacenter": None}, {"options/datacenter": {"keyboard": "de"}}) == [
        ("PUT", "/cluster/options", {"delete": "keyboard"})
    ]


async def test_realms() -> None:
    w = await world()
    realms = Realms(w.directory)
    path = "/access/domains/corp"
    ldap = {"server1": "a.example.org", "base_dn": "dc=a", "user_attr": "uid", "bind_dn": "cn=t", "password": "secret"}

    async def undone() -> list[tuple[str, str, dict[str, Any]]]:
        return [(c["method"], c["path"], c["parameters"]) for c in (await w.newest())["inverse"]]

    await realms.create("corp", "ldap", ldap, by="root@pam")
    assert await undone() == [("DELETE", path, {})]
    await realms.update("corp", {"server1": "b.example.org", "comment": "new"}, by="root@pam")
    assert await undone() == [("PUT", path, {"server1": "a.example.org", "delete": "comment"})]
    await realms.update("corp", {"password": "another"}, by="root@pam")
    assert await undone() == [], "nobody knows the old password"
    await realms.delete("corp", by="root@pam")
    assert await undone() == []
    await realms.update("pve", {"default": "1", "comment": "ours"}, by="root@pam")
    pve = {"comment": "Users of this platform", "delete": "default"}
    assert await undone() == [("PUT", "/access/domains/pve", pve)]


def test_fields_of_what_is_no_record() -> None:
    assert field_changes("(a password)", "(a password)") == [{"key": "", "old": "(a password)", "new": "(a password)"}]
    assert field_changes(None, {"a": 1}) == [{"key": "a", "new": 1}]
