"""Changes in a running guest: plug and unplug disks and network cards, change media, limits, links, shares.

What must happen is `drivers/qemu/argv/delta` (pure); this carries it out, in an order in which nothing is used that is
not there. What QEMU really has decides (`drivers/qemu/parts`): what is gone is not taken out again, what is there is
not put in again. So a change that was cut off anywhere can be repeated, and undone by applying its reverse. A device
is gone when the guest has let go of it: a guest that does not answer within the limit keeps it, and the change fails
without having changed the configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from tarmac.drivers.qemu.argv import Launch
from tarmac.drivers.qemu.argv.delta import Delta, delta, identity, parts_of
from tarmac.drivers.qemu.own_time import own_time
from tarmac.drivers.qemu.parts import Part, parts
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import Fix, HostFailure, TarmacError, Unavailable
from tarmac.model.units import MIB
from tarmac.model.vm import VmConfig
from tarmac.model.vm_change import Late, is_device
from tarmac.services.guests.guests import Guest
from tarmac.services.running.launcher import Launcher
from tarmac.services.running.runtime import Runtime

UNPLUG_SECONDS, UNPLUG_MOST_SECONDS = 15.0, 150.0  # of its own time, and of everybody's
SETTLE_SECONDS = 1.0
FREE_TRIES, FREE_SECONDS = 100, 0.05
_TAKEN = re.compile(r"in use|Permission conflict|Duplicate")
# QEMU leaves the limits that it is not told as they are.
NO_LIMITS = {
    f"{unit}-{way}{part}": value
    for unit in ("bps", "iops")
    for way in ("total", "read", "write")
    for part, value in (("", 0), ("-max", 0), ("-max-length", 1))
}
Texts = Mapping[str, str]
_SHARES = ("balloon", "cpulimit", "cpuunits")


class VmLive:
    """`obstacle` decides by building both command lines; `apply` brings the running guest from one to the other."""

    def __init__(self, *, runtime: Runtime, launcher: Launcher) -> None:
        self._runtime = runtime
        self._launcher = launcher

    async def obstacle(self, guest: Guest, key: str, new: Texts, planned: Collection[str] = ()) -> Late | None:
        """Why the running guest cannot be given `new` (its whole active section, changed in `key`), None where it can;
        `planned` are volumes that will have been made by then."""
        config = VmConfig.parse(new)
        try:
            difference = await self._delta(guest, guest.file.current, config, planned)
        except TarmacError:  # whatever it is, it comes up at the start
            return Late(reason="whether it can be built shows at the guest's start")
        if not difference.live:
            return Late(reason="a running machine cannot be given it, or be rid of it")
        word = "network" if key.startswith("net") else "disk"
        comes_or_goes = difference.devices([*difference.added, *difference.removed])
        if (
            comes_or_goes and word not in guest.config.hotplug_classes
        ):  # media, limits and links need none, as in Proxmox
            return Late(reason=f"the guest's setting 'hotplug' leaves out '{word}'")
        return None

    async def apply(self, guest: Guest, old: Texts, new: Texts) -> None:
        """Carry out what is still lacking of the difference. Raises HostFailure or Unavailable; what was done before
        that stays done: applying it again goes on, applying the reverse undoes it."""
        qmp = self._runtime.monitor(guest)
        config = VmConfig.parse(new)
        difference = await self._delta(guest, old, config)
        await self._launcher.own(guest, config)
        for name, limits in difference.limits.items():
            await qmp.qom_set(f"/objects/{name}", "limits", {**NO_LIMITS, **limits})
        for device in difference.media:
            await _take_medium(qmp, device)
        present = await parts(qmp)
        for option, text in difference.removed:
            if (option, identity(option, text)) in present:
                await self._unplug(guest, qmp, option, identity(option, text))
        present = await self._settled(guest, qmp, difference)
        for option, text in difference.added:
            if (option, identity(option, text)) not in present:
                await self._plug(guest, qmp, option, text, config)
        for device, node in difference.media.items():
            if node:
                await qmp.insert_medium(device, node)
            await qmp.close_tray(device)
        for command in difference.commands:
            await qmp.execute(command.command, command.arguments)
        await self._shares(guest, qmp, config)

    async def plug_cards(self, guest: Guest, keys: Collection[str], *, linked: bool) -> None:
        """Give the running guest network cards of its configuration; not `linked`: with the cable out."""
        qmp = self._runtime.monitor(guest)
        await self._drop_back_ends(guest, qmp, keys)
        launch = await self._launcher.plan(guest.vmid, guest.config)
        for option, text in parts_of(launch.argv):
            if option in ("-netdev", "-device") and identity(option, text) in keys:
                await self._plug(guest, qmp, option, text, guest.config)
        for key in keys:
            if not linked or guest.config.net[int(key.removeprefix("net"))].link_down:
                await qmp.set_link(key, False)

    async def _drop_back_ends(self, guest: Guest, qmp: Qmp, keys: Collection[str]) -> None:
        """A card that its guest let go of only after we had given up has left its back end, with its name."""
        present = await parts(qmp)
        for key in keys:
            if ("-netdev", key) in present and ("-device", key) not in present:
                await self._unplug(guest, qmp, "-netdev", key)

    async def unplug_cards(self, guest: Guest, keys: Collection[str]) -> None:
        """Take network cards out of the running guest; their back ends go with them."""
        qmp = self._runtime.monitor(guest)
        present = await parts(qmp)
        for key in keys:
            for option in ("-device", "-netdev"):
                if (option, key) in present:
                    await self._unplug(guest, qmp, option, key)

    async def renew_medium(self, guest: Guest, key: str) -> None:
        """Put the medium of the configuration into a CD-ROM drive in the place of whatever is in it now."""
        qmp = self._runtime.monitor(guest)
        await self._launcher.own(guest, guest.config)
        launch = await self._launcher.plan(guest.vmid, guest.config)
        nodes = [json.loads(t) for o, t in parts_of(launch.argv) if o == "-blockdev"]
        wanted = [n for n in nodes if re.fullmatch(rf"(drive|[ef])-{key}(-[0-9a-f]+)?", n["node-name"])]
        await _take_medium(qmp, key)
        present = {str(node["node-name"]) for node in await qmp.query_named_block_nodes()}
        for kind in ("drive", "f", "e"):
            for name in sorted(n for n in present if re.fullmatch(rf"{kind}-{key}(-[0-9a-f]+)?", n)):
                await self._unplug(guest, qmp, "-blockdev", name)
        for node in wanted:
            await qmp.blockdev_add(node)
        await qmp.insert_medium(key, wanted[-1]["node-name"])
        await qmp.close_tray(key)

    async def _delta(self, guest: Guest, old: Texts, config: VmConfig, planned: Collection[str] = ()) -> Delta:
        fds = {**self._launcher.placeholders(VmConfig.parse(old)), **self._launcher.placeholders(config)}
        before = await self._launcher.plan(guest.vmid, VmConfig.parse(old), fds)
        return delta(before, await self._launcher.plan(guest.vmid, config, fds, planned=planned))

    async def _settled(self, guest: Guest, qmp: Qmp, difference: Delta) -> frozenset[Part]:
        """What there is once it stands still: a device that is to come and is there already may be about to go,
        because a change that was cut off has asked for that, and QEMU does not tell."""
        assert guest.process is not None
        with guest.process.events("DEVICE_DELETED") as events:
            present = await parts(qmp)
            doubtful = {name for name in difference.devices(difference.added) if ("-device", name) in present}
            if not doubtful:
                return present
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    async for event in events:
                        doubtful.discard(str(event.data.get("device")))
                        if not doubtful:
                            break
            return await parts(qmp)

    async def _unplug(self, guest: Guest, qmp: Qmp, option: str, name: str) -> None:
        if option == "-device":
            await self._unplug_device(guest, qmp, name)
        elif option == "-netdev":
            await qmp.netdev_del(name)
        elif option == "-blockdev":
            await _when_free(lambda: qmp.blockdev_del(name))
        elif option == "-object":
            await _when_free(lambda: qmp.object_del(name))

    async def _unplug_device(self, guest: Guest, qmp: Qmp, device: str) -> None:
        assert guest.process is not None
        with guest.process.events("DEVICE_DELETED") as events:
            if not await _ask_to_let_go(qmp, device):
                return
            try:
                async with own_time(guest.process.pid, UNPLUG_SECONDS, most=UNPLUG_MOST_SECONDS):
                    async for event in events:
                        if event.data.get("device") == device:
                            return
            except TimeoutError:
                raise Unavailable(
                    f"the guest does not let go of {device}",
                    code="unplug-timeout",
                    cause="a running system must agree to lose a device; this one did not answer",
                    evidence=f"no DEVICE_DELETED within {UNPLUG_SECONDS:.0f} s, and as long again as it waited for a "
                    f"processor of the host; at most {UNPLUG_MOST_SECONDS:.0f} s",
                    fixes=[
                        Fix(text="unmount it inside the guest and try again"),
                        Fix(text="shut the guest down first"),
                    ],
                ) from None

    async def _plug(self, guest: Guest, qmp: Qmp, option: str, text: str, config: VmConfig) -> None:
        if option == "-blockdev":
            await qmp.blockdev_add(json.loads(text))
        elif option == "-object" and text.startswith("{"):
            await qmp.object_add(json.loads(text))
        elif option == "-netdev" and text.startswith("type=tap"):
            await self._plug_tap(guest, qmp, text, config)
        elif option == "-netdev":
            await _human(qmp, f"netdev_add {text}")
        elif option == "-object":
            await _human(qmp, f"object_add {text}")
        else:
            await _when_free(lambda: _human(qmp, f"device_add {text}"))

    async def _plug_tap(self, guest: Guest, qmp: Qmp, text: str, config: VmConfig) -> None:
        """A card on a bridge: open its tap and hand it over under names instead of numbers."""
        launch: Launch = await self._launcher.plan(guest.vmid, config)
        need = next(need for need in launch.taps if f"id={need.key}," in f"{text},")
        opened = await self._launcher.open_tap(need)
        names = {f"fd-{key}": fd for key, fd in opened.items()}
        try:
            for name, fd in names.items():
                await qmp.getfd(name, fd)
            await qmp.netdev_add(_words(by_name(text, list(names))))
        except TarmacError:
            for name in names:  # else the tap would stay for as long as QEMU runs
                with contextlib.suppress(TarmacError):
                    await qmp.closefd(name)
            raise
        finally:
            for fd in opened.values():
                os.close(fd)

    async def _shares(self, guest: Guest, qmp: Qmp, config: VmConfig) -> None:
        cgroup = self._launcher.cgroup(guest.vmid)
        cgroup.set_cpu(weight=config.cpuunits or 100, limit=config.cpulimit)
        if config.balloon and config.balloon != guest.config.balloon:
            with contextlib.suppress(HostFailure):  # the guest may have no balloon driver; the value holds all the same
                await qmp.balloon(config.balloon * MIB)


def touches_guest(key: str) -> bool:
    """Whether a key's change is something that a running guest must be given."""
    return is_device(key) or key in _SHARES


