"""How a guest's card meets the host's network: the contract of what opens taps.

Made by root only; without root guests use QEMU's user-mode network, and nothing of this is called.
"""

from __future__ import annotations

from typing import Protocol


class TapDriver(Protocol):
    """Opens and removes taps. Errors: HostFailure, Denied, with five parts; after a failure no tap is left."""

    async def open(
        self, name: str, *, bridge: str, mac: str = "", mtu: int | None = None, queues: int = 1
    ) -> list[int]:
        """Make the tap `name`, a port of `bridge`, up; return one descriptor for each queue.

        The descriptors are the caller's: they go to QEMU (`spawn` takes them over). The tap lives as long as somebody
        has one of them open, so it goes with its QEMU, however that ends. `mac` is the guest's address, from which
        the tap's own is made; `mtu` None: the bridge's."""

    async def open_alone(self, name: str, *, queues: int = 1) -> list[int]:
        """A tap that is on no bridge and down: nothing comes and nothing goes. For a card that is to be replaced. The
        descriptors are the caller's, as those of `open`."""

    async def open_vhost(self, queues: int = 1) -> list[int]:
        """Descriptors of /dev/vhost-net, one for each queue of a tap: the kernel then moves its packets, without QEMU.
        The caller's, as those of `open`."""

    async def remove_all(self, vmid: int) -> list[str]:
        """Remove what is left of a guest's taps and return their names. Nothing to do is fine."""
