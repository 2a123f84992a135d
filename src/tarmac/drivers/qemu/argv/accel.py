"""Hardware virtualization or emulation, and the machine type with its version."""

from __future__ import annotations

import re

from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.vm import VmConfig

# Proxmox's own revisions of a machine version: the newest of each.
_REVISIONS = {(9, 2): 1, (10, 0): 1, (11, 0): 2}
_OLDEST = (4, 0)
_TYPE = re.compile(
    r"pc(?:-(?P<chip>i440fx|q35))?-(?P<major>\d+)\.(?P<minor>\d+)(?:\.\d+)?(?:\+pve(?P<pve>\d+))?(?:\.pxe)?"
)
# Translated code kept, in MiB. QEMU's own default (an eighth of the host's memory, up to 1 GiB) would let 50 guests
# fill a host with it; 256 measured no slower at booting.
_TB_SIZE = 256


def choose_accelerator(config: VmConfig, node: NodeFacts) -> tuple[bool, list[str]]:
    """Whether KVM is used, and notes. `kvm: 1` insists; unset falls back.

    Raises HostFailure when KVM is demanded and does not work here."""
    if config.kvm is False:
        return False, ["emulated, because kvm is 0: slower by an order of magnitude"]
    if node.kvm.usable:
        return True, []
    if config.kvm is None:
        return False, [f"emulated, because KVM does not work on {node.node}: {node.kvm.reason}"]
    raise HostFailure(
        f"KVM is demanded (kvm: 1) but does not work on {node.node}",
        code="kvm-unusable",
        cause=node.kvm.reason,
        evidence="kvm: 1",
        fixes=[
            Fix(text="remove `kvm` to use KVM where it works and emulation elsewhere", parameters={"delete": "kvm"}),
            Fix(text="emulate the processor (slower)", parameters={"kvm": "0"}),
            Fix(text="start the guest on a node whose /dev/kvm works"),
        ],
    )


def accelerator_option(kvm: bool) -> str:
    return "kvm" if kvm else f"tcg,thread=multi,tb-size={_TB_SIZE}"


def choose_machine(config: VmConfig, node: NodeFacts) -> tuple[str, tuple[int, int, int]]:
    """The versioned machine type for QEMU, and its version with Proxmox's revision.

    Without a version the newest of this QEMU is meant, and it is written out, so that a saved state knows it. Windows
    without a version gets the one it was created with, as Proxmox does, because it counts a new one as new hardware.
    Raises InvalidInput for a machine this QEMU does not have."""
    text = config.machine.type or "pc"
    if config.machine.arm or (config.arch or node.arch) != "x86_64":
        raise InvalidInput.of("machine", "only x86_64 machines (pc, q35) are built", code="not-built")
    chip = "q35" if config.machine.q35 else "i440fx"
    match = _TYPE.fullmatch(text)
    if match is not None:
        version = (int(match["major"]), int(match["minor"]))
        revision = int(match["pve"] or 0)
    else:
        version = _unpinned(config, node)
        revision = _REVISIONS.get(version, 0) if version == node.version else 0
    name = f"pc-{chip}-{version[0]}.{version[1]}"
    _check_known(text, name, version, node)
    return name, (*version, revision)


def _unpinned(config: VmConfig, node: NodeFacts) -> tuple[int, int]:
    if not config.ostype.windows:
        return node.version
    created = config.meta.creation_qemu if config.meta is not None else None
    if created is not None:
        major, minor = (int(n) for n in created.split(".")[:2])
        if (major, minor) >= (9, 1):
            return min((major, minor), node.version)
    return min((5, 1), node.version)


def _check_known(text: str, name: str, version: tuple[int, int], node: NodeFacts) -> None:
    known = [m for m in node.machines if m.rsplit("-", 1)[0] == name.rsplit("-", 1)[0]]
    if version < _OLDEST:
        problem = f"machine type '{text}' is older than 4.0, whose devices this version does not know"
    elif version > node.version:
        problem = f"machine type '{text}' needs QEMU {version[0]}.{version[1]}; {node.node} has {node.qemu_version}"
    elif known and name not in known:
        problem = f"machine type '{text}' is not one of this QEMU's"
    else:
        return
    raise InvalidInput(
        "Parameter verification failed.",
        code="machine-unknown",
        cause=f"QEMU {node.qemu_version} on {node.node} has {', '.join(known) or 'versions from 4.0 up to its own'}",
        evidence=f"machine: {text}",
        fixes=[
            Fix(text="use the newest version of this QEMU", parameters={"machine": "q35" if "q35" in name else "pc"}),
            Fix(text="start the guest on a node with a newer QEMU"),
        ],
        parameters={"machine": problem},
    )