async def _ask_to_let_go(qmp: Qmp, device: str) -> bool:
    """Ask the guest to release a device; False when it is gone already."""
    try:
        await qmp.device_del(device)
    except HostFailure as problem:
        if problem.error_code == "qmp-device-not-found":
            return False
        if "in the process of unplug" not in problem.evidence:  # asked before, by a change that was cut off
            raise
        return ("-device", device) in await parts(qmp)
    return True


async def _when_free(command: Callable[[], Awaitable[None]]) -> None:
    """QEMU gives up a device's name and what it used a moment after it has told that the device is gone (its RCU)."""
    for _ in range(FREE_TRIES):
        try:
            await command()
        except HostFailure as problem:
            if not _TAKEN.search(problem.cause + problem.evidence):
                raise
            await asyncio.sleep(FREE_SECONDS)
        else:
            return
    await command()


async def _take_medium(qmp: Qmp, device: str) -> None:
    await qmp.open_tray(device, force=True)
    with contextlib.suppress(HostFailure):  # an empty drive
        await qmp.remove_medium(device)


def by_name(text: str, names: Sequence[str]) -> str:
    """A tap's option text with names of descriptors in the place of numbers, the tap's first, then vhost's."""
    queues = names[: len(names) // 2] if ",vhost=on," in text else names
    text = re.sub(r"\b(fds?)=[\d:]+", rf"\1={':'.join(queues)}", text)
    return re.sub(r"\b(vhostfds?)=[\d:]+", rf"\1={':'.join(names[len(queues) :])}", text)


def _words(text: str) -> dict[str, str | bool]:
    """A tap's option text as QMP takes it. (The human monitor has a list of descriptors of its own.)"""
    pairs = (word.partition("=") for word in text.split(","))
    return {key: {"on": True, "off": False}.get(value, value) for key, _, value in pairs}


async def _human(qmp: Qmp, line: str) -> None:
    """The human monitor takes a device exactly as the command line writes it; it answers only when it refuses."""
    answer = (await qmp.human(line)).strip()
    if answer:
        raise HostFailure(
            f"{qmp.label}: QEMU refused a device", code="plug-refused", cause=answer[:500], evidence=line[:200]
        )
