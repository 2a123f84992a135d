"""What was ordered is renewed before it ends; what somebody brought is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.certificates import make
from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.datacenter import NodeConfig
from tarmac.model.errors import InvalidInput, NotBuilt, WrongState
from tarmac.model.parse import parse_record
from tarmac.services.access.access import Identity
from tarmac.services.acme.accounts import AcmeAccounts
from tarmac.services.acme.orders import KEY, AcmeOrders, wanted
from tarmac.services.jobs.steps import Registry
from tarmac.services.node.certificates import Certificates


class Asked:
    """Stands for the jobs: what was asked for."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    async def submit(self, kind: str, **more: Any) -> str:
        self.kinds.append(kind)
        return "UPID"


class Site:
    def __init__(self, tmp: Path) -> None:
        self.store, self.asked = MemoryStore(), Asked()
        self.certificates = Certificates(tmp)
        registry, jobs = Registry(), self.asked
        accounts = AcmeAccounts(store=self.store, jobs=jobs, registry=registry)  # type: ignore[arg-type]
        self.orders = AcmeOrders(
            store=self.store, jobs=jobs, registry=registry, accounts=accounts,  # type: ignore[arg-type]
            certificates=self.certificates, config=NodeConfig, port=80,
        )  # fmt: skip

    async def bring(self, *, days: float, ordered: bool) -> None:
        leaf = make("node.example", end=days)
        row = await self.certificates.bring(leaf.pem, leaf.key_pem(), force=True)
        if ordered:
            record = {"format": 1, "fingerprint": row["fingerprint"], "account": "default"}
            await self.store.put(KEY, json.dumps(record).encode())


@pytest.mark.parametrize(("days", "ordered", "asked"), [(29, True, ["acmerenew"]), (31, True, []), (5, False, [])])
async def test_what_is_renewed(tmp_path: Path, days: float, ordered: bool, asked: list[str]) -> None:
    site = Site(tmp_path)
    await site.orders.renew_due()
    assert site.asked.kinds == []
    await site.bring(days=days, ordered=ordered)
    await site.orders.renew_due()
    assert site.asked.kinds == asked
    # One that took the place of what was ordered is somebody's own again.
    await site.bring(days=5, ordered=False)
    site.asked.kinds.clear()
    await site.orders.renew_due()
    assert site.asked.kinds == []


async def test_what_is_refused_at_once(tmp_path: Path) -> None:
    site, root = Site(tmp_path), Identity("root@pam")
    with pytest.raises(WrongState, match="No current"):
        await site.orders.renew(root, force=True, dryrun=False)
    await site.bring(days=60, ordered=False)
    with pytest.raises(InvalidInput):
        await site.orders.renew(root, force=False, dryrun=False)
    with pytest.raises(InvalidInput):
        await site.orders.order(root, force=False, dryrun=False)
    with pytest.raises(WrongState, match="not ordered by this node"):
        await site.orders.revoke(root, dryrun=False)


def test_for_which_names() -> None:
    config = parse_record(
        NodeConfig,
        {"acme": "account=main,domains=a.example;b.example", "acmedomain1": "c.example", "acmedomain0": "a.example"},
    )
    assert wanted(config) == ("main", ["a.example", "b.example", "c.example"])
    with pytest.raises(WrongState):
        wanted(NodeConfig())
    with pytest.raises(NotBuilt):
        wanted(parse_record(NodeConfig, {"acmedomain0": "a.example,plugin=dns1"}))
