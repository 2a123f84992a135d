"""From a guest's configuration to QEMU's command line: one pure function, split by noun.

`build(config, node, launch)` is the whole of it; `show(text, node)` does it for a configuration's text and a described
node. Ids, buses and slots of the devices are Proxmox's, so that a guest that moves here finds its devices where they
were; the test tables in tests/golden/argv hold each case, and QEMU itself accepts every one.

    draft.py     what is being put together, and what comes out (Launch)
    build.py     the order of the parts
    pci.py       the slots;  blockdev.py  a disk's chain of block nodes (also used for hotplug)
    the rest     one noun each
"""

from tarmac.drivers.qemu.argv.build import build
from tarmac.drivers.qemu.argv.draft import Launch, SetupCommand, TapNeed
from tarmac.drivers.qemu.argv.show import show

__all__ = ["Launch", "SetupCommand", "TapNeed", "build", "show"]
