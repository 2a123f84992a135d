"""How long `tarmac vm list` takes as a whole process, beside an empty Python and `virsh list` where it is installed.

    .venv/bin/python benchmarks/cli_start.py [--url/--data-dir words of `tarmac`]

Without words it talks to a small server of its own on a unix socket that answers one node and 20 guests, so that the
figure is the command line's alone. The runs take turns, so that a change of the machine's mood hits all alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import libvirt_peer

RUNS = 30
ROWS = [{"vmid": 100 + i, "name": f"guest-{i}", "status": "running", "cpus": 2, "maxmem": 1 << 30} for i in range(20)]
NODE = [{"type": "node", "name": "bench", "local": 1}]


def serve(path: str) -> None:
    """Answer every request with what its path asks for, for ever."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    while True:
        connection, _ = listener.accept()
        with connection:
            while request := connection.recv(65536):
                rows = NODE if b"/cluster/status" in request else ROWS
                body = json.dumps({"data": rows}).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def once(command: list[str]) -> float:
    """Seconds from the process's start to its end."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main(words: list[str]) -> None:
    tarmac = str(Path(sys.executable).with_name("tarmac"))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        data = Path(name)
        if not words:
            (data / "runtime").write_text(f"{data}\n")
            threading.Thread(target=serve, args=(str(data / "api.sock"),), daemon=True).start()
            time.sleep(0.1)
            words = ["--data-dir", name]
        commands = {"tarmac vm list": [tarmac, *words, "vm", "list"], "python, empty": [sys.executable, "-c", "pass"]}
        if libvirt_peer.installed() and not os.environ.get("NO_VIRSH"):
            stack.enter_context(libvirt_peer.libvirt())
            commands["virsh list"] = ["virsh", "-c", "qemu:///system", "list", "--all"]
        times: dict[str, list[float]] = {what: [] for what in commands}
        for turn in range(RUNS + 2):
            for what, command in commands.items():
                seconds = once(command)
                if turn >= 2:
                    times[what].append(seconds)
    base = statistics.median(times["virsh list"] if "virsh list" in times else times["python, empty"])
    for what, values in times.items():
        middle = statistics.median(values)
        late = sorted(values)[int(RUNS * 0.9)]
        print(f"{what:16} median {middle * 1000:6.1f} ms  p90 {late * 1000:6.1f} ms  x{middle / base:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
