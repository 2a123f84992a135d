"""Earlier configurations of a guest: who changed what and when, what differs, and going back to one.

A version is named by its revision, a number that only grows. The store has of each earlier version its text, and who
put an end to it, when and by which task: that is who made the next one (docs/format/history.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tarmac.model.conf_diff import KeyChange, changes, restorable, to_restore
from tarmac.model.conf_file import GuestFile, digest, parse_conf
from tarmac.model.errors import Fix, InvalidInput, NotFound, WrongState
from tarmac.model.ids import Upid
from tarmac.model.job import Started
from tarmac.services.access.access import Identity
from tarmac.services.changes.calls import ApiCall, at
from tarmac.services.configuration.configs import VmConfigs
from tarmac.services.configuration.values import shown
from tarmac.services.guests.guests import Guest, Guests


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version. `time` and `user` (of whoever made it) are None where that was not recorded."""

    revision: int
    text: str
    time: float | None = None
    user: str | None = None
    task: str = ""

    @cached_property
    def file(self) -> GuestFile:
        return parse_conf(self.text, lenient=True)


class GuestHistory:
    """Reads versions; going back is an ordinary change of the configuration (`qmconfig`)."""

    def __init__(self, *, guests: Guests, configs: VmConfigs) -> None:
        self._guests = guests
        self._configs = configs

    async def versions(self, vmid: int) -> list[dict[str, Any]]:
        """All versions, the present one first. Raises NotFound."""
        guest = self._guests.get(vmid)
        versions = await self._versions(guest)
        # A hundred versions with their snapshots take seconds to read.
        rows = await asyncio.to_thread(self._rows, guest, versions)
        rows[-1]["current"] = 1
        return rows[::-1]

    async def show(self, vmid: int, revision: int) -> dict[str, Any]:
        """One version: its configuration as `GET config` shows it, what was pending, and its text."""
        guest = self._guests.get(vmid)
        versions = await self._versions(guest)
        return await asyncio.to_thread(self._shown, guest, versions, revision)

    def _shown(self, guest: Guest, versions: Sequence[Version], revision: int) -> dict[str, Any]:
        place = self._place(guest, versions, revision)
        version, before = versions[place], versions[place - 1] if place else None
        file = version.file
        pending = shown(file.pending) | dict.fromkeys(file.pending_delete)
        return {
            **self._row(guest, version, before),
            "config": {**shown(file.current), "digest": digest(version.text)},
            "pending": pending,
            "snapshots": sorted(file.snapshots),
        }

    async def diff(self, vmid: int, revision: int, other: int | None = None) -> list[dict[str, Any]]:
        """What differs in `other` (the present version unless given), seen from `revision`."""
        guest = self._guests.get(vmid)
        versions = await self._versions(guest)
        old = versions[self._place(guest, versions, revision)]
        new = versions[-1] if other is None else versions[self._place(guest, versions, other)]
        return [change.row() for change in await asyncio.to_thread(_between, old, new)]

    async def restore(
        self,
        identity: Identity,
        vmid: int,
        revision: int,
        *,
        keys: Sequence[str] = (),
        digest: str | None = None,
        dryrun: bool = False,
    ) -> Started:
        """Make the configuration what it was in a version, or `keys` of it: at once where the running guest allows it,
        else at its next cold boot. Snapshots, and what verbs of their own make, stay as they are.

        Raises NotFound for the version, WrongState when nothing differs, what a change raises otherwise (a volume that
        is gone, a key the caller may not set)."""
        guest = self._guests.get(vmid)
        versions = await self._versions(guest)
        wanted = versions[self._place(guest, versions, revision)].file.merged()
        self._check_keys(keys)
        texts, deletes = to_restore(guest.file.merged(), wanted, keys or None)
        if not texts and not deletes:
            raise WrongState(
                f"guest {vmid} is as it was in revision {revision}",
                code="nothing-to-restore",
                cause="no key that can be brought back differs",
                evidence=f"keys: {','.join(keys) or 'all'}",
                fixes=[Fix(text="look at what differs", action=f"GET .../history/{revision}/diff")],
            )
        try:
            return await self._configs.update(
                identity, vmid, texts, delete=deletes, digest=digest or guest.digest, dryrun=dryrun
            )
        except InvalidInput as problem:
            raise _with_the_rest(problem, [*texts, *deletes], vmid, revision) from problem

    async def inverse(self, vmid: int, task: str) -> list[ApiCall]:
        """What would undo the change that a task made, if it can be undone."""
        guest = self._guests.find(vmid)
        if guest is None:
            return []
        versions = await self._versions(guest)
        for before, version in zip(versions, versions[1:], strict=False):
            if version.task == task:
                made = await asyncio.to_thread(_between, before, version)
                return self._inverse(guest, before, version, made)
        return []

    # -- values -------------------------------------------------------------------------------------------------

    async def _versions(self, guest: Guest) -> list[Version]:
        """Oldest first; the last one is the present."""
        earlier = await self._guests.history(guest.vmid)
        found = [Version(revision=revision, text=kept["text"], **kept.get("made", {})) for revision, kept in earlier]
        return [*found, Version(revision=guest.revision, text=guest.text, **guest.made)]

    def _rows(self, guest: Guest, versions: Sequence[Version]) -> list[dict[str, Any]]:
        return [self._row(guest, version, before) for before, version in zip([None, *versions], versions, strict=False)]

    def _row(self, guest: Guest, version: Version, before: Version | None) -> dict[str, Any]:
        row: dict[str, Any] = {"revision": version.revision, "digest": digest(version.text)}
        row |= {k: v for k, v in (("time", version.time), ("user", version.user)) if v is not None}
        if version.task:
            row["upid"] = version.task
        if before is not None:
            made = changes(before.file, version.file)
            row |= {"previous": before.revision, "changes": [change.row() for change in made]}
            row["inverse"] = [call.row() for call in self._inverse(guest, before, version, made)]
        return row

    def _inverse(self, guest: Guest, before: Version, version: Version, made: Sequence[KeyChange]) -> list[ApiCall]:
        """Only of what was a change of the configuration: a roll-back or a moved disk is more than its keys."""
        keys = dict.fromkeys(change.key for change in made if change.section != "snapshot" and restorable(change.key))
        if not keys or any(change.section == "snapshot" for change in made):
            return []
        if version.task and Upid.parse(version.task).type != "qmconfig":
            return []
        path = at("nodes", self._guests.node, "qemu", guest.vmid, "history", before.revision, "restore")
        return [ApiCall(method="POST", path=path, parameters={"keys": ",".join(keys)})]

    @staticmethod
    def _place(guest: Guest, versions: Sequence[Version], revision: int) -> int:
        for place, version in enumerate(versions):
            if version.revision == revision:
                return place
        raise NotFound(
            f"guest {guest.vmid} has no revision {revision}",
            code="no-such-revision",
            cause="it never had it, or it is so long ago that it was given up",
            evidence=f"there are {len(versions)}, {versions[0].revision} to {versions[-1].revision}",
            fixes=[Fix(text="look at its history", action=f"GET .../qemu/{guest.vmid}/history")],
        )

    @staticmethod
    def _check_keys(keys: Sequence[str]) -> None:
        if wrong := [key for key in keys if not restorable(key)]:
            raise InvalidInput.of("keys", f"'{wrong[0]}' is no key that can be brought back", code="not-restorable")


def _between(old: Version, new: Version) -> list[KeyChange]:
    """What differs; reading large configurations blocks."""
    return changes(old.file, new.file)


def _with_the_rest(problem: InvalidInput, keys: Sequence[str], vmid: int, revision: int) -> InvalidInput:
    """The same error with one more way out: to restore everything but the keys that are in the way."""
    rest = [key for key in keys if key not in problem.parameters]
    if not rest or len(rest) == len(keys):
        return problem
    fix = Fix(
        text=f"restore the rest, without {', '.join(key for key in keys if key in problem.parameters)}",
        action=f"POST .../qemu/{vmid}/history/{revision}/restore",
        parameters={"keys": ",".join(rest)},
    )
    return InvalidInput(
        problem.message,
        code=problem.error_code,
        cause=problem.cause or "what this key named is not there any more",
        evidence=problem.evidence,
        fixes=[*problem.fixes, fix],
        parameters=problem.parameters,
    )
