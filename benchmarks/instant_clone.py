"""Instant clones: request to the agent's first answer and to the finished identity, beside booting the same image and
beside a script that does the same by hand.

    .venv/bin/python benchmarks/instant_clone.py [--image tiny|debian-12] [--memory MIB] [--counts 1,10,50] [--runs 3]

Ours: `POST clone` with `instant`; `answered` and `done` of the task's result count from the request's arrival. By hand:
`qemu-img create` and QEMU with the words that the platform uses, as root and outside any cgroup, the same memory file,
the state fed over a socket pair, `cont`, the agent asked until it answers; four at a time, as the platform does it.
Booting: an ordinary linked clone of the same template, from the request to start it until its agent answers.
Before the template is frozen, clones of the guest that goes on: how long it stands, and the same times.
Alive: how many of the clones have their own identity and an agent that answers, when the last one is done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import Row, TestDaemon, daemon_with, report

from support.daemon import eventually
from support.images import built_image
from tarmac.drivers.qemu.facts import NodeFacts, VolumeFacts
from tarmac.drivers.qemu.live import memory
from tarmac.drivers.qemu.live.machine import CloneFacts, Machine, clone_argv

TEMPLATE = 900
AT_ONCE = 4


def booted(daemon: TestDaemon, image: str, mib: int) -> None:
    """A guest that runs. Where it is a whole system, cloud-init has ended, and it got half a minute to become idle."""
    volume = daemon.add_image(built_image(image), f"{image}.qcow2")
    daemon.create(TEMPLATE, volume, instant=1, memory=mib, net0="virtio", ide2="local:cloudinit", ciupgrade=0)
    daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/status/start")
    daemon.wait_agent(TEMPLATE, 600)
    if image != "tiny":
        eventually(lambda: "result.json" in daemon.run(TEMPLATE, "ls", "/run/cloud-init/"), 600)
        time.sleep(30)


def of_the_running(daemon: TestDaemon, runs: int) -> list[Row]:
    """One clone at a time of a guest that goes on."""
    stands, prepare, answered = list[float](), list[float](), list[float]()
    for _ in range(runs):
        done = _clone(daemon, 1)
        stands.append(done["source"]["times"]["stands"])
        prepare.append(done["source"]["times"]["prepare"])
        answered += [spent["answered"] for spent in done["times"].values()]
        remove(daemon, done["vmids"])
        while len(daemon.get(daemon.qemu)) > 1:
            time.sleep(0.5)
    return [
        Row("of a guest that goes on: it stands", "s", stands),
        Row("of a guest that goes on: its memory is copied before that", "s", prepare),
        Row("of a guest that goes on: request to the agent's answer", "s", answered),
    ]


def ours(daemon: TestDaemon, count: int) -> tuple[list[dict[str, float]], list[float], int]:
    """The times of each clone, its private memory in MiB once all are done, and how many are alive then. The clones are
    removed."""
    done = _clone(daemon, count)
    private = [_private(daemon.status(vmid)["pid"]) for vmid in done["vmids"]]
    alive = sum(_answers(daemon, vmid) for vmid in done["vmids"])
    remove(daemon, done["vmids"])
    return list(done["times"].values()), private, alive


def _clone(daemon: TestDaemon, count: int) -> dict[str, Any]:
    upid = daemon.post(f"{daemon.qemu}/{TEMPLATE}/clone", instant=1, count=count)
    done = daemon.wait_task(upid, 1800)
    if done["exitstatus"] != "OK":
        print(daemon.task_log(upid))
    return dict(done["result"])


def _answers(daemon: TestDaemon, vmid: int) -> bool:
    try:
        daemon.wait_agent(vmid, 60)
    except AssertionError:
        return False
    return bool(daemon.status(vmid)["instant"]["identity"] == "done")


def remove(daemon: TestDaemon, vmids: list[int]) -> None:
    for vmid in vmids:
        daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")


def _private(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}["Anonymous"] / 1024


def boots(daemon: TestDaemon) -> float:
    """Seconds from the start of an ordinary linked clone until its agent answers."""
    vmid = daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/clone")["result"]["vmid"]
    begun = time.perf_counter()
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    daemon.wait_agent(vmid, 600)
    took = time.perf_counter() - begun
    remove(daemon, [vmid])
    return took


class ByHand:
    """A script's way, with everything that can be prepared once prepared: memory filled, state read."""

    def __init__(self, daemon: TestDaemon) -> None:
        images = daemon.data / "storage/images" / str(TEMPLATE)
        self._base = next(images.glob("base-*"))
        volume = images / f"vm-{TEMPLATE}-state-live.raw"
        manifest, self._pieces = asyncio.run(memory.read_live_state(volume))
        self._machine = Machine.of(manifest["machine"])
        self._quiet = manifest["quiet"]
        self._ram = asyncio.run(memory.filled_memory(volume, "benchmark", self._machine.memory, None))
        self._node = NodeFacts(qemu_version=self._machine.qemu_version)

    def clones(self, count: int) -> list[float]:
        """Seconds from the beginning of all until each one's agent answered."""
        with tempfile.TemporaryDirectory(prefix="tarmac-bench-") as name:
            begun = time.perf_counter()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                futures = [pool.submit(self._one, Path(name) / str(n), begun) for n in range(count)]
                results = [future.result() for future in futures]
            for _, process in results:
                process.kill()
                process.wait()
        return [took for took, _ in results]

    def _one(self, place: Path, begun: float) -> tuple[float, subprocess.Popen[bytes]]:
        place.mkdir()
        top = place / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self._base, "-F", "qcow2", top], check=True)
        ours, theirs = socket.socketpair()
        fds = {"qmp": theirs.fileno(), "ram": os.dup(self._ram)}
        base = VolumeFacts(path=str(self._base), format="qcow2")
        volumes = {"scsi0": VolumeFacts(path=str(top), format="qcow2", backing=base)}
        for piece, data in self._pieces.items():
            if piece.startswith("medium-"):
                key = piece.removeprefix("medium-")
                fds[key] = memory.sealed_bytes("medium", data, len(data))
                path = f"/proc/self/fd/{fds[key]}"
                volumes[key] = VolumeFacts(path=path, format="raw", read_only=True, direct=False)
        facts = CloneFacts(
            vmid=1, name="hand", runtime_dir=str(place), uuid="11111111-1111-1111-1111-111111111111",
            generation="22222222-2222-2222-2222-222222222222", fds=fds, volumes=volumes,
        )  # fmt: skip
        argv = clone_argv(self._machine, facts, self._node)
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds.values())
        theirs.close()
        for name, fd in fds.items():
            if name != "qmp":
                os.close(fd)
        self._go_on(ours)
        self._answer(place / "qga.sock")
        return time.perf_counter() - begun, process

    def _go_on(self, monitor: socket.socket) -> None:
        stream = monitor.makefile("rb")
        stream.readline()

        def execute(command: str, **arguments: Any) -> Any:
            monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            while True:
                reply = json.loads(stream.readline())
                if "return" in reply:
                    return reply["return"]
                assert "error" not in reply, reply

        execute("qmp_capabilities")
        execute("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        feed, end = socket.socketpair()
        socket.send_fds(monitor, [b'{"execute":"getfd","arguments":{"fdname":"state"}}'], [end.fileno()])
        json.loads(stream.readline())
        end.close()
        sender = threading.Thread(target=lambda: (feed.sendall(self._pieces["state"]), feed.close()))
        sender.start()
        execute("migrate-incoming", uri="fd:state")
        while execute("query-migrate").get("status") != "completed":
            time.sleep(0.002)
        sender.join()
        execute("cont")

    @staticmethod
    def _answer(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(str(path))
            agent.sendall(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":4711}}\n')
            got = b""
            while b"4711" not in got:
                got += agent.recv(4096)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="tiny", choices=("tiny", "debian-12"))
    parser.add_argument("--memory", type=int, default=None, help="MiB (default: 128 for tiny, else 512)")
    parser.add_argument("--counts", default="1,10", help="how many clones at once, one series each")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    mib = options.memory or (128 if options.image == "tiny" else 512)
    rows: list[Row] = []
    with daemon_with(0) as daemon:
        booted(daemon, options.image, mib)
        rows += of_the_running(daemon, options.runs)
        times = daemon.task("POST", f"{daemon.qemu}/{TEMPLATE}/template", live=1)["result"]["times"]
        rows.append(Row("freezing: the guest's processors stand", "s", [times["device-state"]]))
        rows.append(Row("freezing: its file systems, before that", "s", [times["hold"]]))
        hand = ByHand(daemon)
        for count in map(int, options.counts.split(",")):
            runs = options.runs if count < 10 else 1
            rows += series(daemon, hand, count, runs)
        cold = [boots(daemon) for _ in range(min(options.runs, 2))]
        first = next(row for row in rows if row.what.startswith("1 clone"))
        rows.append(Row("booting the same image / 1 clone", "s", cold, "1 clone, answered", first.values))
    report(f"instant_clone {options.image} {mib} MiB", rows)


def series(daemon: TestDaemon, hand: ByHand, count: int, runs: int) -> list[Row]:
    """Ours and by hand in turn, so that both meet the same machine."""
    answered, done, private, by_hand = list[float](), list[float](), list[float](), list[float]()
    alive = list[float]()
    for _ in range(runs):
        times, own, living = ours(daemon, count)
        alive.append(living)
        answered.append(max(spent["answered"] for spent in times))
        done.append(max(spent["done"] for spent in times))
        private += own
        by_hand.append(max(hand.clones(count)))
    what = f"{count} clone{'s' if count > 1 else ''}"
    return [
        Row(f"{what}: request to the (last) agent's answer", "s", answered, "by hand", by_hand),
        Row(f"{what}: request to the (last) finished identity", "s", done),
        Row(f"{what}: private memory of each", "MiB", private),
        Row(f"{what}: alive at once", "", alive),
    ]


if __name__ == "__main__":
    main()
