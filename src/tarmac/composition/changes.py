"""What was changed, and how to go back: `services.changes`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.services.changes.definitions import DefinitionHistory
from tarmac.services.changes.guest_history import GuestHistory
from tarmac.services.changes.inverse import Inverses
from tarmac.services.registry import Services


def add_changes(ground: Ground, s: Services) -> None:
    """The histories; a task's status names its inverse from now on."""
    s.guest_history = GuestHistory(guests=s.guests, configs=s.vm_configs)
    s.definition_history = DefinitionHistory(store=ground.store, groups_of=ground.users.groups_of)
    s.tasks.inverse_of = Inverses(node=ground.node, changed_by=s.guest_history.inverse).of
