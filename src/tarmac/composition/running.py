"""The running side of guests: `services.running`, and what is remembered of instant clones."""

from __future__ import annotations

import contextlib

import psutil

from tarmac.composition.ground import Ground
from tarmac.drivers.network.tap import Taps
from tarmac.drivers.qemu import cgroups
from tarmac.services.instant.admission import CloneAdmission
from tarmac.services.instant.frozen_records import FrozenRecords
from tarmac.services.instant.records import InstantRecords
from tarmac.services.instant.states import LiveStates
from tarmac.services.node.memory_settings import MemorySettings
from tarmac.services.registry import Services
from tarmac.services.running.agents import Agents
from tarmac.services.running.console_sessions import ConsoleSessions
from tarmac.services.running.consoles import Consoles
from tarmac.services.running.human_monitor import HumanMonitor
from tarmac.services.running.launcher import Launcher
from tarmac.services.running.runtime import Runtime
from tarmac.services.running.usage import UsageSampler


def add_running(ground: Ground, s: Services, stack: contextlib.AsyncExitStack) -> None:
    """The running side."""
    s.agents = Agents(s.guests)
    s.instant_records = InstantRecords(ground.store)
    s.frozen_records = FrozenRecords(ground.store)
    s.consoles = Consoles(guests=s.guests)
    s.launcher = Launcher(
        runtime_root=ground.instance.runtime,
        instance=ground.instance.id,
        cgroups=cgroups.detect(),
        taps=Taps(ground.mark),
        volumes=s.volumes,
        probe=s.probe,
        keyboard=lambda: s.datacenter.value.keyboard,
    )
    s.runtime = Runtime(
        guests=s.guests,
        launcher=s.launcher,
        consoles=s.consoles,
        agents=s.agents,
        supervisor=ground.supervisor,
    )
    stack.push_async_callback(s.runtime.let_go)
    s.human_monitor = HumanMonitor(guests=s.guests, runtime=s.runtime, access=ground.access)
    s.live_states = LiveStates(
        guests=s.guests, storages=s.storages, launcher=s.launcher, probe=s.probe, records=s.instant_records
    )
    stack.push_async_callback(s.live_states.close)
    s.memory_settings = MemorySettings(ground.store, total=psutil.virtual_memory().total)
    s.clone_admission = CloneAdmission(
        guests=s.guests, records=s.instant_records, states=s.live_states, settings=s.memory_settings
    )
    s.console_sessions = ConsoleSessions(
        consoles=s.consoles,
        tickets=s.tickets,
        access=ground.access,
        directory=ground.users,
        jobs=ground.jobs,
        registry=ground.registry,
    )
    s.usage = UsageSampler(s.guests, ground.mark)
