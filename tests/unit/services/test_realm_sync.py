"""What a synchronization changes: decided without touching anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tarmac.drivers.auth.ldap import Entry
from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import InvalidInput
from tarmac.model.realms import Realm, RealmOptions, SyncDefaults
from tarmac.model.users import AclEntry, Grants, Group, Tfa, Token, User
from tarmac.services.access.directory import Directory
from tarmac.services.access.sync_changes import Found, Wanted, changes, combined

OPTIONS = RealmOptions(user_attr="uid", base_dn="dc=x", server1="s", sync_attributes="email=mail,comment=description")
BOTH = Wanted(scope="both")


def person(uid: str, **attributes: str) -> Entry:
    return Entry(f"uid={uid},dc=x", {"uid": [uid], **{k: [v] for k, v in attributes.items()}})


def group(name: str, *members: str) -> Entry:
    return Entry(f"cn={name},dc=x", {"cn": [name], "member": [f"UID={m},dc=x" for m in members]})


@pytest.fixture
async def known() -> AsyncIterator[Directory]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    grant = AclEntry(path="/", kind="user", who="old@corp", role="PVEAdmin")
    await directory.commit(
        {
            ("user", "old@corp"): User(userid="old@corp"),
            ("user", "ann@corp"): User(
                userid="ann@corp", enable=False, comment="ours", email="was@x", tokens={"t": Token()}
            ),
            ("user", "joe@pve"): User(userid="joe@pve"),
            ("grants", "user:old@corp"): Grants(entries=(grant,)),
            ("tfa", "old@corp"): Tfa(userid="old@corp"),
            ("group", "staff-corp"): Group(groupid="staff-corp", comment="ours", members=("joe@pve", "old@corp")),
            ("group", "gone-corp"): Group(groupid="gone-corp"),
            ("group", "ours"): Group(groupid="ours", members=("old@corp",)),
        },
        by="root@pam",
        what="set up",
    )
    yield directory
    await store.close()


def of(known: Directory, wanted: Wanted, *entries: Entry, groups: tuple[Entry, ...] = (), **options: Any) -> Any:
    told = RealmOptions(**{"user_attr": "uid", "sync_attributes": OPTIONS.sync_attributes, **options})
    return changes("corp", "ldap", told, wanted, Found(users=entries, groups=groups), known)


async def test_new_users_come_and_known_ones_follow(known: Directory) -> None:
    told = of(known, Wanted(scope="users", enable_new=False), person("ann", mail="ann@x"), person("bob"), person("old"))
    assert told.records == {
        ("user", "ann@corp"): User(
            userid="ann@corp", enable=False, comment="ours", email="ann@x", tokens={"t": Token()}
        ),
        ("user", "bob@corp"): User(userid="bob@corp", enable=False),
    }


async def test_nothing_changes_the_second_time(known: Directory) -> None:
    entries, groups = (person("ann", mail="a@x"), person("old")), (group("staff", "ann", "old"), group("gone"))
    told = of(known, BOTH, *entries, groups=groups)
    assert told.records
    await known.commit(told.records, by="root@pam", what="sync")
    assert of(known, BOTH, *entries, groups=groups).records == {}


async def test_who_is_gone_stays_unless_said_otherwise(known: Directory) -> None:
    assert of(known, Wanted(scope="users"), person("ann", mail="was@x")).records == {}


async def test_entry_acl_and_properties_go_by_themselves(known: Directory) -> None:
    def gone(word: str) -> dict[Any, Any]:
        wanted = Wanted(scope="both", vanished=frozenset({word}))
        return dict(of(known, wanted, person("ann"), groups=(group("staff"),)).records)

    assert gone("acl") == {
        ("grants", "user:old@corp"): None,
        ("group", "staff-corp"): Group(groupid="staff-corp", comment="ours", members=("joe@pve",), realm="corp"),
    }
    entry = gone("entry")
    assert entry[("user", "old@corp")] is None and entry[("tfa", "old@corp")] is None
    assert entry[("group", "gone-corp")] is None and ("grants", "user:old@corp") not in entry
    assert entry[("group", "ours")].members == (), "who is gone is in no group"
    kept = gone("properties")[("user", "ann@corp")]
    assert (kept.email, kept.comment, kept.enable, kept.tokens) == ("", "", False, {"t": Token()})


async def test_members_of_other_realms_stay(known: Directory) -> None:
    told = of(known, Wanted(scope="groups"), person("ann"), person("new"), groups=(group("staff", "ann", "new", "x"),))
    # `new` is no user yet: users were not asked for.
    assert told.records == {
        ("group", "staff-corp"): Group(
            groupid="staff-corp", comment="ours", members=("ann@corp", "joe@pve"), realm="corp"
        )
    }
    assert ("group", "staff-corp") in of(known, BOTH, person("new"), groups=(group("staff", "new"),)).records


async def test_names_that_cannot_be_are_left_out(known: Directory) -> None:
    told = of(known, BOTH, person("a b"), person("x:y"), person("ann"), person("ann"), groups=(group("a b"),))
    assert not any(key[1].startswith(("a b", "x:y")) for key in told.records)
    assert len(told.warnings) == 4
    told = of(known, Wanted(scope="users"), person("ANN", mail="was@x"), case_sensitive=False)
    assert told.records == {}, "the same user"


async def test_texts_are_cleaned_and_times_checked(known: Directory) -> None:
    told = of(
        known, Wanted(scope="users"), person("new", mail="a\nb", t="soon", e="TRUE"),
        sync_attributes="email=mail,expire=t,enable=e",
    )  # fmt: skip
    assert told.records[("user", "new@corp")] == User(userid="new@corp", email="ab")
    assert "no time" in told.warnings[0]


def test_what_is_wanted() -> None:
    def wanted(given: dict[str, Any], **defaults: Any) -> Wanted:
        said = {k.replace("_", "-"): "" for k in given}
        return Wanted.of(SyncDefaults(**defaults), SyncDefaults(**given), said=said)

    with pytest.raises(InvalidInput, match="Parameter"):
        wanted({})
    assert wanted({}, scope="both", enable_new=False, remove_vanished="acl;entry") == Wanted(
        scope="both", enable_new=False, vanished=frozenset({"acl", "entry"})
    )
    assert wanted({"remove_vanished": "none"}, scope="users", remove_vanished="acl") == Wanted(scope="users")
    assert wanted({"scope": "groups", "full": True, "purge": True}).vanished == {"entry", "properties", "acl"}


def test_the_search_filter() -> None:
    assert combined("person, user", "mail=*", "uid") == "(&(|(objectClass=person)(objectClass=user))(uid=*)(mail=*))"


async def synced(known: Directory, realm: str, *names: str, vanished: str = "") -> Any:
    """Groups of these names come from a realm's directory, in which ann is, and are written."""
    wanted = Wanted(scope="both", vanished=frozenset(vanished.split()))
    found = Found(users=[person("ann")], groups=[group(name, "ann") for name in names])
    told = changes(realm, "ldap", OPTIONS, wanted, found, known)
    await known.commit(told.records, by="root@pam", what="synchronize")
    return told


