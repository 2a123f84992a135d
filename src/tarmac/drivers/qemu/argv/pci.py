"""Where each device sits: Proxmox's buses and slots, its bridges, and the q35 board.

On i440fx `pci.0` is the chipset's own bus; on q35 it hangs below a DMI bridge, so that the same slots serve both.
Source: PVE::QemuServer::PCI, pve-q35-4.0.cfg.
"""

from __future__ import annotations

from collections.abc import Mapping

Place = tuple[int, int]


def _numbered(name: str, numbers: range, bus: int, first: int) -> dict[str, Place]:
    return {f"{name}{n}": (bus, first + i) for i, n in enumerate(numbers)}


# Device -> (bus, slot).
SLOTS: Mapping[str, Place] = {
    "piix3": (0, 0x1),
    "vga": (0, 0x2),
    "balloon0": (0, 0x3),
    "watchdog": (0, 0x4),
    "scsihw0": (0, 0x5),
    "pci.3": (0, 0x5),  # only with virtio-scsi-single, which has no scsihw0
    "scsihw1": (0, 0x6),
    "ahci0": (0, 0x7),
    "qga0": (0, 0x8),
    "spice": (0, 0x9),
    **_numbered("virtio", range(6), 0, 0xA),
    **_numbered("net", range(6), 0, 0x12),
    "pci.1": (0, 0x1E),
    "pci.2": (0, 0x1F),
    **_numbered("net", range(6, 32), 1, 0x1),
    "xhci": (1, 0x1B),
    "pci.4": (1, 0x1C),
    "rng0": (1, 0x1D),
    **_numbered("virtio", range(6, 16), 2, 0x1),
    "audio0": (2, 0xC),
    **_numbered("virtioscsi", range(31), 3, 0x1),
    **_numbered("scsihw", range(2, 5), 4, 0x1),
}


def _usb(hub: str, slot: str, first: int) -> tuple[str, ...]:
    """A USB 2 controller (function 7) and its three USB 1 companions, the first of them number `first`."""
    common = f"multifunction=on,bus=pcie.0,addr={slot}"
    return (
        f"ich9-usb-ehci{1 if first == 1 else 2},id={hub},{common}.7",
        *(
            f"ich9-usb-uhci{first + n},id=uhci-{first + n},{common}.{n},masterbus={hub}.0,firstport={2 * n}"
            for n in range(3)
        ),
    )


# The board that Proxmox gives a q35 machine (4.0 and later): USB, a sound card it cannot take back any more, four
# express ports, and the conventional buses.
Q35_BOARD: tuple[str, ...] = (
    *_usb("ehci", "1d", 1),
    *_usb("ehci-2", "1a", 4),
    "ich9-intel-hda,id=audio0,bus=pcie.0,addr=1b.0",
    *(
        f"pcie-root-port,id=ich9-pcie-port-{n},x-speed=16,x-width=32,multifunction=on,bus=pcie.0,addr=1c.{n - 1},"
        f"port={n},chassis={n}"
        for n in range(1, 5)
    ),
    "i82801b11-bridge,id=pcidmi,bus=pcie.0,addr=1e.0",
    *(f"pci-bridge,id=pci.{n},bus=pcidmi,addr={n + 1}.0,chassis_nr={n + 1}" for n in range(4)),
)


def bridges(*, q35: bool, used: set[int], single: bool) -> list[str]:
    """The PCI bridges that the used buses need, as texts of -device, first to last.

    i440fx always has pci.1 and pci.2, and pci.3 for virtio-scsi-single; q35's board has all but pci.4."""
    needed = set(used) - {0}
    if 4 in needed:
        needed.add(1)  # pci.4 hangs below pci.1
    if q35:
        needed &= {4}
    else:
        needed |= {1, 2} | ({3} if single else set())
    texts = []
    for number in sorted(needed):
        bus, slot = SLOTS[f"pci.{number}"]
        texts.append(f"pci-bridge,id=pci.{number},chassis_nr={number},bus=pci.{bus},addr={slot:#x}")
    return texts
