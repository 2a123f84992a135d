"""The rules of grants, as tables: what each user and token has where, as Proxmox documents and tests it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import Bug, Denied
from tarmac.model.privileges import PREDEFINED_ROLES, PRIVILEGES
from tarmac.model.users import AclEntry, Grants, Group, Pool, Role, Token, User
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.acl_rules import Principal
from tarmac.services.access.directory import Directory


class World:
    """A directory written down as Proxmox's user.cfg."""

    def __init__(self, text: str) -> None:
        self.directory = Directory.__new__(Directory)
        self.entries: list[AclEntry] = []
        self.users: dict[str, User] = {"root@pam": User(userid="root@pam")}
        self.groups: dict[str, Group] = {}
        self.roles = {n: Role(roleid=n, privileges=tuple(p), special=True) for n, p in PREDEFINED_ROLES.items()}
        self.pools: dict[str, Pool] = {}
        for line in text.strip().splitlines():
            kind, *parts = line.strip().split(":")
            getattr(self, f"_{kind}")(*parts)

    def _user(self, userid: str) -> None:
        self.users[userid] = User(userid=userid)

    def _token(self, tokenid: str, privsep: str) -> None:
        user, _, name = tokenid.partition("!")
        self.users[user].tokens[name] = Token(privsep=privsep == "1")

    def _group(self, groupid: str, members: str) -> None:
        self.groups[groupid] = Group(groupid=groupid, members=tuple(members.split(",")))

    def _role(self, roleid: str, privileges: str) -> None:
        self.roles[roleid] = Role(roleid=roleid, privileges=tuple(privileges.split(",")))

    def _acl(self, propagate: str, path: str, whos: str, roles: str) -> None:
        for who in whos.split(","):
            kind = "group" if who.startswith("@") else "token" if "!" in who else "user"
            for role in roles.split(","):
                entry: Any = {"path": path, "kind": kind, "who": who.removeprefix("@"), "role": role}
                self.entries.append(AclEntry(**entry, propagate=propagate == "1"))

    def _pool(self, poolid: str, guests: str, storages: str = "") -> None:
        numbers = tuple(int(g) for g in guests.split(","))
        self.pools[poolid] = Pool(poolid=poolid, guests=numbers, storages=tuple(storages.split()))

    def principal(self, name: str) -> Principal:
        groups = {g.groupid for g in self.groups.values() if name in g.members}
        own = [e for e in self.entries if e.kind != "group" and e.who == name]
        theirs = [e for e in self.entries if e.kind == "group" and e.who in groups]
        return Principal(own, theirs, self.roles, self.pools.values())

    def access(self) -> Access:
        directory = Directory(MemoryStore.__new__(MemoryStore))
        directory.users.update(self.users)
        directory.groups.update(self.groups)
        directory.roles.update(self.roles)
        directory.pools.update(self.pools)
        for entry in self.entries:
            owner = f"group:{entry.who}" if entry.kind == "group" else f"user:{entry.who.partition('!')[0]}"
            old = directory.grants.get(owner, Grants()).entries
            directory.grants[owner] = Grants(entries=(*old, entry))
        directory.version = 1
        return Access(directory)


BASIC = World(
    """
    user:joe@pve
    user:max@pve
    user:alex@pve
    user:sue@pve
    user:carol@pam
    token:max@pve!full:0
    token:max@pve!sep:1
    token:carol@pam!tok:0
    token:root@pam!sep:1
    token:root@pam!full:0
    group:admins:joe@pve,max@pve,sue@pve
    group:staff:alex@pve,carol@pam,sue@pve
    group:third:max@pve
    role:storing:Datastore.AllocateSpace,Datastore.Audit
    role:customer:VM.Audit,VM.PowerMgmt
    role:vm_admin:VM.Audit,VM.Allocate,Permissions.Modify,VM.Console
    acl:1:/vms:@admins:vm_admin
    acl:1:/vms/100:alex@pve,max@pve:customer
    acl:1:/storage/nfs1:@staff:storing
    acl:1:/vms/200:@third:storing
    acl:1:/vms/200:@staff:NoAccess
    acl:1:/vms/200:max@pve!sep:customer
    acl:0:/vms/300:max@pve:customer
    acl:1:/vms/300:max@pve:vm_admin
    acl:1:/vms/300:max@pve!sep:Administrator
    acl:1:/vms/400:alex@pve:Administrator
    acl:0:/vms/500:joe@pve:customer
    acl:1:/vms/100:root@pam!sep:customer
    """
)


