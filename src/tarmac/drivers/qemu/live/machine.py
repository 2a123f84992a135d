"""The machine as it ran, as a record; and the command line of a QEMU that goes on from its saved state. Pure.

What the guest can see (devices with their addresses, processor, firmware, timers) is in the record word for word and is
never derived from today's configuration. What only the host sees (where sockets, disks and memory are, the network's
back ends) is left out of the record and made for each clone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tarmac.drivers.qemu.argv import Launch
from tarmac.drivers.qemu.argv.accel import accelerator_option
from tarmac.drivers.qemu.argv.blockdev import disk_chain, efi_chain, top_node
from tarmac.drivers.qemu.argv.build import SANDBOX
from tarmac.drivers.qemu.argv.delta import identity, parts_of
from tarmac.drivers.qemu.argv.draft import as_json, escape
from tarmac.drivers.qemu.argv.firmware import VARS_SIZE
from tarmac.drivers.qemu.argv.platform import memory_file
from tarmac.drivers.qemu.facts import NodeFacts, VolumeFacts
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.units import MIB
from tarmac.model.vm import VmConfig

RUNTIME = "/@runtime@"
"""Stands in the record for a guest's runtime directory."""
_NOT_RECORDED = ("-name", "-sandbox", "-S", "-incoming", "-mon", "-netdev", "-accel")
_SEALED_OPEN = (8, 2)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What stood behind a network card: `user` (QEMU's own network) or `tap`, with so many queues."""

    kind: str
    queues: int = 1


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine as it ran.

    options    (option, value) pairs in order; sockets are below RUNTIME
    accelerator  `kvm` or `tcg`: their states are not interchangeable
    texts      the configuration it ran with, for what clones are called in theirs
    nics       the network cards' back ends by key"""

    qemu_version: str
    accelerator: str
    machine: str
    cpu: str
    memory: int
    options: tuple[tuple[str, str], ...]
    texts: Mapping[str, str]
    nics: Mapping[str, Backend]

    def device_ids(self) -> list[str]:
        """The ids of its devices."""
        return [identity(option, value) for option, value in self.options if option == "-device"]

    def as_record(self) -> dict[str, Any]:
        record: dict[str, Any] = msgspec.to_builtins(self)
        return record

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Machine:
        return msgspec.convert(record, cls)


@dataclass(frozen=True, kw_only=True)
class CloneFacts:
    """What is a clone's own. `fds`: `qmp`, `ram`, and for a card on a tap `net0`, `net0-1`; `volumes` by disk key;
    `uuid` and `generation` name it to its guest. `twin`: it is no clone but the guest itself, whose memory is brought
    into a file, which must be shared for that; it never runs, and its disks are nothing but their `sizes` (bytes)."""

    vmid: int
    name: str
    runtime_dir: str
    uuid: str
    generation: str
    fds: Mapping[str, int]
    volumes: Mapping[str, VolumeFacts] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    twin: bool = False


def record_machine(launch: Launch, config: VmConfig, qemu_version: str) -> Machine:
    """The record of a guest that runs as `launch` (built with RUNTIME as its runtime directory)."""
    options: list[tuple[str, str]] = []
    for option, value in parts_of(launch.argv):
        if option in _NOT_RECORDED or _host_side(option, value):
            continue
        if option == "-machine":
            value = re.sub(r",(memory-backend=[^,]*|mem-merge=[^,]*)", "", value)
        options.append((option, value))
    queues = {need.key: need.queues for need in launch.taps}
    nics = {
        f"net{index}": Backend(kind="tap", queues=queues.get(f"net{index}", 1)) if nic.bridge else Backend(kind="user")
        for index, nic in config.net.items()
    }
    return Machine(
        qemu_version=qemu_version,
        accelerator=launch.accelerator,
        machine=launch.machine,
        cpu=launch.cpu,
        memory=config.memory_mib * MIB,
        options=tuple(options),
        texts=dict(config.texts),
        nics=nics,
    )


def _host_side(option: str, value: str) -> bool:
    """Chains of disks, memory, monitors: each clone has its own. The firmware's code is the host's, and stays."""
    if option == "-blockdev":
        return not identity(option, value).startswith("pflash0")
    if option == "-object":
        return '"throttle-group"' in value or value.startswith("memory-backend-file,")
    return option == "-chardev" and identity(option, value).startswith("qmp")


def check_restorable(machine: Machine, node: NodeFacts, *, what: str) -> None:
    """Whether a state can go on here. Raises HostFailure that names what differs: device state is exact to QEMU's
    version, and KVM's is not emulation's."""
    accelerator = "kvm" if node.kvm.usable else "tcg"
    if machine.accelerator == "tcg":
        accelerator = "tcg"  # emulation works everywhere
    for name, then, now in (
        ("QEMU", machine.qemu_version, node.qemu_version),
        ("the accelerator", machine.accelerator, accelerator),
    ):
        if then == now:
            continue
        raise HostFailure(
            f"{what} cannot go on on {node.node}: {name} is another one",
            code="live-state-foreign",
            cause=f"it was frozen with {name} {then}; {node.node} has {now}",
            evidence=f"{then} != {now}",
            fixes=[
                Fix(text="start the template's source anew here and make the live template again"),
                Fix(text="clone without `instant`: that boots from the template's disks"),
            ],
        )


def clone_argv(machine: Machine, clone: CloneFacts, node: NodeFacts) -> tuple[str, ...]:
    """The command line of a clone that waits for the machine's state. Its network cards get back ends that lead
    nowhere: what the source's guest still has in its cards must reach nobody."""
    config = VmConfig.parse(machine.texts, lenient=True)
    head = ["-name", f"guest={escape(clone.name)}{',debug-threads=on' if node.version < (11, 0) else ''}"]
    head += ["-sandbox", SANDBOX]
    head += ["-chardev", f"socket,id=qmp0,fd={clone.fds['qmp']}", "-mon", "chardev=qmp0,mode=control"]
    head += ["-chardev", f"socket,id=qmp1,path={escape(clone.runtime_dir)}/qmp.sock,server=on,wait=off"]
    head += ["-mon", "chardev=qmp1,mode=control", "-S", "-incoming", "defer"]
    head += ["-accel", accelerator_option(machine.accelerator == "kvm")]
    sealed = node.version >= _SEALED_OPEN and not clone.twin
    head += ["-object", memory_file(machine.memory, clone.fds["ram"], share=clone.twin, sealed=sealed)]
    for key, backend in machine.nics.items():
        head += ["-netdev", _nowhere(key, backend, clone.fds)]
    if clone.twin:
        for text in _placeholders(config, clone):
            head += ["-blockdev", text]
    for group, nodes in () if clone.twin else _chains(config, clone, node):
        head += ["-object", group]
        for text in nodes:
            head += ["-blockdev", text]
    words = [word for option, value in machine.options for word in (option, _own(option, value, clone)) if word]
    return (node.qemu, *head, *words)


def _own(option: str, value: str, clone: CloneFacts) -> str:
    """A recorded value as the clone's."""
    value = value.replace(RUNTIME, escape(clone.runtime_dir))
    if option == "-machine":
        return f"{value},memory-backend=pc.ram,mem-merge=off"
    if option == "-smbios" and value.startswith("type=1") and clone.uuid:
        return re.sub(r",uuid=[^,]*", f",uuid={clone.uuid}", value)
    if option == "-device" and value.startswith("vmgenid,"):
        return re.sub(r"guid=[^,]*", f"guid={clone.generation}", value)
    return value


def _nowhere(key: str, backend: Backend, fds: Mapping[str, int]) -> str:
    """A back end of the kind that the card's state expects, on which nothing comes or goes: QEMU's own network with
    everything forbidden, or a tap that is on no bridge."""
    if backend.kind == "user":
        return f"type=user,id={key},restrict=on"
    numbers = [fds[key], *(fds[f"{key}-{n}"] for n in range(1, backend.queues))]
    return f"type=tap,id={key},{'fds' if len(numbers) > 1 else 'fd'}={':'.join(map(str, numbers))}"


def _chains(config: VmConfig, clone: CloneFacts, node: NodeFacts) -> list[tuple[str, list[str]]]:
    chains = []
    for key, disk in config.disks.items():
        if disk.empty:
            continue
        chain = disk_chain(key, disk, _volume(clone, key), io_uring=node.io_uring)
        chains.append(chain)
    if config.efidisk0 is not None:
        volume, size = _volume(clone, "efidisk0"), VARS_SIZE[config.efidisk0.efitype]
        chains.append(efi_chain("efidisk0", config.efidisk0, volume, io_uring=node.io_uring, size=size))
    return [(as_json(chain.group), [as_json(item) for item in chain.nodes]) for chain in chains]


def _placeholders(config: VmConfig, clone: CloneFacts) -> list[str]:
    """Disks without contents for a machine that never runs: nothing of the guest's is opened twice."""
    found = []
    for key, disk in config.disks.items():
        if not disk.empty:
            found.append((key, clone.sizes.get(key, 0), bool(disk.ro) or disk.is_cdrom))
    if config.efidisk0 is not None:
        found.append(("efidisk0", VARS_SIZE[config.efidisk0.efitype], False))
    return [
        as_json(
            {"driver": "null-co", "node-name": top_node(key), "size": size, "read-zeroes": True, "read-only": read_only}
        )
        for key, size, read_only in found
    ]


def _volume(clone: CloneFacts, key: str) -> VolumeFacts:
    found = clone.volumes.get(key)
    if found is None:
        raise HostFailure(f"the clone has no volume for {key}", code="volume-missing", evidence=key)
    return found


def check_freezable(config: VmConfig, argv: Sequence[str]) -> None:
    """Whether clones can go on from a frozen state of this guest. Raises InvalidInput naming the key in the way."""
    for key, reason in _obstacles(config):
        raise InvalidInput(
            f"the guest cannot be frozen for instant clones: {key}",
            code="live-not-possible",
            cause=reason,
            evidence=f"{key}: {config.texts.get(key, '')}",
            fixes=[
                Fix(text=f"take {key} out of the configuration and start the guest anew", parameters={"delete": key})
            ],
        )
    if any("vhost-user" in word or "vfio-pci" in word for word in argv):
        raise InvalidInput(
            "the guest cannot be frozen for instant clones: it has a device whose state is outside QEMU",
            code="live-not-possible",
            cause="what a vhost-user process or a passed-through device knows is not in a saved state",
            evidence=next(word for word in argv if "vhost-user" in word or "vfio-pci" in word)[:200],
        )


def _obstacles(config: VmConfig) -> list[tuple[str, str]]:
    found = [(f"hostpci{n}", "the state of a device of the host cannot be copied") for n in config.hostpci]
    found += [(f"usb{n}", "the state of a device of the host cannot be copied") for n in config.usb]
    found += [(f"virtiofs{n}", "the process behind a shared directory has a state of its own") for n in config.virtiofs]
    if config.tpmstate0 is not None:
        found.append(("tpmstate0", "all clones would share the TPM's keys, and swtpm's state is outside QEMU"))
    if config.ivshmem is not None:
        found.append(("ivshmem", "clones would share that memory with the source"))
    return found
