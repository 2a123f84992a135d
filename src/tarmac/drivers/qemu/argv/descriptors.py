"""Which descriptors a launch hands over to QEMU, and the numbers that stand for them until they are opened. Pure."""

from __future__ import annotations

from tarmac.model.nic import Nic, NicModel
from tarmac.model.vm import VmConfig

# As in a real launch: the standard streams are 0 to 2, what is handed over comes after them.
_FIRST = 3


def descriptors(config: VmConfig, *, vhost: bool) -> dict[str, int]:
    """Numbers by the names of `LaunchFacts.fds`: the first contact, the memory file, each card's tap queues, and with
    `vhost` as many of /dev/vhost-net for those that can use it."""
    names = ["qmp", "ram"] if config.instant else ["qmp"]
    for index, nic in config.net.items():
        if nic.bridge is not None:
            names += queue_names(f"net{index}", queues_of(nic))
            if vhost and nic.model is NicModel.VIRTIO:
                names += queue_names(vhost_key(f"net{index}"), queues_of(nic))
    return {name: _FIRST + position for position, name in enumerate(names)}


def queue_names(key: str, queues: int) -> list[str]:
    """The names of one back end's queues: `net0`, `net0-1`, `net0-2`."""
    return [key, *(f"{key}-{number}" for number in range(1, queues))]


def vhost_key(key: str) -> str:
    """The name of the first vhost queue of a card's back end."""
    return f"{key}-vhost"


def queues_of(nic: Nic) -> int:
    """Packet queues: more than one only for virtio on a tap."""
    return nic.queues if nic.queues and nic.model is NicModel.VIRTIO and nic.bridge is not None else 1