@pytest.mark.parametrize(
    ("who", "path", "roles"),
    [
        ("max@pve", "/", ""),
        ("max@pve", "/vms", "vm_admin"),
        ("max@pve", "/vms/100", "customer"),  # the deepest place wins
        ("max@pve", "/vms/101", "vm_admin"),  # what propagates reaches paths without grants
        ("alex@pve", "/vms", ""),
        ("alex@pve", "/vms/100", "customer"),
        ("alex@pve", "/storage/nfs1", "storing"),
        ("alex@pve", "/storage/nfs2", ""),
        ("joe@pve", "/vms/200", "vm_admin"),
        ("max@pve", "/vms/200", "storing"),
        ("sue@pve", "/vms/200", "NoAccess"),  # NoAccess of one group leaves nothing of the other
        ("max@pve", "/vms/300", "customer,vm_admin"),
        ("max@pve", "/vms/300/sub", "vm_admin"),
        ("joe@pve", "/vms/500", "customer"),  # final: what does not propagate counts too
        ("joe@pve", "/vms/500/sub", "vm_admin"),  # below: it does not, what stands above does
        ("max@pve!sep", "/vms/200", "customer"),
        ("max@pve!sep", "/vms/100", ""),  # a token's own grants, its user's groups do not count
    ],
)
def test_roles_along_a_path(who: str, path: str, roles: str) -> None:
    assert ",".join(sorted(BASIC.principal(who).roles(path))) == roles


@pytest.mark.parametrize(
    ("who", "path", "privileges"),
    [
        ("max@pve", "/vms", "Permissions.Modify VM.Allocate VM.Audit VM.Console"),
        ("max@pve", "/vms/100", "VM.Audit VM.PowerMgmt"),
        ("max@pve!full", "/vms/100", "VM.Audit VM.PowerMgmt"),
        ("max@pve!sep", "/vms/100", ""),
        ("max@pve!sep", "/vms/200", ""),  # customer of the token, storing of the user: nothing in common
        ("max@pve!sep", "/vms/300", "Permissions.Modify VM.Allocate VM.Audit VM.Console VM.PowerMgmt"),
        ("max@pve!gone", "/vms/300", ""),
        ("nobody@pve", "/vms", ""),
        ("sue@pve", "/vms/200", ""),
        ("alex@pve", "/vms/400", " ".join(sorted(PRIVILEGES))),
        ("root@pam", "/anywhere/at all", " ".join(sorted(PRIVILEGES))),
        ("root@pam!full", "/vms/100", " ".join(sorted(PRIVILEGES))),
        ("root@pam!sep", "/vms/100", "VM.Audit VM.PowerMgmt"),
        ("root@pam!sep", "/vms/101", ""),
        ("max@pve", "/vms//100/", "VM.Audit VM.PowerMgmt"),
        ("max@pve", "/vms/1 00", ""),
        ("max@pve", "", ""),
    ],
)
def test_privileges(who: str, path: str, privileges: str) -> None:
    access = BASIC.access()
    assert " ".join(sorted(access.permissions(Identity.parse(who), path))) == privileges


def test_whether_a_privilege_propagates_is_told() -> None:
    access = BASIC.access()
    max_ = access.permissions(Identity("max@pve"), "/vms/300")
    assert max_["VM.Audit"] is True and max_["VM.PowerMgmt"] is False
    token = access.permissions(Identity("max@pve", "sep"), "/vms/300")
    assert token["VM.Audit"] is True and token["VM.PowerMgmt"] is False


GROUPS = World(
    """
    user:u1@pve
    user:u2@pve
    group:a:u1@pve,u2@pve
    group:b:u1@pve
    role:r1:VM.PowerMgmt
    role:r2:VM.Console
    acl:1:/vms:@a:r1
    acl:1:/vms:@b:r2
    acl:1:/vms/200:@b:r2
    acl:1:/vms:u2@pve:NoAccess
    acl:1:/nodes:u1@pve:r1
    acl:1:/nodes/x/y/z:u1@pve:r2
    acl:0:/pool:u1@pve:r1
    acl:0:/pool/a:u1@pve:r2
    acl:0:/pool/a/b/c:u1@pve:r1
    """
)


