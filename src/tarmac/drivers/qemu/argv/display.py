"""The graphics card, VNC, the serial ports, the keyboard layout and the tablet. Source: PVE::QemuServer."""

from __future__ import annotations

from tarmac.drivers.qemu.argv.draft import Draft, escape
from tarmac.model.devices import Bios
from tarmac.model.errors import InvalidInput
from tarmac.model.os_type import OsType
from tarmac.model.units import MIB

_DEVICES = {"std": "VGA", "cirrus": "cirrus-vga", "vmware": "vmware-svga", "virtio": "virtio-vga", "qxl": "qxl-vga"}


def display_type(draft: Draft) -> str:
    """The display as configured; without a word, Windows up to XP gets a cirrus, everything else a std."""
    if "vga" not in draft.config.texts and 0 < draft.config.ostype.windows_version < 6:
        return "cirrus"
    return draft.config.vga.type


def add_display(draft: Draft) -> None:
    """The card with VNC on a socket in the runtime directory, or no display at all (none, serialN)."""
    kind = display_type(draft)
    if kind in _DEVICES:
        draft.device(_card(draft, kind))
        draft.option("-vnc", f"unix:{escape(draft.launch.runtime_dir)}/vnc.sock,password=on")
        if kind in ("qxl", "virtio"):
            _add_desktop_port(draft)
    else:
        # -nographic, not only -display none: it also sends the firmware's own output to the serial port.
        draft.option("-nographic")
        if kind == "none":
            draft.option("-vga", "none")
        if draft.config.bios is Bios.SEABIOS:
            draft.machine_flags.append("smm=off")
    if draft.config.keyboard is not None:
        draft.option("-k", draft.config.keyboard)


def has_display(draft: Draft) -> bool:
    return display_type(draft) in _DEVICES


def add_tablet(draft: Draft) -> None:
    """USB controller and tablet: exact mouse positions in VNC. Not with a serial port as the console."""
    if not draft.q35:
        draft.device(f"piix3-usb-uhci,id=uhci{draft.slot('piix3')}.0x2")
    wanted = draft.config.tablet
    if wanted is None:
        wanted = not display_type(draft).startswith("serial")
    if wanted:
        draft.device(f"usb-tablet,id=tablet,bus={'ehci' if draft.q35 else 'uhci'}.0,port=1")


def add_serial(draft: Draft) -> None:
    """Serial ports as sockets in the runtime directory."""
    for index, text in draft.config.serial.items():
        if text != "socket":
            raise InvalidInput.of(
                f"serial{index}", f"a serial port of the host ('{text}') is not built", code="not-built"
            )
        draft.chardev(f"socket,id=serial{index},{draft.socket(f'serial{index}.sock')}")
        draft.device(f"isa-serial,chardev=serial{index}")


def _card(draft: Draft, kind: str) -> str:
    vga = draft.config.vga
    memory = ""
    if vga.memory is not None and kind == "virtio":
        memory = f",max_hostmem={vga.memory * MIB}"
    elif vga.memory is not None and kind == "qxl":
        memory = f",vgamem_mb={vga.memory},ram_size_mb={vga.memory * 4},vram_size_mb={vga.memory * 2}"
    elif vga.memory is not None and kind != "cirrus":
        memory = f",vgamem_mb={vga.memory}"
    linux = draft.config.ostype in (OsType.OTHER, OsType.L24, OsType.L26)
    outputs = ",max_outputs=4" if kind == "qxl" and linux and draft.at_least(4, 1) else ""
    place = ",bus=pcie.0,addr=0x1" if draft.q35 else draft.slot("vga")
    windows = kind == "std" and draft.config.ostype.windows_version and draft.config.bios is not Bios.OVMF
    return f"{_DEVICES[kind]},id=vga{memory}{outputs}{place}{',edid=off' if windows else ''}"


def _add_desktop_port(draft: Draft) -> None:
    """Proxmox gives these displays a port for the desktop agent; it stays in its slot, with nobody behind it."""
    draft.device(f"virtio-serial,id=spice{draft.slot('spice')}")
    draft.chardev("null,id=vdagent")
    draft.device("virtserialport,chardev=vdagent,name=com.redhat.spice.0")
