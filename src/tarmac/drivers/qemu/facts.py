"""What the pure argv builder is told about the world: the node, and one launch. Plain, JSON-able values.

`NodeFacts` is found out by a probe, or read from a file for `showcmd` without a host (docs/format/node-facts.md).
`LaunchFacts` belongs to one start: where the volumes are, which descriptors are handed over, where the sockets go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tarmac.model.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class KvmFacts:
    """Whether guest code was seen to run under KVM, and if not, why."""

    usable: bool = False
    reason: str = "not probed"


@dataclass(frozen=True, kw_only=True)
class BridgeFacts:
    """A bridge of the host; `mtu` in bytes."""

    mtu: int = 1500


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """A node as far as a guest's command line depends on it.

    machines        versioned machine types that this QEMU has; empty: judged by its version alone
    cpu_flags       flags of the host's CPU that matter (`vmx`, `svm`)
    vhost_net       /dev/vhost-net works;  io_uring: QEMU may use it here
    firmware        directory with OVMF_CODE_4M.fd and its kin, "" when it is not installed
    storages        the root directory of each directory storage, by id
    instance        "" for the default instance (Proxmox's names for taps), else what makes names unique"""

    node: str = "localhost"
    arch: str = "x86_64"
    qemu: str = "/usr/bin/qemu-system-x86_64"
    qemu_version: str = "7.2"
    machines: tuple[str, ...] = ()
    cpus: int = 1
    cpu_vendor: str = "GenuineIntel"
    cpu_flags: tuple[str, ...] = ()
    kvm: KvmFacts = KvmFacts()
    vhost_net: bool = False
    io_uring: bool = False
    firmware: str = "/usr/share/OVMF"
    bridges: Mapping[str, BridgeFacts] = field(default_factory=dict)
    pci_devices: tuple[str, ...] = ()
    storages: Mapping[str, str] = field(default_factory=dict)
    instance: str = ""

    def __post_init__(self) -> None:
        if not re.match(r"\d+\.\d+", self.qemu_version):
            raise ValueError(f"qemu_version: '{self.qemu_version}' is not a version such as 7.2.22")

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of QEMU."""
        major, minor = self.qemu_version.split(".")[:2]
        return int(major), int(re.match(r"\d+", minor)[0])  # type: ignore[index]

    @property
    def default_instance(self) -> bool:
        return not self.instance

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record: dict[str, Any] = msgspec.to_builtins(self)
        return record

    @classmethod
    def parse(cls, text: str) -> NodeFacts:
        """The facts of a JSON file. Raises InvalidInput that names the wrong or unknown field."""
        try:
            data = json.loads(text)
            if not isinstance(data, dict):
                raise ValueError("the facts must be a JSON object")
            unknown = set(data) - set(cls.__dataclass_fields__)
            if unknown:
                raise ValueError(f"unknown field(s): {', '.join(sorted(unknown))}")
            return msgspec.convert(data, cls)
        except (ValueError, msgspec.ValidationError, RecursionError) as problem:
            raise InvalidInput.of("facts", str(problem), code="facts-unreadable") from None


@dataclass(frozen=True, kw_only=True)
class VolumeFacts:
    """Where a volume is. `backing` is the layer below, down to the bottom; `direct` whether O_DIRECT works there;
    `identity` what its node names are made of (empty: the path); `protocol` the options of the protocol node of a
    volume that is no file; `absorbs` says that it is a frozen layer of the guest's own: nothing writes to it, but a
    layer above may be merged into it while the guest runs."""

    path: str
    format: str
    read_only: bool = False
    absorbs: bool = False
    direct: bool = True
    backing: VolumeFacts | None = None
    identity: str = ""
    protocol: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LaunchFacts:
    """One start of one guest.

    fds        descriptors that the process inherits: `qmp` (its end of the first contact's socket pair), `ram` (the
               memory file of a guest with `instant: 1`), `net0` for a tap, `net0-1`, `net0-2` for its further queues,
               `net0-vhost`, `net0-vhost-1` for /dev/vhost-net
    volumes    by volume id as in the configuration (the cloud-init medium too)
    paused     leave the guest stopped after QEMU's start, whatever the configuration says
    incoming   text of `-incoming` (`defer`) when a saved or migrated state comes in"""

    vmid: int
    runtime_dir: str
    volumes: Mapping[str, VolumeFacts] = field(default_factory=dict)
    fds: Mapping[str, int] = field(default_factory=dict)
    sandbox: bool = True
    paused: bool = False
    incoming: str | None = None