@pytest.mark.parametrize(
    ("who", "path", "roles"),
    [
        ("u1@pve", "/vms", "r1,r2"),  # groups add up
        ("u1@pve", "/vms/100", "r1,r2"),
        ("u1@pve", "/vms/200", "r2"),  # but a deeper place replaces
        ("u2@pve", "/vms/300", "NoAccess"),  # the user's own grant overrides the group's
        ("u1@pve", "/nodes/x", "r1"),
        ("u1@pve", "/nodes/x/y/z", "r2"),
        ("u1@pve", "/nodes/x/y/z/deeper", "r2"),
        ("u1@pve", "/pool", "r1"),
        ("u1@pve", "/pool/a", "r2"),
        ("u1@pve", "/pool/a/b", ""),
        ("u1@pve", "/pool/a/b/c", "r1"),
        ("u1@pve", "/pool/a/b/c/d", ""),
    ],
)
def test_groups_overrides_and_propagation(who: str, path: str, roles: str) -> None:
    assert ",".join(sorted(GROUPS.principal(who).roles(path))) == roles


POOLS = World(
    """
    user:u1@pve
    user:u2@pve
    user:u3@pve
    user:u4@pve
    user:u5@pve
    user:intern@pve
    token:u2@pve!sep:1
    group:devel:u1@pve,u2@pve,u3@pve
    group:sales:u1@pve,u4@pve
    group:interns:intern@pve
    role:dev:VM.PowerMgmt
    role:sale:VM.Console
    role:int:VM.Audit
    role:test:VM.Console
    acl:1:/pool/devel:@devel:dev
    acl:1:/pool/sales:@sales:sale
    acl:1:/pool/sales/interns:@interns:int
    acl:1:/vms:@devel:test
    acl:1:/vms:u3@pve:NoAccess
    acl:1:/vms/300:@sales:test
    acl:1:/pool/devel:u5@pve:NoAccess
    acl:1:/vms:u5@pve:test
    acl:1:/pool/devel:u2@pve!sep:dev
    pool:devel:500,501:store1 store2
    pool:sales:600:store1
    pool:sales/interns:700:store3
    """
)


@pytest.mark.parametrize(
    ("who", "path", "privileges"),
    [
        ("u1@pve", "/vms/500", "VM.Console VM.PowerMgmt"),  # /vms and the pool add up
        ("u2@pve", "/vms/500", "VM.Console VM.PowerMgmt"),
        ("u2@pve!sep", "/vms/500", "VM.PowerMgmt"),  # a pool's grant to the token, and the user has it too
        ("u2@pve!sep", "/vms/501", "VM.PowerMgmt"),
        ("u2@pve!sep", "/vms/600", ""),
        ("u3@pve", "/vms/500", ""),  # a pool does not overcome NoAccess
        ("u5@pve", "/vms/500", ""),  # and NoAccess on the pool overcomes /vms
        ("u5@pve", "/vms/600", "VM.Console"),
        ("u4@pve", "/vms/500", ""),
        ("u4@pve", "/vms/600", "VM.Console"),
        ("u4@pve", "/vms/700", "VM.Console"),  # nested pools inherit
        ("intern@pve", "/vms/600", ""),
        ("intern@pve", "/vms/700", "VM.Audit"),
        ("u1@pve", "/vms/600", "VM.Console"),
        ("u1@pve", "/storage/store1", "VM.Console VM.PowerMgmt"),
        ("u2@pve", "/storage/store1", "VM.PowerMgmt"),
        ("u3@pve", "/storage/store1", "VM.PowerMgmt"),
        ("u4@pve", "/storage/store2", ""),
    ],
)
def test_pools(who: str, path: str, privileges: str) -> None:
    assert " ".join(sorted(POOLS.access().permissions(Identity.parse(who), path))) == privileges


def test_what_a_pool_gives_does_not_propagate() -> None:
    assert POOLS.access().permissions(Identity("u1@pve"), "/vms/500") == {"VM.Console": True, "VM.PowerMgmt": False}


ALL = [
    (world, name, path)
    for world in (BASIC, GROUPS, POOLS)
    for name in (*world.users, *(f"{u}!{t}" for u, user in world.users.items() for t in user.tokens))
    for path in ("/vms", "/storage")
]


