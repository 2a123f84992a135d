"""Dry runs of what a running guest refuses: planned as of the stopped one, with the refusal; the request is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.storage_site import Site, site
from tarmac.model import lifecycle
from tarmac.model.errors import NeedsStop, WrongState
from tarmac.model.job import Plan
from tarmac.model.lifecycle import State, Verb
from tarmac.model.vm_change import Late
from tarmac.services.access.access import Access, Identity
from tarmac.services.clones.templates import Templates
from tarmac.services.disks.gifts import DiskGifts
from tarmac.services.disks.medium_moves import MediumMoves
from tarmac.services.disks.mirrors import DiskMirrors
from tarmac.services.disks.moves import DiskMoves
from tarmac.services.guests.guests import Guests
from tarmac.services.running.live_changes import VmLive

ANN = Identity("ann@pve")


class LockedTray:
    """As much of VmLive as a move of a medium asks: the running guest takes no other one."""

    async def obstacle(self, *_: Any) -> Late:
        return Late(reason="locked")


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as made:
        await made.storages.create(
            {"storage": "other", "type": "dir", "path": str(made.root / "other"), "content": "images"}
        )
        disk, tpm = [
            await made.volumes.create("local", 100, f"vm-100-{name}", "1M") for name in ("disk-0.qcow2", "disk-1.raw")
        ]
        medium = await made.volumes.create("local", 100, "vm-100-cloudinit.qcow2", "4M")
        made.guest(100, f"ide2: {medium},media=cdrom\nscsi1: {disk},size=1M\ntpmstate0: {tpm},size=1M\n")
        made.guest(101, "memory: 16\n")
        yield made


def verbs(here: Site) -> dict[str, Any]:
    """Each verb as a function of `dryrun`."""
    parts: dict[str, Any] = {
        "guests": cast(Guests, SimpleNamespace(get=here.guests.__getitem__)),
        "jobs": here.jobs,
        "access": cast(Access, SimpleNamespace(check=lambda *_: None)),
        "storages": here.storages,
        "registry": here.jobs.registry,
    }
    templates = Templates(**parts, volumes=here.volumes)
    gifts = DiskGifts(**parts)
    media = MediumMoves(storages=here.storages, cloudinit=here.cloudinit, live=cast(VmLive, LockedTray()))
    moves = DiskMoves(**parts, volumes=here.volumes, mirrors=cast(DiskMirrors, None), media=media, gifts=gifts)
    return {
        "template": lambda dry: templates.make(ANN, 100, dryrun=dry),
        "give": lambda dry: gifts.give(ANN, 100, "scsi1", 101, dryrun=dry),
        "move the medium": lambda dry: moves.move(ANN, 100, "ide2", storage="other", dryrun=dry),
        "move the TPM's state": lambda dry: moves.move(ANN, 100, "tpmstate0", storage="other", dryrun=dry),
    }


CASES = [
    ("template", "template", "template-running"),
    ("give", "scsi1", "disk-in-use"),
    ("move the medium", "ide2", "medium-locked"),
    ("move the TPM's state", "tpmstate0", "tpm-running"),
]


@pytest.mark.parametrize(("verb", "key", "code"), CASES)
async def test_a_plan_says_what_needs_a_stop(here: Site, verb: str, key: str, code: str) -> None:
    act = verbs(here)[verb]
    stopped: Plan = await act(True)
    assert (stopped.when, stopped.refusal) == ("now", None)
    here.guests[100].state = State.RUNNING
    plan: Plan = await act(True)
    assert plan.when == "stop" and plan.refusal is not None and plan.refusal.error_code == code
    assert [step.title for step in plan.steps] == [step.title for step in stopped.steps], "as the stopped one's"
    record = plan.as_record()
    assert record["changes"] == [{**stopped.changes[0], "when": "stop", "reason": plan.refusal.cause}]
    assert record["changes"][0]["key"] == key and record["refusal"]["code"] == code and plan.refusal.cause
    with pytest.raises(NeedsStop):
        await act(False)
    assert not here.jobs.running()


async def test_what_a_stop_would_not_permit_either_is_refused(here: Site) -> None:
    here.guests[100].state = State.RUNNING
    here.guest(101, "template: 1\n")
    with pytest.raises(WrongState) as caught:
        await verbs(here)["give"](True)
    assert caught.value.error_code == "disk-bound"


def test_removing_a_running_guest_needs_a_stop_and_nothing_else_of_its_life_does() -> None:
    for state in State:
        for verb in Verb:
            if not isinstance(lifecycle.TABLE[state, verb], State):
                with pytest.raises(WrongState) as caught:
                    lifecycle.after(state, verb, 100)
                assert isinstance(caught.value, NeedsStop) is (verb is Verb.DELETE)
