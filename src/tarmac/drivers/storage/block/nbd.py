"""What an NBD server offers (our own type `nbd`): each of its exports is a volume under the export's name.

The connection is neither encrypted nor authenticated: for a network of its own. A guest waits RECONNECT_SECONDS for a
server that went away, then its requests fail. Source: qapi/block-core.json (BlockdevOptionsNbd), qemu-nbd(8).
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

PORT = 10809
RECONNECT_SECONDS = 60
# Begins with a letter, so that `STORAGE:32` stays a size; names that mean a cloud-init medium are left out.
_NAME = re.compile(r"(?!cloudinit$|vm-\d+-cloudinit)[A-Za-z][A-Za-z0-9._+-]{0,126}")
_EXPORT = re.compile(r"^ export: '(.*)'$", re.MULTILINE)


def build(definition: StorageDefinition, secrets: Mapping[str, str], means: Means) -> Storage:
    """The driver of a definition of type `nbd`."""
    assert definition.server is not None
    contents = [Content(word) for word in definition.content if word != "none"]
    offer = NbdOffer(definition.server, definition.port or PORT)
    return OfferedStorage(definition.storage, offer, content=contents)


class NbdOffer:
    """`Offer` of a server."""

    kind = "nbd"

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def knows(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    def location(self, name: str) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"nbd:{host}:{self._port}:exportname={name}"

    def node(self, name: str) -> Mapping[str, Any]:
        return {
            "driver": "nbd",
            "server": {"type": "inet", "host": self._host, "port": str(self._port)},
            "export": name,
            "reconnect-delay": RECONNECT_SECONDS,
        }

    def listing(self) -> Argv:
        return ("qemu-nbd", "--list", "--bind", self._host, "--port", str(self._port))

    def read_listing(self, output: str) -> Sequence[str]:
        return _EXPORT.findall(output)
