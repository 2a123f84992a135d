"""The datacenter's options and the node's, and what they govern from the start: `services.node.options`."""

from __future__ import annotations

import os

from tarmac.composition.ground import Ground
from tarmac.model.datacenter import Datacenter, NodeConfig, check_datacenter
from tarmac.services.acme.accounts import AcmeAccounts
from tarmac.services.acme.orders import AcmeOrders
from tarmac.services.jobs.retention import Retention
from tarmac.services.node.options import Options
from tarmac.services.registry import Services

ACME_PORT = "TARMAC_ACME_PORT"  # where port 80 is forwarded to, for a daemon that may not or cannot listen there


async def add_options(ground: Ground, s: Services) -> None:
    s.datacenter = Options(
        store=ground.store, record="datacenter", declared=Datacenter, check=check_datacenter, settled=_settled
    )
    s.node_config = Options(store=ground.store, record=f"node/{ground.node}", declared=NodeConfig)
    await s.datacenter.load()
    await s.node_config.load()
    s.retention = Retention(journal=ground.journal, logs=ground.logs, rules=lambda: s.datacenter.value.task_retention)


async def add_acme(ground: Ground, s: Services) -> None:
    """Certificates that are ordered: `services.acme`."""
    s.acme_accounts = AcmeAccounts(store=ground.store, jobs=ground.jobs, registry=ground.registry)
    await s.acme_accounts.load()
    s.acme_orders = AcmeOrders(
        store=ground.store,
        jobs=ground.jobs,
        registry=ground.registry,
        accounts=s.acme_accounts,
        certificates=s.certificates,
        config=lambda: s.node_config.value,
        port=int(os.environ.get(ACME_PORT, "80")),
    )


def _settled(texts: dict[str, str]) -> dict[str, str]:
    """Old spellings as Proxmox writes them anew."""
    found = dict(texts)
    if found.get("console") == "applet":
        found["console"] = "html5"
    if (old := found.pop("migration_unsecure", None)) is not None and "migration" not in found:
        found["migration"] = "insecure" if old == "1" else "secure"
    return found
