"""What is known of this node when argv is built: QEMU, accelerator, processor (found once), bridges (each time)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import platform
import shutil
from pathlib import Path

from tarmac.drivers.network.tap import has_vhost
from tarmac.drivers.qemu.facts import BridgeFacts, KvmFacts, NodeFacts
from tarmac.drivers.qemu.probe import probe_kvm
from tarmac.drivers.qemu.version import machines_of, version_of

QEMU = "qemu-system-x86_64"
_NEEDED_FLAGS = frozenset({"vmx", "svm"})


class NodeProbe:
    """`start` finds out what does not change while the daemon runs; `facts` adds what may."""

    def __init__(self, *, node: str, instance: str, cache: Path) -> None:
        self._node = node
        self._instance = instance
        self._cache = cache
        self._known: NodeFacts | None = None
        self.kvm_group: int | None = None  # the group that a guest's user needs to open /dev/kvm

    @property
    def known(self) -> NodeFacts:
        assert self._known is not None, "start() comes first"
        return self._known

    async def start(self) -> NodeFacts:
        """Ask QEMU for its version and try the accelerator. Raises HostFailure when there is no QEMU."""
        version = str(await version_of(QEMU))
        kvm = await probe_kvm(self._cache, qemu_version=version)
        self.kvm_group = kvm.group
        vendor, flags = await asyncio.to_thread(_processor)
        self._known = NodeFacts(
            node=self._node,
            arch=platform.machine(),
            qemu=shutil.which(QEMU) or QEMU,
            qemu_version=version,
            machines=tuple(m for m in await machines_of(QEMU) if m.startswith(("pc-i440fx-", "pc-q35-"))),
            cpus=os.cpu_count() or 1,
            cpu_vendor=vendor,
            cpu_flags=tuple(sorted(_NEEDED_FLAGS & flags)),
            kvm=KvmFacts(usable=kvm.usable, reason=kvm.reason),
            vhost_net=has_vhost(),
            bridges=await asyncio.to_thread(_bridges),
            instance=self._instance,
        )
        return self._known

    async def facts(self) -> NodeFacts:
        """The facts now: bridges come and go, modules are loaded."""
        return dataclasses.replace(self.known, vhost_net=has_vhost(), bridges=await asyncio.to_thread(_bridges))


def _processor() -> tuple[str, frozenset[str]]:
    """Vendor id and flags of the host's processor."""
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    return facts.get("vendor_id", "unknown"), frozenset(facts.get("flags", "").split())


def _bridges() -> dict[str, BridgeFacts]:
    found = {}
    for path in sorted(Path("/sys/class/net").glob("*/bridge")):
        with contextlib.suppress(OSError, ValueError):  # it went away meanwhile
            found[path.parent.name] = BridgeFacts(mtu=int((path.parent / "mtu").read_text()))
    return found