@pytest.mark.parametrize(("world", "name", "parent"), ALL)
def test_filtering_agrees_with_asking_one_by_one(world: World, name: str, parent: str) -> None:
    access, identity = world.access(), Identity.parse(name)
    objects: Iterable[object] = range(90, 710) if parent == "/vms" else ("nfs1", "store1", "store2", "store3", "else")
    for privileges in (["VM.Audit"], ["VM.Console", "Datastore.Audit"], ["Permissions.Modify"]):
        may: Callable[[object], bool] = access.filter(identity, f"{parent}/{{}}", privileges)
        for thing in objects:
            assert may(thing) == access.allowed(identity, f"{parent}/{thing}", privileges, any=True), thing


def test_the_refusal_has_proxmox_words_and_five_parts() -> None:
    access = BASIC.access()
    access.check(Identity("max@pve"), "/vms/100", ["VM.Audit", "VM.PowerMgmt"])
    with pytest.raises(Denied) as caught:
        access.check(Identity("max@pve"), "/vms/100", ["VM.Audit", "VM.Console", "VM.Clone"])
    assert caught.value.message == "Permission check failed (/vms/100, VM.Console)"
    assert caught.value.cause and caught.value.evidence
    assert caught.value.fixes[0].parameters == {"path": "/vms/100", "roles": "PVEVMUser", "users": "max@pve"}
    access.check(Identity("max@pve"), "/vms/100", ["VM.Clone", "VM.Audit"], any=True)
    with pytest.raises(Denied, match=r"^Permission check failed \(/vms/100, VM.Clone\|VM.Console\)$"):
        access.check(Identity("max@pve"), "/vms/100", ["VM.Clone", "VM.Console"], any=True)
    with pytest.raises(Bug):
        access.check(Identity("root@pam"), "/", ["VM.Adit"])
    access.check(Identity("max@pve"), "/", [])


def test_changes_are_seen_at_once() -> None:
    access = BASIC.access()
    directory = access._directory
    assert not access.allowed(Identity("alex@pve"), "/vms/7", ["VM.Audit"])
    entry = AclEntry(path="/vms", kind="user", who="alex@pve", role="PVEAuditor")
    directory.grants["user:alex@pve"] = Grants(entries=(entry,))
    directory.version += 1
    assert access.allowed(Identity("alex@pve"), "/vms/7", ["VM.Audit"])
    directory.users["alex@pve"] = User(userid="alex@pve", enable=False)
    directory.version += 1
    assert not access.allowed(Identity("alex@pve"), "/vms/7", ["VM.Audit"])


def test_reports_and_capabilities() -> None:
    access = BASIC.access()
    found = access.effective(Identity("max@pve"))
    assert found["/vms"] == {"Permissions.Modify": 1, "VM.Allocate": 1, "VM.Audit": 1, "VM.Console": 1}
    assert found["/vms/300"]["VM.PowerMgmt"] == 0
    assert "/" not in found and "/storage" not in found
    assert access.report(Identity("max@pve"), userid="max@pve!sep", path="/vms/200") == {"/vms/200": {}}
    with pytest.raises(Denied, match=r"\(/access, Sys.Audit\)"):
        access.report(Identity("max@pve"), userid="joe@pve")
    with pytest.raises(Denied):
        access.report(Identity("max@pve", "sep"), userid="max@pve")
    assert access.report(Identity("root@pam"), userid="joe@pve", path="/vms")["/vms"]["VM.Audit"] == 1
    cap = access.capabilities(Identity("max@pve"))
    assert cap["vms"]["VM.Audit"] == 1 and cap["dc"] == {} and set(cap) == {
        "vms", "access", "storage", "nodes", "sdn", "dc", "mapping"
    }  # fmt: skip
    root = access.capabilities(Identity("root@pam"))
    assert root["dc"] == dict.fromkeys(["SDN.Allocate", "SDN.Audit", "SDN.Use", "Sys.Audit", "Sys.Modify"], 1)
    assert POOLS.access().capabilities(Identity("intern@pve"))["vms"] == {"VM.Audit": 1}


def test_a_groups_grant_that_does_not_propagate_leaves_what_is_above() -> None:
    def grant(path: str, kind: str, who: str, propagate: bool) -> AclEntry:
        return AclEntry(path=path, kind=kind, who=who, role="r", propagate=propagate)  # type: ignore[arg-type]

    own, theirs = [grant("/", "user", "u1@pve", True)], [grant("/vms", "group", "g", False)]
    principal = Principal(own, theirs, {"r": Role(roleid="r", privileges=("VM.Audit",))}, [])
    assert principal.roles("/vms/100") == {"r": True}
