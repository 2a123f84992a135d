"""Snapshots of a running guest: how long it stands still, and what removing one does to its writes.

Beside: the same by hand over QMP on the same guest (`blockdev-snapshot-sync`; `stop`, `migrate` to a file, `cont`), and
QEMU's own internal snapshot with memory (`snapshot-save`, as `qemu-img snapshot` keeps them).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Row, TestDaemon, daemon_with, percentile, report

from support.images import built_image
from tarmac.lib import places

VMID = 100
MIB = 1 << 20
# The second disk, by its size (512 MiB): which name it gets is chance.
FIND = "for d in /sys/block/sd*; do [ $(cat $d/size) = 1048576 ] && T=/dev/${d##*/}; done; "
TARGET = "$T"
# Each line: when the write began and when it had reached the disk, in seconds of the guest's clock.
WRITES = (
    FIND.replace("{", "{{").replace("}", "}}") + "i=0; while [ $i -lt {count} ]; do read a b < /proc/uptime; "
    f"dd if=/dev/urandom of={TARGET} bs=4k count=1 seek=$((i % 512)) conv=notrunc,fsync 2>/dev/null; "
    "read c d < /proc/uptime; echo $a $c; i=$((i+1)); done > /tmp/writes; echo done >> /tmp/writes"
)


class Monitor:
    """QEMU's second monitor, which the daemon leaves alone while it has the first: commands and events."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(str(path))
        self._file = self._sock.makefile("rwb")
        self.stopped = 0.0
        self.pauses: list[float] = []
        self._next()
        self("qmp_capabilities")

    def __call__(self, command: str, _fd: int | None = None, **arguments: Any) -> Any:
        words = {key.replace("_", "-"): value for key, value in arguments.items()}
        data = json.dumps({"execute": command, "arguments": words}).encode() + b"\n"
        if _fd is None:
            self._sock.sendall(data)
        else:
            socket.send_fds(self._sock, [data], [_fd])
        while "return" not in (reply := self._next()):
            assert "error" not in reply, reply
        return reply["return"]

    def hear(self) -> list[float]:
        """The pauses since the last call, from the events' own time stamps, in seconds."""
        self("query-status")
        found, self.pauses = self.pauses, []
        return found

    def _next(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self._file.readline())
        if (name := reply.get("event")) in ("STOP", "RESUME"):
            at = reply["timestamp"]["seconds"] + reply["timestamp"]["microseconds"] / 1e6
            if name == "STOP":
                self.stopped = at
            else:
                self.pauses.append(at - self.stopped)
        return reply


def guest(daemon: TestDaemon, image: str) -> Monitor:
    daemon.create(VMID, image, scsi1="local:0.5", memory=256)
    daemon.task("POST", f"{daemon.qemu}/{VMID}/status/start")
    daemon.wait_agent(VMID)
    sock = places.api_socket(daemon.data)
    assert sock is not None
    return Monitor(sock.parent / str(VMID) / "qmp.sock")


def shell(daemon: TestDaemon, text: str) -> str:
    return daemon.run(VMID, "/bin/sh", "-c", text)


def latencies(daemon: TestDaemon, count: int, during: Any) -> tuple[list[float], float]:
    """The guest's write latencies in ms (its clock ticks in 10 ms) while `during()` runs, and how long that took."""
    daemon.post(f"{daemon.qemu}/{VMID}/agent/exec", command=["/bin/sh", "-c", WRITES.format(count=count)])
    time.sleep(0.5)
    began = time.monotonic()
    during()
    took = time.monotonic() - began
    for _ in range(600):
        lines = shell(daemon, "cat /tmp/writes").split("\n")
        if "done" in lines:
            break
        time.sleep(0.2)
    pairs = [line.split() for line in lines if " " in line]
    return [(float(b) - float(a)) * 1000 for a, b in pairs], took


def by_hand_disk(monitor: Monitor, directory: Path, number: int) -> float:
    """One disk, one overlay: what must be done at the least. Seconds of the command alone."""
    path = directory / f"hand-{number}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "512M"], check=True)
    path.chmod(0o666)
    file = {"driver": "file", "node-name": f"hand-e{number}", "filename": str(path)}
    monitor("blockdev-add", **file)
    node = {"driver": "qcow2", "node-name": f"hand-f{number}", "file": f"hand-e{number}", "backing": None}
    monitor("blockdev-add", **node)
    base = _active(monitor)
    began = time.monotonic()
    monitor(
        "transaction", actions=[{"type": "blockdev-snapshot", "data": {"node": base, "overlay": f"hand-f{number}"}}]
    )
    took = time.monotonic() - began
    monitor("block-commit", job_id="hand", device="drive-scsi1", top_node=f"hand-f{number}", base_node=base)
    while (jobs := monitor("query-block-jobs")) and not jobs[0]["ready"]:
        time.sleep(0.02)
    monitor("job-complete", id="hand")
    while monitor("query-jobs"):
        time.sleep(0.02)
    for name in (f"hand-f{number}", f"hand-e{number}"):
        monitor("blockdev-del", node_name=name)
    return took


