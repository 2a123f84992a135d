"""A running guest whose machine is not what its clones would be started as is not frozen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tarmac.model.errors import HostFailure
from tarmac.services.instant.sources import LiveSources


class Monitor:
    """Of a QEMU with a disk and a card."""

    async def execute(self, command: str, arguments: dict[str, Any]) -> list[dict[str, str]]:
        assert (command, arguments) == ("qom-list", {"path": "/machine/peripheral"})
        return [
            {"name": "type", "type": "string"},
            {"name": "scsi0", "type": "child<scsi-hd>"},
            {"name": "net0", "type": "child<virtio-net-pci>"},
        ]


def looked_at(*, runs: str = "7.2.22", devices: tuple[str, ...] = ("scsi0", "net0", "")) -> Any:
    """The look at a guest on QEMU `runs`, whose clones would be started by 7.2.22 with `devices`."""
    machine = SimpleNamespace(qemu_version="7.2.22", device_ids=lambda: list(devices))

    async def told(*_: Any) -> Any:
        return machine

    sources = LiveSources(
        launcher=SimpleNamespace(machine=told),  # type: ignore[arg-type]
        agents=SimpleNamespace(),  # type: ignore[arg-type]
        storages=SimpleNamespace(),  # type: ignore[arg-type]
    )
    process = SimpleNamespace(record=SimpleNamespace(qemu_version=runs), monitor=Monitor)
    return sources.machine(SimpleNamespace(vmid=100, config=None), process)  # type: ignore[arg-type]


async def test_qemu_was_replaced_since_the_guest_began() -> None:
    with pytest.raises(HostFailure) as caught:
        await looked_at(runs="7.2.9")
    assert caught.value.error_code == "live-qemu-replaced"
    assert caught.value.evidence == "7.2.9 runs, 7.2.22 is installed"


@pytest.mark.parametrize(
    ("devices", "evidence"),
    [
        (("scsi0",), "only QEMU: ['net0']; only the configuration: []"),
        (("scsi0", "net0", "scsi1"), "only QEMU: []; only the configuration: ['scsi1']"),
    ],
)
async def test_a_device_was_plugged_or_unplugged_behind_our_back(devices: tuple[str, ...], evidence: str) -> None:
    with pytest.raises(HostFailure) as caught:
        await looked_at(devices=devices)
    assert (caught.value.error_code, caught.value.evidence) == ("live-devices", evidence)
