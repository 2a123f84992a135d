"""What the firmware's tables say of the machine: the text of `smbios1` (DMI type 1).

With `base64=1` every text but the UUID is base64; without it, the plain word stands there (so it can hold no comma).
Source: PVE::QemuServer ($smbios1_fmt) of Proxmox VE 9.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from tarmac.model.settings import setting

_FIELDS = ("manufacturer", "product", "version", "serial", "sku", "family")
_WORD = r"[A-Za-z0-9+/]+={0,2}"


@dataclass(frozen=True, kw_only=True)
class Smbios:
    uuid: str | None = setting(None, format="uuid", default_text="generated", help="The machine's UUID.")
    manufacturer: str | None = setting(None, pattern=_WORD, help="Manufacturer.")
    product: str | None = setting(None, pattern=_WORD, help="Product name.")
    version: str | None = setting(None, pattern=_WORD, help="Version of the product.")
    serial: str | None = setting(None, pattern=_WORD, help="Serial number.")
    sku: str | None = setting(None, pattern=_WORD, help="Stock-keeping number.")
    family: str | None = setting(None, pattern=_WORD, help="Product family.")
    base64: bool = setting(False, help="The texts are base64.")

    def texts(self) -> Iterator[tuple[str, str]]:
        """Field and decoded text, in QEMU's order of fields. Raises ValueError for text that is not base64 or not
        UTF-8 although it should be."""
        for name in _FIELDS:
            value: str | None = getattr(self, name)
            if value is not None:
                yield name, self._decode(name, value)

    def _decode(self, name: str, value: str) -> str:
        if not self.base64:
            return value
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as problem:
            raise ValueError(f"{name}: '{value}' is not base64 of a UTF-8 text: {problem}") from None
        if any(ord(c) < 32 or ord(c) == 127 for c in text):
            raise ValueError(f"{name}: control character in the decoded text")
        return text
