"""The answer to "why" names the grant that decides, and never says anything else than the decision itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.model.errors import Denied, InvalidInput
from tarmac.model.privileges import NO_ACCESS, PREDEFINED_ROLES
from tarmac.model.users import AclEntry, Grants, Group, Pool, Role, Token, User
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.why import AccessWhy

PATHS = ("/", "/vms", "/vms/100", "/pool", "/pool/web", "/pool/web/sub")
ROLES = ("PVEVMAdmin", "PVEVMUser", "PVEAuditor", NO_ACCESS)
ASKED = ("VM.PowerMgmt", "VM.Audit", "VM.Allocate", "Sys.Audit")
HOLDERS = (("user", "a@pve"), ("group", "g"), ("token", "a@pve!tok"))
ENTRIES = st.builds(
    lambda path, holder, role, propagate: AclEntry(
        path=path, kind=holder[0], who=holder[1], role=role, propagate=propagate
    ),
    st.sampled_from(PATHS),
    st.sampled_from(HOLDERS),
    st.sampled_from(ROLES),
    st.booleans(),
)


def world(entries: list[AclEntry], *, privsep: bool = True) -> tuple[Access, AccessWhy]:
    grants = {
        "user:a@pve": Grants(entries=tuple(e for e in entries if e.kind != "group")),
        "group:g": Grants(entries=tuple(e for e in entries if e.kind == "group")),
    }
    directory: Any = SimpleNamespace(
        version=1,
        users={
            "a@pve": User(userid="a@pve", tokens={"tok": Token(privsep=privsep)}),
            "root@pam": User(userid="root@pam"),
        },
        groups={"g": Group(groupid="g", members=("a@pve",))},
        roles={name: Role(roleid=name, privileges=tuple(held)) for name, held in PREDEFINED_ROLES.items()},
        grants=grants,
        pools={"web": Pool(poolid="web"), "web/sub": Pool(poolid="web/sub", guests=(100,))},
        groups_of=lambda user: ["g"] if user == "a@pve" else [],
    )
    access = Access(directory)
    return access, AccessWhy(directory, access)


@given(st.lists(ENTRIES, max_size=6), st.booleans(), st.booleans(), st.sampled_from(("/vms/100", "/vms/101", "/vms")))
def test_the_retold_rules_are_the_rules(entries: list[AclEntry], token: bool, privsep: bool, path: str) -> None:
    """What counts and gives a privilege is what makes it held: for a separated token on both sides."""
    unique = list({(e.path, e.who, e.role): e for e in entries}.values())
    access, why = world(unique, privsep=privsep)
    identity = Identity("a@pve", "tok") if token else Identity("a@pve")
    told = why.explain(identity, path, ASKED)
    held = access.permissions(identity, path)
    for row in told["privileges"]:
        assert row["held"] == int(row["privilege"] in held)
        assert bool(row["by"]) == bool(row["held"])
        if token and privsep:
            assert not row["held"] or {grant["type"] for grant in row["by"]} & {"token"}
        assert row["text"]
    counting = {(g["path"], g["ugid"], g["roleid"]) for g in told["grants"] if g["counts"]}
    if not token:
        gives = {p for _, _, role in counting for p in PREDEFINED_ROLES[role]}
        barred = any(role == NO_ACCESS for _, _, role in counting)
        assert {r["privilege"] for r in told["privileges"] if r["held"]} == (set() if barred else gives & set(ASKED))


def entry(path: str, role: str, who: str = "a@pve", kind: Any = "user", propagate: bool = True) -> AclEntry:
    return AclEntry(path=path, kind=kind, who=who, role=role, propagate=propagate)


@pytest.mark.parametrize(
    ("entries", "held", "words"),
    [
        ([entry("/", "PVEVMAdmin")], 1, "PVEVMAdmin for user a@pve on / has VM.PowerMgmt"),
        ([entry("/pool/web", "PVEVMUser", "g", "group")], 1, "PVEVMUser for group g on /pool/web has VM.PowerMgmt"),
        ([entry("/", "PVEVMAdmin", propagate=False)], 0, "PVEVMAdmin for a@pve on / has it, but it does not propagate"),
        (
            [entry("/", "PVEVMAdmin"), entry("/vms", "PVEAuditor")],
            0,
            "PVEVMAdmin for a@pve on / has it, but what is granted on /vms replaces it",
        ),
        (
            [entry("/vms", "PVEVMAdmin", "g", "group"), entry("/vms", "PVEAuditor")],
            0,
            "has it, but what is granted to a@pve itself comes before its groups",
        ),
        (
            [entry("/vms", NO_ACCESS), entry("/vms", "PVEVMAdmin")],
            0,
            "NoAccess for a@pve on /vms takes everything away",
        ),
        ([], 0, "no grant to a@pve or its groups has a role with VM.PowerMgmt"),
    ],
)
def test_the_sentence_names_the_grant(entries: list[AclEntry], held: int, words: str) -> None:
    _, why = world(entries)
    path = "/vms/100" if entries and entries[0].path.startswith("/pool") else "/vms/101"  # 100 is in a pool
    told = why.explain(Identity("a@pve"), path, ["VM.PowerMgmt"])
    assert told["allowed"] == held
    assert words in told["privileges"][0]["text"]


def test_who_may_ask_and_about_what() -> None:
    _, why = world([])
    assert why.explain(Identity("root@pam"), "/vms/100", ["VM.Audit"], userid="a@pve!tok")["allowed"] == 0
    with pytest.raises(Denied):
        why.explain(Identity("a@pve"), "/vms/100", ["VM.Audit"], userid="root@pam")
    for path, privilege in (("vms//..x y", "VM.Audit"), ("/vms/100", "VM.Nothing")):
        with pytest.raises(InvalidInput):
            why.explain(Identity("a@pve"), path, [privilege])
