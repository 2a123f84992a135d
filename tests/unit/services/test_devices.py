"""The host's devices as the kernel shows them, in a tree that looks like /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarmac.model.errors import NotFound
from tarmac.services.node import devices


def device(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text + "\n")
    return place


def test_pci_devices_without_hidden_classes(tmp_path: Path) -> None:
    pci = tmp_path / "bus/pci/devices"
    words = {"vendor": "0x8086", "subsystem_vendor": "0x1af4", "subsystem_device": "0x1100"}
    card = device(pci / "0000:00:02.0", device="0x100e", **{"class": "0x020000"}, **words)
    device(pci / "0000:00:00.0", device="0x1237", **{"class": "0x060000"}, **words)
    (tmp_path / "kernel/iommu_groups/7").mkdir(parents=True)
    (card / "iommu_group").symlink_to(tmp_path / "kernel/iommu_groups/7")
    rows = devices.pci(hidden=("05", "06", "0b"), names=False, sys=tmp_path)
    assert [(row["id"], row["class"], row["iommugroup"]) for row in rows] == [("0000:00:02.0", "0x020000", 7)]
    assert [row["iommugroup"] for row in devices.pci(names=False, sys=tmp_path)] == [-1, 7]


def test_what_a_card_can_be_divided_into(tmp_path: Path) -> None:
    card = tmp_path / "bus/pci/devices/0000:00:02.0"
    device(card / "mdev_supported_types/i915-1", available_instances="2", description="low", name="small")
    assert devices.mdevs("00:02.0", sys=tmp_path) == [
        {"type": "i915-1", "available": 2, "description": "low", "name": "small"}
    ]
    with pytest.raises(NotFound):
        devices.mdevs("0000:00:03.0", sys=tmp_path)


def test_usb_devices_with_their_place(tmp_path: Path) -> None:
    usb = tmp_path / "bus/usb/devices"
    device(usb / "1-0:1.0", bInterfaceClass="09")
    device(usb / "1-2.3", busnum="1", devnum="5", bDeviceClass="08", idVendor="abcd", idProduct="1234", speed="480")
    assert devices.usb(sys=tmp_path) == [
        {
            "busnum": 1, "devnum": 5, "class": 8, "vendid": "abcd", "prodid": "1234", "speed": "480",
            "level": 2, "port": 3, "usbpath": "2.3",
        }
    ]  # fmt: skip
