"""The datacenter's options and the node's, and what they govern from the start: `services.node.options`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.model.datacenter import Datacenter, NodeConfig, check_datacenter
from tarmac.services.changes.record import prune
from tarmac.services.jobs.retention import Retention
from tarmac.services.node.options import Options
from tarmac.services.registry import Services


async def add_options(ground: Ground, s: Services) -> None:
    s.datacenter = Options(
        store=ground.store, record="datacenter", declared=Datacenter, check=check_datacenter, settled=_settled
    )
    s.node_config = Options(store=ground.store, record=f"node/{ground.node}", declared=NodeConfig)
    await s.datacenter.load()
    await s.node_config.load()
    await prune(ground.store, "options")
    s.retention = Retention(journal=ground.journal, logs=ground.logs, rules=lambda: s.datacenter.value.task_retention)


def _settled(texts: dict[str, str]) -> dict[str, str]:
    """Old spellings as Proxmox writes them anew."""
    found = dict(texts)
    if found.get("console") == "applet":
        found["console"] = "html5"
    if (old := found.pop("migration_unsecure", None)) is not None and "migration" not in found:
        found["migration"] = "insecure" if old == "1" else "secure"
    return found
