"""What is known of this node when argv is built: QEMU, accelerator, processor (found once), bridges (each time)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import platform
import shutil
from pathlib import Path

from tarmac.drivers.qemu.facts import BridgeFacts, KvmFacts, NodeFacts
from tarmac.drivers.qemu.probe import probe_kvm
from tarmac.lib.process import run
from tarmac.model.errors import Fix, HostFailure

QEMU = "qemu-system-x86_64"
_NEEDED_FLAGS = frozenset({"vmx", "svm"})


class NodeProbe:
    """`start` finds out what does not change while the daemon runs; `facts` adds what may."""

    def __init__(self, *, node: str, instance: str, cache: Path) -> None:
        self._node = node
        self._instance = instance
        self._cache = cache
        self._known: NodeFacts | None = None

    @property
    def known(self) -> NodeFacts:
        assert self._known is not None, "start() comes first"
        return self._known

    async def start(self) -> NodeFacts:
        """Ask QEMU for its version and try the accelerator. Raises HostFailure when there is no QEMU."""
        version = await qemu_version()
        kvm = await probe_kvm(self._cache, qemu_version=version)
        vendor, flags = await asyncio.to_thread(_processor)
        self._known = NodeFacts(
            node=self._node,
            arch=platform.machine(),
            qemu=shutil.which(QEMU) or QEMU,
            qemu_version=version,
            machines=await _machines(),
            cpus=os.cpu_count() or 1,
            cpu_vendor=vendor,
            cpu_flags=tuple(sorted(_NEEDED_FLAGS & flags)),
            kvm=KvmFacts(usable=kvm.usable, reason=kvm.reason),
            bridges=await asyncio.to_thread(_bridges),
            instance=self._instance,
        )
        return self._known

    async def facts(self) -> NodeFacts:
        """The facts now: bridges come and go."""
        return dataclasses.replace(self.known, bridges=await asyncio.to_thread(_bridges))


async def qemu_version() -> str:
    """`7.2.22`. Raises HostFailure (`no-qemu`)."""
    try:
        done = await run([QEMU, "--version"])
    except HostFailure as problem:
        raise HostFailure(
            f"{QEMU} cannot be run",
            code="no-qemu",
            cause="QEMU is not installed, or not for this processor",
            evidence=problem.evidence,
            fixes=[Fix(text="install it: apt-get install qemu-system-x86 qemu-utils")],
        ) from problem
    return done.stdout.decode("utf-8", "replace").split("version ", 1)[1].split()[0].split("(")[0]


async def _machines() -> tuple[str, ...]:
    done = await run([QEMU, "-machine", "help"])
    words = (line.split(maxsplit=1)[0] for line in done.stdout.decode().splitlines()[1:] if line.strip())
    return tuple(word for word in words if word.startswith(("pc-i440fx-", "pc-q35-")))


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
