"""What a running QEMU is made of, in the words of the command line: its devices, back ends, nodes and objects by id."""

from __future__ import annotations

import re

from tarmac.drivers.qemu.qmp import Qmp

Part = tuple[str, str]
# `info network` is the only list of network back ends: `net0: index=0,type=user,...`, after ` \\ ` below their card.
_NETDEV = re.compile(r"^(?: \\ )?(?P<id>\S+): index=\d+,type=(?!nic,)", re.MULTILINE)


async def parts(qmp: Qmp) -> frozenset[Part]:
    """(option, id) of everything that was given an id, on the command line or later: `("-device", "scsi0")`.

    A device that the guest was asked to let go of counts until it has. Errors: those of `Qmp.execute`."""
    devices = await qmp.qom_names("/machine/peripheral")
    objects = await qmp.qom_names("/objects")
    nodes = [str(node["node-name"]) for node in await qmp.query_named_block_nodes()]
    netdevs = netdev_names(await qmp.human("info network"))
    return frozenset(
        [
            *(("-device", name) for name in devices),
            *(("-object", name) for name in objects),
            *(("-blockdev", name) for name in nodes),
            *(("-netdev", name) for name in netdevs),
        ]
    )


def netdev_names(text: str) -> list[str]:
    """The back ends in the text of `info network`."""
    return [match["id"] for match in _NETDEV.finditer(text.replace("\r", ""))]
