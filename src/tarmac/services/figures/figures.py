"""The present figures of a resource by its id: what the event stream and the metrics tell of it."""

from __future__ import annotations

from tarmac.services.guests.guests import Guests
from tarmac.services.node.nodes import Nodes

Figure = float | None


class Figures:
    """`of(id)` answers from the last samples in the order of `COLUMNS`; None for what is unknown or does not run."""

    COLUMNS = ("cpu", "mem", "disk", "netin", "netout", "diskread", "diskwrite", "uptime")

    def __init__(self, guests: Guests, nodes: Nodes) -> None:
        self._guests = guests
        self._nodes = nodes

    def of(self, id: str) -> list[Figure] | None:
        kind, _, name = id.partition("/")
        if kind == "node" and name == self._nodes.node:
            now = self._nodes.sample
            disk, mem = now.root["used"], now.memory["used"]
            return [now.cpu, mem, disk, now.netin, now.netout, None, None, self._nodes.uptime()]
        guest = self._guests.find(int(name)) if kind == "qemu" and name.isdecimal() else None
        if guest is None or guest.process is None:
            return None
        usage = {"disk": 0.0, **guest.usage}
        return [_whole(usage.get(column)) for column in self.COLUMNS]


def _whole(value: Figure) -> Figure:
    """Bytes and seconds without a fraction; `cpu` is below that."""
    return value if value is None or value < 1000 else int(value)
