"""Shapes of the node: its state, certificate, figures over time, and the servers that these are sent to."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Used(TypedDict):
    """Bytes."""

    total: int
    used: int
    free: int


class CpuInfo(TypedDict):
    model: str
    cpus: int
    cores: int
    sockets: int


class Accelerator(TypedDict):
    kvm: int
    reason: str


class NodeStatus(TypedDict):
    uptime: int
    cpu: float
    wait: float
    loadavg: list[str]
    kversion: str
    pveversion: str
    memory: Used
    swap: Used
    rootfs: Used
    cpuinfo: CpuInfo
    accelerator: Accelerator


class Certificate(TypedDict):
    filename: str
    fingerprint: str
    subject: str
    issuer: str
    notbefore: int
    notafter: int
    san: list[str]


class Figures(TypedDict):
    """A moment of a guest, node or storage; only `time` where nothing is known of it. Counters are bytes a second."""

    time: int
    cpu: NotRequired[float]
    maxcpu: NotRequired[float]
    mem: NotRequired[float]
    maxmem: NotRequired[float]
    netin: NotRequired[float]
    netout: NotRequired[float]
    diskread: NotRequired[float]
    diskwrite: NotRequired[float]
    loadavg: NotRequired[float]
    iowait: NotRequired[float]
    memused: NotRequired[float]
    memtotal: NotRequired[float]
    swapused: NotRequired[float]
    swaptotal: NotRequired[float]
    rootused: NotRequired[float]
    roottotal: NotRequired[float]
    used: NotRequired[float]
    total: NotRequired[float]


class MetricServerRow(TypedDict):
    """`problem`: why sending fails, if it does."""

    id: str
    type: str
    server: str
    port: int
    disable: int
    problem: NotRequired[str]
