"""The node's guests start and stop in their order: which of them, in which groups, and how long each group has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from tarmac.model.conf_file import parse_conf
from tarmac.model.job import Plan
from tarmac.model.lifecycle import State
from tarmac.model.vm import VmConfig
from tarmac.services.access.access import Identity
from tarmac.services.guests.guests import Guests
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry
from tarmac.services.lifecycle.autostart import DOWN_SECONDS, Autostart

ROOT = Identity("root@pam")


def guest(vmid: int, text: str, state: State) -> Any:
    config = VmConfig.parse(parse_conf(text).current)
    return SimpleNamespace(vmid=vmid, config=config, state=state, template=config.template)


def autostart(*guests: Any) -> Autostart:
    registry = Registry()

    async def plan(kind: str, args: Any) -> Plan:
        return await registry.kinds[kind].plan(args)

    jobs = cast(Jobs, SimpleNamespace(plan=plan))
    return Autostart(node="n1", guests=cast(Guests, guests), jobs=jobs, registry=registry)


async def test_the_last_started_ends_first_and_a_group_has_the_time_of_its_slowest() -> None:
    node = autostart(
        guest(100, "startup: order=1,down=5\n", State.RUNNING),
        guest(101, "startup: order=2,down=7\n", State.RUNNING),
        guest(102, "startup: order=2,down=60\n", State.PAUSED),
        guest(103, "", State.RUNNING),
        guest(104, "", State.STOPPED),
    )
    plan = await node.stop_all(ROOT, dryrun=True)
    assert isinstance(plan, Plan)
    given = [(step.args["vmids"], step.args["timeout"]) for step in plan.steps]
    assert given == [([103], DOWN_SECONDS), ([101, 102], 60), ([100], 5)]


async def test_what_starts_with_the_node() -> None:
    node = autostart(
        guest(100, "onboot: 1\n", State.STOPPED),
        guest(101, "onboot: 1\nstartup: order=2,up=7\n", State.STOPPED),
        guest(102, "onboot: 1\nstartup: order=2,up=9\n", State.STOPPED),
        guest(103, "onboot: 1\nstartup: order=1\n", State.RUNNING),
        guest(104, "onboot: 1\ntemplate: 1\n", State.STOPPED),
        guest(105, "", State.STOPPED),
    )
    plan = await node.start_all(ROOT, dryrun=True)
    assert isinstance(plan, Plan)
    assert [(step.args["vmids"], step.args["wait"]) for step in plan.steps] == [([101, 102], 9), ([100], 0)]
    plan = await node.start_all(ROOT, force=True, vms=[105, 104], dryrun=True)
    assert isinstance(plan, Plan)
    assert [step.args["vmids"] for step in plan.steps] == [[105]]