def _active(monitor: Monitor) -> str:
    entry = next(e for e in monitor("query-blockstats") if e["node-name"] == "drive-scsi1")
    return str(entry["backing"]["node-name"])


def by_hand_memory(monitor: Monitor, directory: Path) -> float:
    """stop, memory into a file, cont. The pause in seconds."""
    monitor.hear()
    fd = os.open(directory / "state", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    monitor("stop")
    monitor("migrate-set-parameters", max_bandwidth=1 << 40)
    monitor("getfd", fd, fdname="hand")
    monitor("migrate", uri="fd:hand")
    while monitor("query-migrate")["status"] not in ("completed", "failed"):
        time.sleep(0.005)
    monitor("cont")
    os.close(fd)
    return monitor.hear()[0]


def internal_memory(monitor: Monitor) -> float:
    """QEMU's own snapshot with memory, inside the image. The pause in seconds."""
    monitor.hear()
    node = next(e for e in monitor("query-blockstats") if e["node-name"] == "drive-scsi1")["backing"]["node-name"]
    every = [e["backing"]["node-name"] for e in monitor("query-blockstats") if "backing" in e]
    monitor("snapshot-save", job_id="in", tag="in", vmstate=node, devices=every)
    while monitor("query-jobs")[0]["status"] != "concluded":
        time.sleep(0.005)
    error = monitor("query-jobs")[0].get("error")
    monitor("job-dismiss", id="in")
    assert error is None, error
    pauses = monitor.hear()
    monitor("snapshot-delete", job_id="del", tag="in", devices=every)
    while monitor("query-jobs")[0]["status"] != "concluded":
        time.sleep(0.005)
    monitor("job-dismiss", id="del")
    return sum(pauses)


def measure(runs: int, fill_mib: int) -> list[Row]:
    with daemon_with(0) as daemon, tempfile.TemporaryDirectory(prefix="tarmac-bench-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o777)
        monitor = guest(daemon, daemon.add_image(built_image("tiny")))
        path = f"{daemon.qemu}/{VMID}/snapshot"
        tasks, hands, pauses, hand_pauses, internal = [], [], [], [], []
        for number in range(runs):
            began = time.monotonic()
            daemon.task("POST", path, snapname=f"disk{number}")
            tasks.append(time.monotonic() - began)
            assert not monitor.hear(), "a snapshot without memory does not stop the guest"
            daemon.task("DELETE", f"{path}/disk{number}")
            hands.append(by_hand_disk(monitor, directory, number))
            daemon.task("POST", path, snapname=f"all{number}", vmstate=1)
            pauses.append(sum(monitor.hear()))
            daemon.task("DELETE", f"{path}/all{number}")
            hand_pauses.append(by_hand_memory(monitor, directory))
            with contextlib.suppress(AssertionError):
                internal.append(internal_memory(monitor))
        rows = [
            Row("snapshot of two disks, request to the end of its task (the guest is not stopped)", "s", tasks,
                "the QMP transaction alone", hands),
            Row("pause with memory (256 MiB guest)", "s", pauses, "stop, migrate, cont by hand", hand_pauses),
        ]  # fmt: skip
        if internal:
            rows.append(Row("the same", "s", pauses, "QEMU's snapshot-save", internal))
        return rows + removal(daemon, path, fill_mib, runs)


def fill(daemon: TestDaemon, mib: int) -> None:
    """The guest writes the beginning of its second disk anew."""
    for at in range(0, mib, 32):
        words = f"bs=1M count=32 seek={at} iflag=fullblock conv=notrunc,fsync"
        shell(daemon, FIND + f"yes tarmac | dd of={TARGET} {words}")


def removal(daemon: TestDaemon, path: str, fill_mib: int, runs: int) -> list[Row]:
    """The guest's writes while a snapshot is removed, beside its writes when nothing happens; all to blocks that are
    allocated already, so that only the merge makes the difference."""
    fill(daemon, fill_mib)
    idle: list[float] = []
    busy: dict[str, list[float]] = {"at 100 MiB/s": [], "without limit": []}
    times: dict[str, list[float]] = {words: [] for words in busy}
    for _ in range(runs):
        idle += latencies(daemon, 200, lambda: None)[0]
        for words, limit in (("at 100 MiB/s", None), ("without limit", 0)):
            daemon.task("POST", path, snapname="fill")
            fill(daemon, fill_mib)
            found, took = latencies(
                daemon, 200, lambda limit=limit: daemon.task("DELETE", f"{path}/fill", bwlimit=limit)
            )
            busy[words] += found
            times[words].append(took)
    rows = []
    for words, found in busy.items():
        took = statistics.median(times[words])
        what = f"4 KiB write and flush while {fill_mib} MiB are merged {words} ({took:.1f} s)"
        rows += [
            Row(f"{what}, mean", "ms", [statistics.mean(found)], "nothing happening", [statistics.mean(idle)]),
            Row(
                f"the slowest of a hundred of {len(found)}", "ms", [percentile(found, 0.99)],
                "nothing happening", [percentile(idle, 0.99)],
            ),
        ]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fill", type=int, default=128, help="MiB that are merged")
    options = parser.parse_args()
    report("snapshots", measure(options.runs, options.fill))


if __name__ == "__main__":
    main()
