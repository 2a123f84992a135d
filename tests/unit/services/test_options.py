"""Options of the datacenter and the node: kept, checked, typed, with their effects on what looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tarmac.composition.options import _settled
from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.datacenter import (
    NO_EFFECT,
    Datacenter,
    NodeConfig,
    bandwidth,
    check_datacenter,
    id_range,
)
from tarmac.model.errors import Conflict, Denied, InvalidInput, Unavailable
from tarmac.model.job import Plan
from tarmac.model.parse import parse_record
from tarmac.model.settings import settings_by_name
from tarmac.services.access.access import Identity
from tarmac.services.configuration.tags import TagRules
from tarmac.services.guests.birth_marks import new_mac
from tarmac.services.guests.guests import Guests
from tarmac.services.node.options import Options, no_effect

JOE, ADMIN = Identity("joe@pve"), Identity("admin@pve")


async def options(store: MemoryStore | None = None) -> Options[Datacenter]:
    made = Options(
        store=store or MemoryStore(), record="datacenter", declared=Datacenter, check=check_datacenter, settled=_settled
    )
    await made.load()
    return made


async def test_what_is_set_is_there_after_a_restart_and_in_the_history() -> None:
    store = MemoryStore()
    first = await options(store)
    await first.update({"next-id": "lower=200,upper=300", "keyboard": "de", "crs": "ha=static"}, by="root@pam")
    await first.update({"language": "de"}, delete=["keyboard"], by="joe@pve")
    again = await options(store)
    assert again.shown(objects=True) == {
        "crs": {"ha": "static"}, "language": "de", "next-id": {"lower": 200, "upper": 300}
    }  # fmt: skip
    assert again.digest == first.digest
    told = [entry.value.decode() for entry in await store.range("history/options/")]
    assert len(told) == 2 and '"who": "joe@pve"' in told[1]


@pytest.mark.parametrize(
    ("texts", "delete", "key"),
    [
        ({"keyboard": "xx"}, (), "keyboard"),
        ({"next-id": "lower=300,upper=200"}, (), "next-id"),
        ({"mac_prefix": "01:00"}, (), "mac_prefix"),
        ({"tag-style": "color-map=a:xyz"}, (), "tag-style"),
        ({"http_proxy": "ftp://x"}, (), "http_proxy"),
        ({"migration": "type=secure,network=nowhere"}, (), "migration"),
        ({"keyboard": "de"}, ("keyboard",), "keyboard"),
        ({}, ("no-such-option",), "delete"),
        ({"task-retention": "count=1"}, (), "task-retention"),
    ],
)
async def test_bad_options_are_named_and_change_nothing(texts: dict[str, str], delete: Any, key: str) -> None:
    made = await options()
    with pytest.raises(InvalidInput) as caught:
        await made.update({"language": "de", **texts}, delete=delete, by="root@pam")
    assert key in caught.value.parameters
    assert made.texts == {}


async def test_old_spellings_and_another_digest() -> None:
    made = await options()
    await made.update({"console": "applet", "migration_unsecure": "1"}, by="root@pam")
    assert made.texts == {"console": "html5", "migration": "insecure"}
    with pytest.raises(Conflict):
        await made.update({"console": "vv"}, digest="0" * 40, by="root@pam")
    await made.update({"console": "vv"}, digest=made.digest, by="root@pam")


async def test_a_plan_says_what_has_no_effect() -> None:
    made = await options()
    plan = await made.update({"ha": "shutdown_policy=migrate", "max_workers": "2"}, by="root@pam", dryrun=True)
    assert isinstance(plan, Plan) and made.texts == {}
    assert "max_workers: (default) -> 2" in plan.effects
    assert "ha is kept and has no effect: high availability is not built yet" in plan.effects
    assert not any(line.startswith("max_workers is kept") for line in plan.effects)


def test_what_has_no_effect_says_so_where_it_is_declared() -> None:
    told = settings_by_name(Datacenter) | settings_by_name(NodeConfig)
    for key, setting in told.items():
        if key != "migration_unsecure":
            assert ("o effect" in setting.limits.help) == (no_effect(key.removesuffix("[n]")) is not None), key
    assert set(NO_EFFECT) <= {key.removesuffix("[n]") for key in told}


def test_ranges_prefixes_and_limits() -> None:
    assert id_range(Datacenter()) == (100, 1_000_000)
    assert id_range(parse_record(Datacenter, {"next-id": "lower=5,upper=9000"})) == (100, 9000)
    for prefix, start in (("BC:24:11", "BC:24:11:"), ("02", "02:"), ("0a:bb:", "0A:BB:")):
        mac = new_mac(prefix)
        assert mac.startswith(start) and len(mac) == 17
    limits = parse_record(Datacenter, {"bwlimit": "clone=10,default=7"})
    assert [bandwidth(limits, work) for work in ("clone", "move")] == [10, 7]
    assert bandwidth(Datacenter(), "move") == 0


async def test_free_numbers_come_from_the_range(tmp_path: Path) -> None:
    guests = Guests(store=MemoryStore(), node="n1", mirror=tmp_path)
    await guests.load()
    guests.numbers.id_range = lambda: (200, 203)
    assert guests.numbers.claim_free(2) == [200, 201]
    with pytest.raises(Unavailable, match=r"unable to get any free VMID in range \[200, 203\]"):
        guests.numbers.claim_free(2)
    guests.numbers.claim(202)  # the failed call took none
    guests.numbers.unclaim(200, 201)
    assert guests.numbers.claim_free(1) == [200], "what was only planned is free again at once"


class Rights:
    """`admin` may everything; `joe` sees guest 100 only."""

    def allowed(self, identity: Identity, path: str, privileges: Any) -> bool:
        return identity == ADMIN

    def filter(self, identity: Identity, template: str, privileges: Any) -> Any:
        return lambda vmid: identity == ADMIN or vmid == 100


@pytest.mark.parametrize(
    ("texts", "allowed", "may", "may_not"),
    [
        ({}, ["a"], ["a", "new"], []),
        ({"registered-tags": "prod;a"}, [], ["new"], ["prod", "a"]),
        ({"user-tag-access": "user-allow=none"}, [], [], ["a", "new"]),
        ({"user-tag-access": "user-allow=list,user-allow-list=x;y"}, ["x", "y"], ["x"], ["a", "new"]),
        ({"user-tag-access": "user-allow=existing,user-allow-list=x"}, ["a", "x"], ["a", "x"], ["b", "new"]),
        ({"user-tag-access": "user-allow=list,user-allow-list=x", "registered-tags": "x"}, [], [], ["x"]),
    ],
)
async def test_who_may_set_which_tags(
    tmp_path: Path, texts: dict[str, str], allowed: list[str], may: list[str], may_not: list[str]
) -> None:
    guests = Guests(store=MemoryStore(), node="n1", mirror=tmp_path)
    await guests.load()
    await guests.create(100, "tags: a\n", uid=None, user="root@pam")
    await guests.create(101, "tags: b\n", uid=None, user="root@pam")
    rights: Any = Rights()
    rules = TagRules(guests=guests, access=rights, options=lambda: parse_record(Datacenter, texts))
    assert rules.allowed(JOE) == allowed
    for tag in may:
        rules.check(JOE, "", tag)
        rules.check(JOE, tag, "")
    for tag in may_not:
        for old, new in (("", tag), (tag, ""), ("other", f"other,{tag}")):
            with pytest.raises(Denied, match=f"Sys.Modify for modifying tag '{tag}'"):
                rules.check(JOE, old, new)
        rules.check(JOE, f"{tag};other", f"other {tag}")  # what stays is nobody's business
        rules.check(ADMIN, "", tag)
