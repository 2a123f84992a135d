"""A change in a running guest that is cut off after any of its commands can be undone, and can be repeated.

Real services in this process on a real QEMU, whose guest is obliging; only the connection breaks at a chosen command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.daemon import TestDaemon, test_daemon
from support.obliging_guest import OBLIGING, wait_up
from tarmac.daemon import Options, daemon
from tarmac.drivers.qemu.parts import parts
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import OutcomeUnknown
from tarmac.services.guests.guests import Guest
from tarmac.services.registry import Services
from tarmac.services.running.live_changes import VmLive

VMID = 100
NIC = "virtio=BC:24:11:00:00:01"


def disk(number: int, more: str = "") -> str:
    return f"local:100/vm-100-disk-{number}.qcow2,size=1M{more}"


# What a guest has before and after a change, beside what it always has.
CHANGES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "disk": ({}, {"scsi1": disk(1)}),
    "disk with a thread": ({}, {"scsi1": disk(1, ",iothread=1")}),
    "virtio disk": ({}, {"virtio1": disk(1)}),
    "another disk in its place": ({"scsi1": disk(1)}, {"scsi1": disk(2, ",cache=unsafe")}),
    "other limits": ({"scsi1": disk(1, ",iops_rd=50")}, {"scsi1": disk(1, ",iops=100")}),
    "limits": ({"scsi1": disk(1)}, {"scsi1": disk(1, ",iops_rd=100")}),
    "card": ({}, {"net1": NIC}),
    "another card": ({"net1": NIC}, {"net1": NIC.replace("virtio", "e1000")}),
    "card without a link": ({}, {"net1": f"{NIC},link_down=1"}),
    "medium": ({"ide2": "none,media=cdrom"}, {"ide2": "local:iso/a.iso,media=cdrom"}),
    "another medium": ({"ide2": "local:iso/a.iso,media=cdrom"}, {"ide2": "local:iso/b.iso,media=cdrom"}),
}


@pytest.fixture(scope="module")
def prepared(obliging_image: Path) -> Iterator[TestDaemon]:
    """A data directory with a running guest and no daemon."""
    with test_daemon() as running:
        running.add_image(obliging_image, "obliging.qcow2")
        devices = {"scsi1": "local:0.001", "scsi2": "local:0.001", "ide2": "none,media=cdrom"}
        running.task("POST", running.qemu, vmid=VMID, **OBLIGING, **devices)
        running.task("POST", f"{running.qemu}/{VMID}/config", delete="scsi1,scsi2")
        for name in ("a", "b"):
            path = running.data / "storage/template/iso" / f"{name}.iso"
            path.write_bytes(name.encode() * 4096)
        running.task("POST", f"{running.qemu}/{VMID}/status/start")
        wait_up(running, VMID)
        running.end()
        yield running


@pytest.fixture
async def services(prepared: TestDaemon, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("TARMAC_OFFLINE", "1")
    async with daemon(Options(data_dir=prepared.data, host="127.0.0.1", port=0, node=prepared.node)) as made:
        yield made


class Bench:
    """One guest, changed by a VmLive of its own whose connection can break."""

    def __init__(self, services: Services) -> None:
        self.live = VmLive(runtime=services.runtime, launcher=services.launcher)
        self.guest: Guest = services.guests.get(VMID)
        self.qmp: Qmp = services.runtime.monitor(self.guest)

    async def apply(self, old: Mapping[str, str], new: Mapping[str, str], *, cut: int | None = None) -> bool:
        """False when it was cut off, after `cut` commands that change something."""
        with broken_after(self.qmp, cut):
            try:
                await self.live.apply(self.guest, self.texts(old), self.texts(new))
            except OutcomeUnknown:
                return False
        return True

    def texts(self, more: Mapping[str, str]) -> dict[str, str]:
        base = {k: v for k, v in self.guest.file.current.items() if not k.startswith(("unused", "ide2"))}
        return {**base, "ide2": "none,media=cdrom", **more}

    async def state(self) -> dict[str, Any]:
        """What the guest is made of now."""
        found = await parts(self.qmp)
        groups = [name for option, name in found if option == "-object" and name.startswith("throttle-")]
        return {
            "parts": found,
            "nodes": {
                block["qdev"]: (block.get("inserted") or {}).get("file") for block in await self.qmp.query_block()
            },
            "limits": {name: await self.qmp.qom_get(f"/objects/{name}", "limits") for name in groups},
            "cards": [line for line in (await self.qmp.human("info network")).splitlines() if "nic" in line],
        }


@contextmanager
def broken_after(qmp: Qmp, commands: int | None) -> Iterator[None]:
    """The answer to the command of that number does not come, nothing later is sent."""
    execute, sent = qmp.execute, 0

    async def breaking(command: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Any:
        nonlocal sent
        answer = await execute(command, arguments, **more)
        line = str((arguments or {}).get("command-line", ""))
        if not command.startswith(("query-", "qom-list", "qom-get")) and not line.startswith("info "):
            if sent == commands:
                raise OutcomeUnknown("cut off", code="cut")
            sent += 1
        return answer

    if commands is None:
        yield
        return
    qmp.execute = breaking  # type: ignore[method-assign]
    try:
        yield
    finally:
        del qmp.execute


@pytest.mark.parametrize("direction", ["there", "back"])
@pytest.mark.parametrize("name", CHANGES)
async def test_cut_off_anywhere_it_is_undone_or_repeated(services: Services, name: str, direction: str) -> None:
    bench = Bench(services)
    old, new = CHANGES[name] if direction == "there" else CHANGES[name][::-1]
    assert await bench.apply({}, old)
    before = await bench.state()
    assert await bench.apply(old, new)
    after = await bench.state()
    assert after != before
    assert await bench.apply(new, old)
    assert await bench.state() == before
    cut = 0
    while not await bench.apply(old, new, cut=cut):
        assert await bench.apply(new, old), f"undone after {cut} commands"
        assert await bench.state() == before, f"undone after {cut} commands"
        assert not await bench.apply(old, new, cut=cut)
        assert await bench.apply(old, new), f"repeated after {cut} commands"
        assert await bench.state() == after, f"repeated after {cut} commands"
        assert await bench.apply(new, old)
        assert await bench.state() == before
        cut += 1
    assert cut, "nothing was sent at all"
    assert await bench.apply(new, {})
