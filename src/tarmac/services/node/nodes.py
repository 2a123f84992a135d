"""The node itself: its figures as Proxmox shows them, sampled once a second and answered from memory."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.model.errors import NotFound
from tarmac.version import PVE_RELEASE, PVE_VERSION, REPOSITORY_ID

SAMPLE_SECONDS = 1.0


@dataclass(slots=True)
class Sample:
    """The last figures. `cpu` and `wait` are fractions of all cores, `load` is the average of a minute; sizes in bytes,
    of the network since the host's start and without bridges and taps, which carry the same packets once more."""

    cpu: float = 0.0
    wait: float = 0.0
    load: float = 0.0
    netin: int = 0
    netout: int = 0
    memory: dict[str, int] = field(default_factory=lambda: {"total": 0, "used": 0, "free": 0, "available": 0})
    swap: dict[str, int] = field(default_factory=lambda: {"total": 0, "used": 0, "free": 0})
    root: dict[str, int] = field(default_factory=lambda: {"total": 0, "used": 0, "free": 0, "avail": 0})


class Nodes:
    """The one node of a standalone installation (members of a cluster come from the store later)."""

    def __init__(self, *, node: str, facts: NodeFacts, data_dir: Path) -> None:
        self.node = node
        self.facts = facts
        self._data_dir = data_dir
        self._cpuinfo = _cpuinfo()
        self.sample = Sample()

    async def refresh(self) -> None:
        """Take a sample; in a thread, because a hung file system must not stop the loop."""
        self.sample = await asyncio.to_thread(_take, self._data_dir)

    def check(self, node: str) -> None:
        """Raises NotFound for a node that is not this one."""
        if node not in (self.node, "localhost"):
            raise NotFound(
                f"hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known",
                code="no-such-node",
                cause=f"the only node here is '{self.node}'",
                evidence=f"asked for '{node}'",
            )

    def uptime(self) -> int:
        return int(time.time() - psutil.boot_time())

    def summary(self) -> dict[str, Any]:
        """A row of `GET /nodes`."""
        now = self.sample
        return {
            "node": self.node,
            "id": f"node/{self.node}",
            "type": "node",
            "status": "online",
            "level": "",
            "cpu": now.cpu,
            "maxcpu": self._cpuinfo["cpus"],
            "mem": now.memory["used"],
            "maxmem": now.memory["total"],
            "disk": now.root["used"],
            "maxdisk": now.root["total"],
            "uptime": self.uptime(),
        }

    def status(self) -> dict[str, Any]:
        """`GET /nodes/{node}/status`, with the accelerator and its reason beside Proxmox's fields."""
        now = self.sample
        system = os.uname()
        return {
            "uptime": self.uptime(),
            "cpu": now.cpu,
            "wait": now.wait,
            "idle": 0,
            "loadavg": [f"{load:.2f}" for load in os.getloadavg()],
            "cpuinfo": dict(self._cpuinfo),
            "memory": {k: now.memory[k] for k in ("total", "used", "free", "available")},
            "swap": dict(now.swap),
            "rootfs": dict(now.root),
            "ksm": {"shared": _ksm_shared()},
            "pveversion": f"pve-manager/{PVE_VERSION}/{REPOSITORY_ID}",
            "kversion": f"{system.sysname} {system.release} {system.version}",
            "current-kernel": {
                "sysname": system.sysname,
                "release": system.release,
                "version": system.version,
                "machine": system.machine,
            },
            "boot-info": {"mode": "efi" if Path("/sys/firmware/efi").exists() else "legacy-bios"},
            "accelerator": {"kvm": int(self.facts.kvm.usable), "reason": self.facts.kvm.reason},
        }

    def address(self) -> str:
        """The address by which others reach this node, as far as it can be known without asking anybody."""
        for addresses in psutil.net_if_addrs().values():
            for entry in addresses:
                if entry.family == socket.AF_INET and not entry.address.startswith("127."):
                    return entry.address
        return "127.0.0.1"

    def version(self) -> dict[str, str]:
        return {"version": PVE_VERSION, "release": PVE_RELEASE, "repoid": REPOSITORY_ID}


def _take(data_dir: Path) -> Sample:
    times = psutil.cpu_times_percent(interval=None)
    memory, swap, disk = psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_usage(str(data_dir))
    received, sent = _network()
    busy = max(0.0, 100.0 - times.idle - getattr(times, "iowait", 0.0))
    return Sample(
        cpu=round(busy / 100, 4),
        wait=round(getattr(times, "iowait", 0.0) / 100, 4),
        load=os.getloadavg()[0],
        netin=received,
        netout=sent,
        memory={
            "total": memory.total,
            "used": memory.total - memory.available,
            "free": memory.free,
            "available": memory.available,
        },
        swap={"total": swap.total, "used": swap.used, "free": swap.free},
        root={"total": disk.total, "used": disk.used, "free": disk.free, "avail": disk.free},
    )


def _network() -> tuple[int, int]:
    """Bytes received and sent by the interfaces that lead out of this host."""
    received = sent = 0
    for name, counter in psutil.net_io_counters(pernic=True).items():
        place = Path("/sys/class/net") / name
        if name != "lo" and not (place / "bridge").exists() and not (place / "tun_flags").exists():
            received += counter.bytes_recv
            sent += counter.bytes_sent
    return received, sent


def _cpuinfo() -> dict[str, Any]:
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    cpus = psutil.cpu_count() or 1
    sockets = int(facts.get("physical id", "0")) + 1
    flags = facts.get("flags", "")
    return {
        "model": facts.get("model name", platform.machine()),
        "mhz": facts.get("cpu MHz", "0"),
        "cpus": cpus,
        "cores": psutil.cpu_count(logical=False) or cpus,
        "sockets": sockets,
        "hvm": "1" if {"vmx", "svm"} & set(flags.split()) else "0",
        "flags": flags,
        "user_hz": os.sysconf("SC_CLK_TCK"),
    }


def _ksm_shared() -> int:
    try:
        return int(Path("/sys/kernel/mm/ksm/pages_sharing").read_text()) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
