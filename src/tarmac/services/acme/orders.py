"""Ordering the node's certificate: for the names in the node's configuration, proved by HTTP, renewed in time.

acme/certificate    {"format": 1, "fingerprint", "account"}: which certificate was ordered, and by whom
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tarmac.drivers.acme import client
from tarmac.drivers.store.base import Store
from tarmac.model.datacenter import Acme, NodeConfig
from tarmac.model.errors import Fix, InvalidInput, NotBuilt, WrongState
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.parse import list_items
from tarmac.model.users import ROOT
from tarmac.services.access.access import Identity
from tarmac.services.acme.accounts import AcmeAccounts
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.node.certificates import Certificates, load

KEY = "acme/certificate"
RENEW_BEFORE = datetime.timedelta(days=30)
STANDALONE = "standalone"


class AcmeOrders:
    """`config` is the node's configuration as it is; `port` where the authority's question arrives."""

    def __init__(
        self,
        *,
        store: Store,
        jobs: Jobs,
        registry: Registry,
        accounts: AcmeAccounts,
        certificates: Certificates,
        config: Callable[[], NodeConfig],
        port: int,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._accounts = accounts
        self._certificates = certificates
        self._config = config
        self._port = port
        registry.step("acme-order", self._do_order)
        registry.step("acme-revoke", self._do_revoke)
        registry.kind("acmenewcert", self._plan_order)
        registry.kind("acmerenew", self._plan_order)
        registry.kind("acmerevoke", self._plan_revoke)

    async def order(self, identity: Identity, *, force: bool, dryrun: bool) -> Started:
        """`acmenewcert`. Raises InvalidInput while there is another custom certificate, unless `force`; WrongState
        where the node's configuration names nothing to order for."""
        if self._certificates.brought.exists() and not force:
            raise InvalidInput.of(
                "force", "Custom certificate exists but 'force' is not set.", code="certificate-exists"
            )
        return await self._begin(identity, "acmenewcert", dryrun)

    async def renew(self, identity: Identity, *, force: bool, dryrun: bool) -> Started:
        """`acmerenew`. Raises InvalidInput while the present one is good for another 30 days, unless `force`."""
        present = await self._present()
        if present.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > RENEW_BEFORE and not force:
            text = "Certificate does not expire within the next 30 days, and 'force' is not set."
            raise InvalidInput.of("force", text, code="not-due")
        return await self._begin(identity, "acmerenew", dryrun)

    async def revoke(self, identity: Identity, *, dryrun: bool) -> Started:
        """`acmerevoke`: the authority calls it invalid, and the node's own is shown again."""
        await self._present()
        await self._account_of_present()
        return await self._begin(identity, "acmerevoke", dryrun)

    async def renew_due(self) -> None:
        """Renew what was ordered and ends soon; the daemon calls it once a day."""
        if not self._certificates.brought.exists() or await self._record() is None:
            return
        present = await self._present()
        if present.not_valid_after_utc - datetime.datetime.now(datetime.UTC) <= RENEW_BEFORE:
            await self._jobs.submit("acmerenew", id="", user=ROOT, args={}, queues=["acme/certificate"])

    async def _begin(self, identity: Identity, kind: str, dryrun: bool) -> Started:
        plan = await self._jobs.plan(kind, {})
        if dryrun:
            return plan
        return await self._jobs.submit(kind, id="", user=identity.name, args={}, queues=["acme/certificate"])

    # -- plans and steps ----------------------------------------------------------------------------------------

    async def _plan_order(self, args: Mapping[str, Any]) -> Plan:
        account, domains = wanted(self._config())
        self._accounts.get(account)
        title = f"order a certificate for {', '.join(domains)}"
        step = PlannedStep(step="acme-order", title=title, args={"account": account, "domains": domains})
        effect = f"the authority asks each name's port 80; this node answers on port {self._port} meanwhile"
        return Plan(steps=(step,), effects=(effect,))

    async def _plan_revoke(self, args: Mapping[str, Any]) -> Plan:
        return Plan(steps=(PlannedStep(step="acme-revoke", title="revoke the certificate"),))

    async def _do_order(self, ctx: StepContext, account: str, domains: list[str]) -> dict[str, str]:
        chain, key = await self._accounts.calls.run(
            client.order, self._accounts.get(account), domains, port=self._port, say=ctx.log
        )
        row = await self._certificates.bring(chain, key, force=True)
        record = {"format": 1, "fingerprint": row["fingerprint"], "account": account}
        await self._store.put(KEY, json.dumps(record).encode())
        ctx.log(f"certificate of {row['issuer']} until {datetime.datetime.fromtimestamp(row['notafter'])}: shown now")
        return {"fingerprint": str(row["fingerprint"])}

    async def _do_revoke(self, ctx: StepContext) -> None:
        account = await self._account_of_present()
        await self._accounts.calls.run(client.revoke, self._accounts.get(account), await self._present())
        await self._certificates.remove()
        await self._store.transact([], deletes=[KEY])

    # -- what there is ------------------------------------------------------------------------------------------

    async def _present(self) -> x509.Certificate:
        if not self._certificates.brought.exists():
            raise WrongState(
                "No current (custom) certificate found, please order a new certificate!",
                code="no-certificate",
                cause="the node's own is shown",
                fixes=[Fix(text="order one", action="POST .../certificates/acme/certificate")],
            )
        return (await asyncio.to_thread(load, self._certificates.brought))[0]

    async def _record(self) -> dict[str, Any] | None:
        """What is known of the order of the present certificate; None if it was not ordered."""
        entry = await self._store.get(KEY)
        if entry is None:
            return None
        record: dict[str, Any] = json.loads(entry.value)
        present = (await self._present()).fingerprint(hashes.SHA256()).hex(":").upper()
        return record if record["fingerprint"] == present else None

    async def _account_of_present(self) -> str:
        record = await self._record()
        if record is None:
            raise WrongState(
                "the certificate was not ordered by this node",
                code="not-ordered",
                cause="somebody brought it, so no account here can revoke it",
                fixes=[Fix(text="only remove it", action="DELETE .../certificates/custom")],
            )
        return str(record["account"])


def wanted(config: NodeConfig) -> tuple[str, list[str]]:
    """The account and the names that a node's configuration says. Raises WrongState without a name, NotBuilt for a
    proof by DNS."""
    acme = config.acme or Acme()
    domains = list_items(acme.domains or "")
    for entry in config.acmedomain.values():
        if entry.plugin not in (None, STANDALONE):
            raise NotBuilt(
                f"the plugin '{entry.plugin}' of {entry.domain} is not built",
                cause="names are proved by HTTP; proofs by DNS are not built yet",
                evidence=f"acmedomain: {entry.domain}",
                fixes=[Fix(text="use the plugin standalone", action="PUT /nodes/{node}/config")],
            )
        domains.append(entry.domain)
    if not domains:
        raise WrongState(
            "no ACME domains configured",
            code="no-domains",
            cause="the node's configuration names nothing to order a certificate for",
            fixes=[
                Fix(
                    text="name one",
                    action="PUT /nodes/{node}/config",
                    parameters={"acmedomain0": "node.example.com"},
                )
            ],
        )
    return acme.account or "default", list(dict.fromkeys(domains))
