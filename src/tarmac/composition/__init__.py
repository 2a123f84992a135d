"""Every service, built and handed what it needs, from the ground up. `daemon.py` starts and stops what this makes.

Nothing that runs is touched here; files are opened and the host is probed. What must be closed again is on `stack`,
in the order of building, so that it is closed in the reverse order.
"""

from __future__ import annotations

import contextlib

from tarmac.composition.changes import add_changes
from tarmac.composition.copies import add_copies
from tarmac.composition.ground import Ground, lay_ground
from tarmac.composition.guests import add_guests, add_many_guests
from tarmac.composition.instant import add_instant
from tarmac.composition.networks import add_networks
from tarmac.composition.options import add_acme, add_options
from tarmac.composition.people import add_people
from tarmac.composition.running import add_running
from tarmac.composition.snapshots import add_snapshots
from tarmac.composition.storage import add_node, add_storage
from tarmac.composition.told import add_told
from tarmac.services.access.audit import Audit
from tarmac.services.jobs.tasks import Tasks
from tarmac.services.registry import Services
from tarmac.version import VERSION

__all__ = ["Ground", "compose", "lay_ground"]


async def compose(ground: Ground, stack: contextlib.AsyncExitStack) -> Services:
    """All services. Raises HostFailure where the host lacks what every guest needs (QEMU)."""
    services = Services(node=ground.node, version=VERSION, jobs=ground.jobs, tasks=Tasks(ground.jobs))
    await add_people(ground, services)
    services.audit = Audit(ground.data / "audit")
    stack.callback(services.audit.close)
    await add_options(ground, services)
    await add_acme(ground, services)
    await add_node(ground, services)
    await add_storage(ground, services)
    await add_networks(ground, services, stack)
    add_running(ground, services, stack)
    await services.instant_records.load()
    await services.frozen_records.load()
    await services.memory_settings.load()
    add_guests(ground, services)
    add_copies(ground, services)
    add_instant(ground, services)
    add_many_guests(ground, services)
    await add_snapshots(ground, services)
    add_changes(ground, services)
    await add_told(ground, services)
    return services
