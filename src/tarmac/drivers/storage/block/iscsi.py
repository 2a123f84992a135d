"""The logical units of an iSCSI target by QEMU's own initiator (libiscsi): Proxmox's type `iscsidirect`.

Volumes are `lunN`. Units are found with libiscsi's `iscsi-ls`; their sizes are QEMU's, because that tool rounds them.
Source: PVE::Storage::ISCSIDirectPlugin, qapi/block-core.json (BlockdevOptionsIscsi).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.block.commands import Argv
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.block.offered import OfferedStorage
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.storage import StorageDefinition

PORT = 3260
_NAME = re.compile(r"lun(0|[1-9]\d{0,4})")
_TARGET = re.compile(r"Target:(\S+)")
_UNIT = re.compile(r"Lun:(\d+)\s+Type:DIRECT_ACCESS\b")


def build(definition: StorageDefinition, secrets: Mapping[str, str], means: Means) -> Storage:
    """The driver of a definition of type `iscsidirect`."""
    assert definition.portal is not None and definition.target is not None
    contents = [Content(word) for word in definition.content if word != "none"]
    return OfferedStorage(definition.storage, IscsiOffer(definition.portal, definition.target), content=contents)


class IscsiOffer:
    """`Offer` of a target; the portal's port is 3260 where it names none."""

    kind = "iscsi"

    def __init__(self, portal: str, target: str) -> None:
        named = re.fullmatch(r"(?:\[.*\]|[^:]+):\d+", portal)
        self._portal = portal if named else f"{portal}:{PORT}"
        self._target = target

    def knows(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    def location(self, name: str) -> str:
        return f"iscsi://{self._portal}/{self._target}/{name.removeprefix('lun')}"

    def node(self, name: str) -> Mapping[str, Any]:
        return {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": self._portal,
            "target": self._target,
            "lun": int(name.removeprefix("lun")),
        }

    def listing(self) -> Argv:
        return ("iscsi-ls", "--show-luns", f"iscsi://{self._portal}/")

    def read_listing(self, output: str) -> Sequence[str]:
        """Those of our target; the tool lists a portal's targets one after the other."""
        found, ours = [], False
        for line in output.splitlines():
            if (target := _TARGET.match(line)) is not None:
                ours = target[1] == self._target
            elif ours and (unit := _UNIT.match(line)) is not None:
                found.append(f"lun{unit[1]}")
        return found