async def test_a_group_is_of_the_realm_that_brought_it(known: Directory) -> None:
    """`x-a` of realm bb and `x` of realm a-bb would be one group: who brought it first has it, and removes it."""
    realms = {("realm", name): Realm(realm=name, type="ldap") for name in ("bb", "a-bb")}
    await known.commit(realms, by="root@pam", what="set up")
    await synced(known, "bb", "x-a")
    assert known.groups["x-a-bb"] == Group(groupid="x-a-bb", members=("ann@bb",), realm="bb")

    second = await synced(known, "a-bb", "x", "y", vanished="entry acl")
    assert second.warnings == ["'cn=x,dc=x' is left out: 'x-a-bb' is a group of realm 'bb'"]
    assert known.groups["x-a-bb"].members == ("ann@bb",)
    assert known.groups["y-a-bb"].members == ("ann@a-bb",)

    await synced(known, "bb", vanished="entry acl")
    assert "x-a-bb" not in known.groups and "y-a-bb" in known.groups, "each removes its own"


async def test_a_group_made_here_that_two_realms_may_mean_is_nobodys(known: Directory) -> None:
    realms = {("realm", name): Realm(realm=name, type="ad") for name in ("bb", "a-bb")}
    ours = {("group", "x-a-bb"): Group(groupid="x-a-bb", comment="ours")}
    await known.commit({**realms, **ours}, by="root@pam", what="set up")
    for realm, name in (("bb", "x-a"), ("a-bb", "x")):
        told = await synced(known, realm, name, vanished="entry acl")
        assert "remove or rename what is there" in told.warnings[0]
        assert known.groups["x-a-bb"] == ours[("group", "x-a-bb")]
