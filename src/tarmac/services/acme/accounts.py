"""Accounts with authorities: registered, changed and deactivated in tasks, as in Proxmox; their keys are never shown.

acme/accounts/<name>            {"format": 1, "directory", "location", "tos", "body"}
secrets/acme/accounts/<name>    {"key": PEM}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.drivers.acme import client
from tarmac.drivers.acme.client import Account
from tarmac.drivers.store.base import Compare, Store
from tarmac.lib.hostcalls import HostCalls
from tarmac.model.errors import Fix, InvalidInput, NotFound
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.services.access.access import Identity
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext

PREFIX = "acme/accounts/"
SECRETS = "secrets/acme/accounts/"
DIRECTORIES = (
    {"name": "Let's Encrypt V2", "url": "https://acme-v02.api.letsencrypt.org/directory"},
    {"name": "Let's Encrypt V2 Staging", "url": "https://acme-staging-v02.api.letsencrypt.org/directory"},
)


class AcmeAccounts:
    """See the module."""

    def __init__(self, *, store: Store, jobs: Jobs, registry: Registry) -> None:
        self._store = store
        self._jobs = jobs
        self._accounts: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        self.calls = HostCalls("acme", limit=4)
        """Threads of their own: an authority that hangs holds up nobody who does not ask one."""
        for word, do in (("register", self._register), ("update", self._update), ("deactivate", self._deactivate)):
            registry.step(f"acme-{word}", do)
            registry.kind(f"acme{word}", self._planner(word))

    async def load(self) -> None:
        """Read all; called once."""
        for entry in await self._store.range(PREFIX):
            self._accounts[entry.key.removeprefix(PREFIX)] = json.loads(entry.value)
        for entry in await self._store.range(SECRETS):
            self._keys[entry.key.removeprefix(SECRETS)] = json.loads(entry.value)["key"]

    # -- reading ------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(self._accounts)

    def show(self, name: str) -> dict[str, Any]:
        """`GET /cluster/acme/account/{name}`, as the authority last told it. Raises NotFound."""
        record = self._record(name)
        shown = {"directory": record["directory"], "location": record["location"], "account": record["body"]}
        return {**shown, **({"tos": record["tos"]} if record.get("tos") else {})}

    def get(self, name: str) -> Account:
        """Raises NotFound."""
        record = self._record(name)
        return Account(directory=record["directory"], location=record["location"], key=self._keys[name])

    async def meta(self, directory: str) -> dict[str, Any]:
        """What an authority says of itself. Raises Unavailable, HostFailure."""
        return await self.calls.run(client.meta, directory)

    # -- tasks --------------------------------------------------------------------------------------------------

    async def register(
        self, identity: Identity, name: str, contact: Sequence[str], *, directory: str, tos: str | None, dryrun: bool
    ) -> Started:
        """`acmeregister`. Raises InvalidInput for a name that is taken."""
        if name in self._accounts:
            raise InvalidInput.of("name", f"ACME account config file '{name}' already exists.", code="account-exists")
        args = {"name": name, "contact": list(contact), "directory": directory, "tos": tos}
        return await self._begin(identity, "acmeregister", args, dryrun)

    async def update(self, identity: Identity, name: str, contact: Sequence[str], *, dryrun: bool) -> Started:
        """`acmeupdate`: another contact; without one what the authority says is read anew."""
        self._record(name)
        return await self._begin(identity, "acmeupdate", {"name": name, "contact": list(contact)}, dryrun)

    async def deactivate(self, identity: Identity, name: str, *, dryrun: bool) -> Started:
        """`acmedeactivate`: the authority takes no orders of it any more; it is forgotten here."""
        self._record(name)
        return await self._begin(identity, "acmedeactivate", {"name": name}, dryrun)

    async def _begin(self, identity: Identity, kind: str, args: Mapping[str, Any], dryrun: bool) -> Started:
        if dryrun:
            return await self._jobs.plan(kind, args)
        queues = [f"acme/{args['name']}"]
        return await self._jobs.submit(kind, id=args["name"], user=identity.name, args=args, queues=queues)

    @staticmethod
    def _planner(word: str) -> Any:
        async def plan(args: Mapping[str, Any]) -> Plan:
            title = f"{word} the ACME account {args['name']}"
            return Plan(steps=(PlannedStep(step=f"acme-{word}", title=title, args=dict(args)),))

        return plan

    async def _register(
        self, ctx: StepContext, name: str, contact: Sequence[str], directory: str, tos: str | None
    ) -> None:
        if name in self._accounts:
            return
        account, body = await self.calls.run(client.register, directory, contact)
        record = {"format": 1, "directory": directory, "location": account.location, "tos": tos, "body": body}
        puts = {PREFIX + name: json.dumps(record).encode(), SECRETS + name: json.dumps({"key": account.key}).encode()}
        await self._store.transact([Compare.absent(PREFIX + name)], puts)
        self._accounts[name], self._keys[name] = record, account.key
        ctx.log(f"registered as {account.location}")

    async def _update(self, ctx: StepContext, name: str, contact: Sequence[str]) -> None:
        account = self.get(name)
        if contact:
            body = await self.calls.run(client.update, account, contact)
        else:
            body = await self.calls.run(client.query, account)
        record = {**self._record(name), "body": body}
        await self._store.put(PREFIX + name, json.dumps(record).encode())
        self._accounts[name] = record

    async def _deactivate(self, ctx: StepContext, name: str) -> None:
        await self.calls.run(client.deactivate, self.get(name))
        await self._store.transact([], deletes=[PREFIX + name, SECRETS + name])
        del self._accounts[name], self._keys[name]

    def _record(self, name: str) -> dict[str, Any]:
        try:
            return self._accounts[name]
        except KeyError:
            raise NotFound(
                f"ACME account config file '{name}' does not exist.",
                code="no-such-account",
                cause="no account has this name",
                evidence=f"there are: {', '.join(self.names()) or 'none'}",
                fixes=[Fix(text="register one", action="POST /cluster/acme/account", parameters={"name": name})],
            ) from None
