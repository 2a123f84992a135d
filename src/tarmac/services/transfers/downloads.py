"""Downloads by URL into a storage, as a task: fetched into a hidden file, checked, put in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.volume_names import Content, normalize_file_name, parse_volume_name, upload_name
from tarmac.lib.web import FetchRules, fetch, own_addresses, translated
from tarmac.model.errors import Conflict, InvalidInput, NotBuilt, NotFound
from tarmac.model.ids import VolumeId
from tarmac.model.job import Plan, PlannedStep, Started
from tarmac.model.units import MIB
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry, StepContext
from tarmac.services.storage.storages import Storages
from tarmac.services.transfers.intake import Checksum, Sink, checksum_problems, examine, finish
from tarmac.services.transfers.unpack import COMPRESSIONS, UNPACKED, Unpacker

_CHUNK = 256 * 1024
_DISPOSITION = re.compile(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)\"?", re.IGNORECASE)


class Downloads:
    """`rules` bounds every fetch; `allowed` are hosts that the daemon's administrator named, besides each storage's
    `download-hosts`."""

    def __init__(
        self,
        *,
        storages: Storages,
        jail: Jail,
        jobs: Jobs,
        registry: Registry,
        rules: FetchRules | None = None,
        allowed: Collection[str] = (),
        own: Callable[[], Collection[str]] = own_addresses,
    ) -> None:
        self._storages = storages
        self._jail = jail
        self._jobs = jobs
        self._rules = rules or FetchRules()
        self._allowed = frozenset(allowed)
        self._own = own
        registry.step("download-fetch", self._do_fetch, self._undo_fetch)
        registry.step("download-finish", self._do_finish, commits=True)
        registry.kind("download", self._plan)

    async def download(
        self,
        user: str,
        storage: str,
        content: str,
        filename: str,
        url: str,
        *,
        checksum: str | None = None,
        algorithm: str | None = None,
        compression: str | None = None,
        verify: bool = True,
        dryrun: bool = False,
    ) -> Started:
        """`POST download-url`: returns the task.

        Raises InvalidInput, NotFound, Conflict (`refusing to override existing file 'x'`), NotBuilt (compression)."""
        problems = checksum_problems(checksum, algorithm)
        if compression is not None and compression not in COMPRESSIONS:
            words = ", ".join(COMPRESSIONS)
            problems["compression"] = f"value '{compression}' does not have a value in the enumeration '{words}'"
        if urlsplit(url).scheme not in ("http", "https"):
            problems["url"] = "value does not match the regex pattern"
        if problems:
            raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)
        if compression is not None and compression not in UNPACKED:
            raise NotBuilt(f"compression '{compression}' is not built yet", evidence=f"compression: {compression}")
        if compression is not None and content != Content.ISO:
            raise InvalidInput.of("compression", "decompression not supported for " + content)
        name = upload_name(content, filename)
        await self._check_free(storage, str(name))
        args: dict[str, Any] = {"storage": storage, "volume": str(name), "url": url, "verify": verify}
        args |= {"checksum": checksum, "algorithm": algorithm, "compression": compression}
        if dryrun:
            return await self._jobs.plan("download", args)
        return await self._jobs.submit("download", id="", user=user, args=args, queues=[f"volume/{storage}:{name}"])

    async def metadata(self, url: str, *, verify: bool = True) -> dict[str, Any]:
        """`GET query-url-metadata`: filename, size and mimetype as far as the server tells them.

        Raises InvalidInput, Denied (`address-refused`), HostFailure, Unavailable."""
        rules = self._rules_for(None, verify)
        async with fetch(url, rules, method="HEAD", own=self._own) as response:
            found: dict[str, Any] = {}
            disposition = _DISPOSITION.search(response.headers.get("Content-Disposition", ""))
            name = disposition[1] if disposition else unquote(response.url.path.rpartition("/")[2])
            if name:
                found["filename"] = normalize_file_name(name)
            if response.content_length is not None:
                found["size"] = response.content_length
            if "Content-Type" in response.headers:
                found["mimetype"] = response.content_type
            return found

    def _rules_for(self, storage: str | None, verify: bool) -> FetchRules:
        named = frozenset(self._storages.definition_record(storage).download_hosts) if storage else frozenset()
        rules = self._rules
        return FetchRules(
            allowed=rules.allowed | self._allowed | named,
            connect=rules.connect,
            stall=rules.stall,
            redirects=rules.redirects,
            verify=verify,
        )

    async def _check_free(self, storage: str, volume: str) -> None:
        name = parse_volume_name(volume)
        driver = self._storages.files(storage, name.content)
        try:
            await driver.info(VolumeId(storage, volume))
        except NotFound:
            return
        raise Conflict(f"refusing to override existing file '{name.file}'", code="volume-exists")

    async def _plan(self, args: Mapping[str, Any]) -> Plan:
        volid = f"{args['storage']}:{args['volume']}"
        where = {"storage": args["storage"], "volume": args["volume"]}
        steps = (
            PlannedStep(step="download-fetch", title=f"downloading {args['url']} to {volid}", args=dict(args)),
            PlannedStep(step="download-finish", title=f"put {volid} in its place", args=where),
        )
        return Plan(steps=steps, result={"volid": volid})

    async def _do_fetch(
        self,
        ctx: StepContext,
        storage: str,
        volume: str,
        url: str,
        verify: bool,
        checksum: str | None,
        algorithm: str | None,
        compression: str | None,
    ) -> dict[str, int]:
        name = parse_volume_name(volume)
        driver = self._storages.files(storage, name.content)
        await self._check_free(storage, volume)
        staged = await driver.stage(name, ctx.upid)
        async with fetch(url, self._rules_for(storage, verify), own=self._own) as response:
            total = response.content_length
            received = Checksum(algorithm)
            async with (
                self._storages.space.held(driver, f"download of {name.file} ({ctx.upid})", total or 0),
                await Sink.open(staged) as sink,
            ):
                await self._pour(ctx, url, response, sink, compression, received)
                await sink.end()
        received.compare(checksum, name.file)
        await examine(driver, self._jail, name, ctx.upid)
        ctx.log(f"{sink.size} bytes" + (f", {algorithm} checksum is right" if checksum else ""))
        return {"size": sink.size}

    async def _pour(
        self,
        ctx: StepContext,
        url: str,
        response: aiohttp.ClientResponse,
        sink: Sink,
        compression: str | None,
        received: Checksum,
    ) -> None:
        """The body into the sink. The checksum is that of what the server sent, before it is unpacked."""
        unpacker = Unpacker(compression) if compression is not None else None
        done, total, shown = 0, response.content_length or 0, 0
        with translated(url):
            async for chunk in response.content.iter_chunked(_CHUNK):
                done += len(chunk)
                received.update(chunk)
                if unpacker is None:
                    await sink.write(chunk)
                else:
                    await unpacker.feed(chunk, sink.write)
                if done - shown >= MIB or done == total:
                    shown = done
                    ctx.progress(done, total, "bytes")
        if unpacker is not None:
            unpacker.end()

    async def _undo_fetch(self, ctx: StepContext, storage: str, volume: str, **_: Any) -> None:
        await self._storages.files(storage).discard(parse_volume_name(volume), ctx.upid)

    async def _do_finish(self, ctx: StepContext, storage: str, volume: str) -> dict[str, str]:
        name = parse_volume_name(volume)
        driver = self._storages.files(storage, name.content)
        return {"volid": str(await finish(driver, self._jail, name, ctx.upid, replace=False))}
