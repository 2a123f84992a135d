"""What may be changed on the host itself: name servers, hosts file, zone of time, power, services, package lists.

Only the host's own daemon (the default instance) does this: a second daemon on the same machine, for tests or for a
developer, has no say in it. Files are replaced whole or not at all; what else changes is a tool's business.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tarmac.lib.files import failure_of, write_atomic
from tarmac.lib.process import run
from tarmac.model.digest import check_digest
from tarmac.model.errors import Denied, Fix, InvalidInput
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.services.access.access import Identity
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.node import host_info, units

_ZONES = Path("/usr/share/zoneinfo")
UNIT_VERBS = ("start", "stop", "restart", "reload")


class HostChanges:
    """`own`: whether this daemon is the host's; `etc` is where its files are."""

    def __init__(self, *, own: bool, jobs: Jobs, registry: Registry, etc: Path = Path("/etc")) -> None:
        self._own = own
        self._jobs = jobs
        self._etc = etc
        self._files = asyncio.Lock()
        registry.step("unit-change", self._do_unit)
        registry.step("packages-refresh", self._do_refresh)
        registry.kind("aptupdate", self._plan_refresh)
        for verb in UNIT_VERBS:
            registry.kind(f"srv{verb}", self._plan_unit)

    def check_own(self, what: str) -> None:
        """Raises Denied unless this daemon is the host's own."""
        if not self._own:
            raise Denied(
                f"cannot {what}: this daemon is not the host's own",
                code="not-the-hosts-daemon",
                cause="only the daemon that runs as the host's service may change the host",
                evidence="the instance is not `default`",
                fixes=[
                    Fix(text="use the daemon that `tarmac install-service` set up, or change the host by its own tools")
                ],
            )

    # -- files --------------------------------------------------------------------------------------------------

    async def set_dns(self, *, search: str, servers: tuple[str, ...]) -> None:
        """The search domain and the name servers, first first; other lines of the file stay. Without servers those
        that are there stay, as in Proxmox. Raises InvalidInput for a domain that would be more than its line."""
        self.check_own("change the name servers")
        if not search.isprintable():
            raise InvalidInput.of("search", "value must not contain line breaks or control characters")
        async with self._files:
            await asyncio.to_thread(self._write_dns, search, servers)

    def _write_dns(self, search: str, servers: tuple[str, ...]) -> None:
        path = self._etc / "resolv.conf"
        old = host_info.dns(path)
        servers = servers or tuple(old[key] for key in ("dns1", "dns2", "dns3") if key in old)
        kept = [
            line
            for line in host_info.text(path).splitlines()
            if line.split()[:1] not in (["search"], ["domain"], ["nameserver"])
        ]
        lines = [f"search {search}", *(f"nameserver {server}" for server in servers), *kept]
        self._replace(path, "\n".join(lines) + "\n")

    async def set_hosts(self, *, data: str, digest: str | None) -> None:
        """The hosts file as a whole. Raises Conflict when it has another `digest` now."""
        self.check_own("change the hosts file")
        async with self._files:  # between looking and writing nobody else may write
            await asyncio.to_thread(self._write_hosts, data, digest)

    def _write_hosts(self, data: str, digest: str | None) -> None:
        path = self._etc / "hosts"
        found = host_info.hosts(path)
        check_digest(digest, found["digest"], read="GET /nodes/{node}/hosts")
        self._replace(path, data if data.endswith("\n") else data + "\n")

    async def set_timezone(self, zone: str) -> None:
        """The host's zone by its name (`Europe/Vienna`). Raises InvalidInput for one that is not installed."""
        self.check_own("change the time zone")
        async with self._files:
            await asyncio.to_thread(self._write_zone, zone)

    def _write_zone(self, zone: str) -> None:
        place = _ZONES / zone
        known = ".." not in zone.split("/") and not zone.startswith("/") and place.is_file()
        if not known or place.read_bytes()[:4] != b"TZif":
            raise InvalidInput.of("timezone", f"No such timezone '{zone}'")
        link, fresh = self._etc / "localtime", self._etc / f".localtime.{os.getpid()}.tmp"
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(place)
            fresh.rename(link)
        except OSError as error:
            raise failure_of(error, "cannot change the time zone") from error
        self._replace(self._etc / "timezone", zone + "\n")

    def _replace(self, path: Path, text: str) -> None:
        """Through a symbolic link to the file that it leads to: resolv.conf often is one."""
        try:
            write_atomic(path.resolve(), text, mode=0o644)
        except OSError as error:
            raise failure_of(error, f"cannot write {path}") from error

    # -- power --------------------------------------------------------------------------------------------------

    async def power(self, command: str) -> None:
        """`reboot` or `shutdown` the host. Its guests are shut down in their order by the service's own stop."""
        self.check_own(f"{command} the host")
        await run(["systemctl", "--no-block", {"reboot": "reboot", "shutdown": "poweroff"}[command]])

    # -- services -----------------------------------------------------------------------------------------------

    async def change_unit(self, identity: Identity, service: str, verb: str, *, dryrun: bool = False) -> Started:
        """Start, stop, restart or reload a service of `units.SERVICES`, as a task; its UPID, or the plan."""
        args = {"service": service, "verb": verb}
        if dryrun:
            return await self._jobs.plan(f"srv{verb}", args)
        self.check_own(f"{verb} a service of the host")
        return await self._jobs.submit(f"srv{verb}", id=service, user=identity.name, args=args)

    async def _plan_unit(self, args: Mapping[str, Any]) -> Plan:
        unit = units.unit_of(args["service"])
        step = PlannedStep(
            step="unit-change", title=f"{args['verb']} {unit}", args={"verb": args["verb"], "unit": unit}
        )
        return Plan(steps=(step,))

    async def _do_unit(self, ctx: StepContext, verb: str, unit: str) -> None:
        # The daemon may be asked to restart itself: systemd goes on with that when it is gone.
        await run(["systemctl", "--no-block", verb, "--", unit])

    # -- packages -----------------------------------------------------------------------------------------------

    async def refresh_packages(self, identity: Identity, *, dryrun: bool = False) -> Started:
        """Fetch the lists of what could be updated, as a task; its UPID, or the plan."""
        if dryrun:
            return await self._jobs.plan("aptupdate", {})
        self.check_own("refresh the host's package lists")
        return await self._jobs.submit("aptupdate", id="", user=identity.name, queues=["node/packages"])

    async def _plan_refresh(self, args: Mapping[str, Any]) -> Plan:
        return Plan(steps=(PlannedStep(step="packages-refresh", title="apt-get update", args={}),))

    async def _do_refresh(self, ctx: StepContext) -> None:
        done = await run(["apt-get", "-q", "update"])
        for line in done.text.splitlines():
            ctx.log(line)
