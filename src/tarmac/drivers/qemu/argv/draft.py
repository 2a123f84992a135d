"""The command line while it is put together, and the finished Launch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tarmac.drivers.qemu.argv.pci import SLOTS
from tarmac.drivers.qemu.facts import LaunchFacts, NodeFacts
from tarmac.model.vm import VmConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TapNeed:
    """A tap device that must exist before the launch; its descriptors go into `LaunchFacts.fds` under `key`.
    `mtu` is the bridge's, in bytes; None where the bridge is not described. `vhost`: the kernel shall move its
    packets."""

    name: str
    bridge: str
    mac: str
    mtu: int | None
    queues: int
    key: str
    vhost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupCommand:
    """A QMP command to execute after QEMU's start and before the guest runs (its end is `cont` where it shall run)."""

    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The result. `accelerator` is `kvm` or `tcg`; `notes` are lines for people: what differs from what they might
    expect, and why; `uuid` is what QMP's query-uuid will answer."""

    argv: tuple[str, ...]
    taps: tuple[TapNeed, ...]
    setup: tuple[SetupCommand, ...]
    accelerator: str
    machine: str
    cpu: str
    uuid: str
    notes: tuple[str, ...]


@dataclass(kw_only=True)
class Draft:
    """Passed through the parts: what is known, and the options so far. `version` is the machine's version as
    (major, minor, Proxmox's revision); `objects` come before `devices` on the line."""

    config: VmConfig
    node: NodeFacts
    launch: LaunchFacts
    version: tuple[int, int, int]
    machine: str
    kvm: bool
    boot_index: Mapping[str, int]
    machine_flags: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    taps: list[TapNeed] = field(default_factory=list)
    setup: list[SetupCommand] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    buses: set[int] = field(default_factory=set)

    @property
    def q35(self) -> bool:
        return self.config.machine.q35

    def at_least(self, major: int, minor: int, revision: int = 0) -> bool:
        """Whether the guest's machine is of this version or newer (the guest sees what its version had)."""
        return self.version >= (major, minor, revision)

    def slot(self, name: str) -> str:
        """`,bus=pci.0,addr=0x12` of a device, "" when it has no fixed place; its bus is needed from now on."""
        place = SLOTS.get(name)
        if place is None:
            return ""
        self.buses.add(place[0])
        return f",bus=pci.{place[0]},addr={place[1]:#x}"

    def option(self, *words: str) -> None:
        self.options += words

    def device(self, text: str) -> None:
        self.devices += ["-device", text]

    def chardev(self, text: str) -> None:
        self.devices += ["-chardev", text]

    def object(self, text: str) -> None:
        self.objects += ["-object", text]

    def blockdev(self, node: Mapping[str, Any]) -> None:
        self.objects += ["-blockdev", as_json(node)]

    def socket(self, name: str) -> str:
        """A listening socket in the runtime directory, as text of `-chardev`."""
        return f"path={escape(self.launch.runtime_dir)}/{name},server=on,wait=off"


def escape(text: str) -> str:
    """A text as part of one of QEMU's option strings: a comma is doubled."""
    return text.replace(",", ",,")


def as_json(value: Mapping[str, Any]) -> str:
    """The JSON form of -blockdev and -object: compact, keys in order, so that equal nodes are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
