"""What people are told of storages, once each time it begins and once when it is over:

storage-reserve    less is free than the reserve              over with a tenth of the reserve more
storage-forecast   full within `forecast-days`                over when that is half as long again
storage-stale      the storage does not answer                over with its next answer
guest-waits        a guest waits for space, or after an error  over when it runs or is off
"""

from __future__ import annotations

from collections.abc import Mapping

from tarmac.drivers.storage.values import StorageStatus
from tarmac.model.errors import TarmacError
from tarmac.model.lifecycle import State
from tarmac.model.units import human_size
from tarmac.services.events.alarms import Alarms
from tarmac.services.guests.guests import Guests
from tarmac.services.storage.storages import Storages

MARGIN = 1.1
"""How much more than the reserve must be free before its alarm is over: else one guest's writes would end and begin it
again and again."""
LONGER = 1.5


class StorageAlarms:
    """`probe` does the rounds, `guest_waits` is called by who watches guests."""

    def __init__(self, *, storages: Storages, guests: Guests, alarms: Alarms) -> None:
        self._storages = storages
        self._guests = guests
        self._alarms = alarms

    async def probe(self) -> None:
        """Ask all storages, and tell what has begun or ended by that; the daemon calls it every few seconds."""
        await self._storages.refresh()
        await self.look()

    async def look(self) -> None:
        """Compare what the last probes told with what people were told."""
        used = {driver.id for driver in self._storages.usable()}
        for id in sorted(used):
            await self._stale(id)
            probed = self._storages.probe[id]
            if probed.active and probed.status is not None:
                await self._reserve(id, probed.status)
                await self._forecast(id, probed.status)
        for key in self._alarms.keys("storage/"):
            if key.split("/")[1] not in used:
                await self._alarms.forget(key)
        for key in self._alarms.keys("guest/"):
            await self._guest(key, int(key.split("/")[1]))

    async def _stale(self, id: str) -> None:
        key, problem, fields = f"storage/{id}/stale", self._storages.probe[id].problem, _fields("storage-stale", id)
        if problem is None:
            await self._alarms.end(key, f"storage '{id}' answers again", "It can be used again.", fields)
            return
        text = _told(problem, "Guests and tasks that need it wait or fail; others are not touched.")
        await self._alarms.begin(key, "error", f"storage '{id}' does not answer", text, fields)

    async def _reserve(self, id: str, status: StorageStatus) -> None:
        key, fields = f"storage/{id}/reserve", _fields("storage-reserve", id)
        reserve = self._storages.space.outlook(id, status).reserve
        free = f"{human_size(status.available)} of {human_size(status.total)} are free"
        if status.available < reserve:
            text = (
                f"{free}, less than the reserve of {human_size(reserve)}: nothing new is made there, and a guest whose "
                f"write finds no room will wait.\nwhat helps: remove what nobody needs (tarmac storage orphans {id}), "
                "or make the storage larger"
            )
            await self._alarms.begin(key, "error", f"storage '{id}' is almost full", text, fields)
        elif status.available >= reserve * MARGIN:
            await self._alarms.end(key, f"storage '{id}' has room again", f"{free}.", fields)

    async def _forecast(self, id: str, status: StorageStatus) -> None:
        key, fields = f"storage/{id}/forecast", _fields("storage-forecast", id)
        seen = self._storages.space.outlook(id, status)
        within = seen.forecast_seconds
        if within and seen.full_in is not None and seen.full_in < within:
            text = f"{human_size(status.available)} are free. It is {seen.forecast}."
            await self._alarms.begin(key, "warning", f"storage '{id}' will be full soon", text, fields)
        elif not within or seen.full_in is None or seen.full_in > within * LONGER:
            await self._alarms.end(key, f"storage '{id}' lasts longer again", "It grows more slowly now.", fields)

    async def guest_waits(self, vmid: int, problem: TarmacError) -> None:
        """A guest was paused because its storage refused a write."""
        text = _told(problem, *(f"what helps: {fix.text}" for fix in problem.fixes))
        fields = {"type": "guest-waits", "vmid": str(vmid)}
        await self._alarms.begin(f"guest/{vmid}/io-error", "error", problem.message, text, fields)

    async def _guest(self, key: str, vmid: int) -> None:
        """Whether it still waits; also one that was let go on by hand, or while no daemon ran."""
        guest = self._guests.find(vmid)
        if guest is None:
            await self._alarms.forget(key)
        elif guest.state is not State.IO_ERROR:
            fields = {"type": "guest-waits", "vmid": str(vmid)}
            text = f"It no longer waits for its storage: it is {guest.state}. Nothing was lost."
            await self._alarms.end(key, f"VM {vmid} no longer waits", text, fields)


def _fields(type: str, storage: str) -> Mapping[str, str]:
    return {"type": type, "storage": storage}


def _told(problem: TarmacError, *more: str) -> str:
    lines = [problem.message, problem.cause and f"cause: {problem.cause}", problem.evidence and f"({problem.evidence})"]
    return "\n".join([line for line in lines if line] + list(more))
