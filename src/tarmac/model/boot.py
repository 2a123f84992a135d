"""From where a guest boots: the text of `boot`, new form `order=scsi0;ide2;net0` or old form `cdn`.

Source: PVE::QemuServer ($boot_fmt, verify_bootdev) of Proxmox VE 9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tarmac.model.disk import BUS_COUNTS
from tarmac.model.formats import register
from tarmac.model.settings import setting

_COUNTS = {**BUS_COUNTS, "net": 32, "usb": 14, "hostpci": 16}
_DEVICE = re.compile(r"([a-z]+)(0|[1-9]\d?)", re.ASCII)
LEGACY_DEFAULT = "cdn"


@register("pve-qm-bootdev")
def _device(text: str) -> None:
    match = _DEVICE.fullmatch(text)
    if match is None or int(match[2]) >= _COUNTS.get(match[1], 0):
        raise ValueError(f"invalid boot device '{text}'")


@dataclass(frozen=True, kw_only=True)
class Boot:
    """`order` wins over the old letters (a floppy, c disk, d CD-ROM, n network), as in Proxmox."""

    legacy: str | None = setting(
        None, pattern=r"[acdn]{1,4}", default_key=True, default_text=LEGACY_DEFAULT, help="Old form: letters of acdn."
    )
    order: tuple[str, ...] | None = setting(
        None, format="pve-qm-bootdev", help="Devices in the order in which the firmware tries them, separated by `;`."
    )
