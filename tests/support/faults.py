"""What must hold after any fault: nothing half done, nothing left over. And how to bring faults about."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.daemon import ApiError, TestDaemon, looks
from tarmac.drivers.qemu.record import start_time_of
from tarmac.lib import places

PHASES = ("before-intent", "before-effect", "after-effect", "after-result")
CPU_STOPPED = {"memory": 64, "freeze": 1, "vga": "none"}
"""A guest that costs next to nothing: QEMU runs, its processor does not."""


def eventually(check: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait until `check()` is true; fails the test with `what` otherwise."""
    for late in looks(seconds):
        if check():
            return
        assert not late, f"after {seconds} s not yet: {what}"


def wait_idle(daemon: TestDaemon, seconds: float = 30) -> None:
    """Until no task runs."""
    active = f"/nodes/{daemon.node}/tasks"
    eventually(lambda: not daemon.get(active, source="active"), "every task has ended", seconds)


def task_rows(daemon: TestDaemon, kind: str, id: str = "") -> list[dict[str, Any]]:
    """Tasks of a kind, newest first; `status` is `OK` or what went wrong."""
    rows = daemon.get(f"/nodes/{daemon.node}/tasks", source="all", typefilter=kind, limit=1000)
    return [row for row in rows if row["type"] == kind and (not id or row["id"] == id)]


def ask_and_die(daemon: TestDaemon, ask: Callable[[], object]) -> None:
    """A call at whose work the daemon kills itself; whether the answer still comes is chance."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask()
    code = daemon.wait_dead(120)
    assert code == -9, f"the daemon ended with {code}, not at the crash point:\n{daemon.tail()}"


def upload(
    daemon: TestDaemon,
    name: str,
    body: bytes,
    *,
    storage: str = "local",
    send: int | None = None,
    then: Callable[[], object] = lambda: None,
) -> Any:
    """POST an ISO image; with `send`, only so many bytes of the request go out, then `then` is called and the
    connection breaks."""
    sock = places.api_socket(daemon.data)
    assert sock is not None
    head = (
        b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\niso\r\n'
        b'--b\r\nContent-Disposition: form-data; name="filename"; filename="' + name.encode() + b'"\r\n\r\n'
    )
    payload = head + body + b"\r\n--b--\r\n"
    path = f"/api2/json/nodes/{daemon.node}/storage/{storage}/upload"
    request = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    ).encode() + payload
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(str(sock))
        with contextlib.suppress(BrokenPipeError):  # refused before all of it was sent: the answer is there
            client.sendall(request[:send])
        if send is not None:
            parts = daemon.data / "storage"
            eventually(lambda: any(parts.rglob(".*.part")), "the daemon writes what comes in")
            then()
            return None
        reply = http.client.HTTPResponse(client)
        reply.begin()
        answer = json.loads(reply.read() or b"{}")
    if reply.status >= 400:
        raise ApiError(reply.status, reply.reason, answer)
    return answer["data"]


def assert_whole(daemon: TestDaemon) -> None:
    """Nothing half done anywhere: configurations, volumes, processes, runtime files, uids agree with each other."""
    wait_idle(daemon)
    rows = {row["vmid"]: row for row in daemon.get(daemon.qemu)}
    running = {vmid for vmid, row in rows.items() if row["status"] == "running"}
    # A QEMU of many threads is in the process list for a moment after its end was told.
    eventually(lambda: set(daemon.qemu_pids()) == running, f"these QEMUs run: {running}", 5)
    runtime = _runtime_dir(daemon)
    eventually(lambda: _numbers(runtime) == running, f"{_numbers(runtime)} are the running guests {running}", 5)
    assert {int(p.stem) for p in (daemon.data / "guests").iterdir()} == set(rows)
    assert _uids(daemon.data) <= set(rows)
    named = {name for vmid in rows for name in _volumes(daemon, vmid)}
    assert image_files(daemon.data / "storage") == named
    assert not _temporaries(daemon.data), _temporaries(daemon.data)
    for name in named:
        if int(name.partition("/")[0]) not in running:
            check_image(daemon.data / "storage" / "images" / name)


def image_files(storage: Path) -> set[str]:
    """All disk images of a directory storage as `100/vm-100-disk-0.qcow2`, hidden files and empty directories too."""
    images = storage / "images"
    if not images.exists():
        return set()
    return {str(p.relative_to(images)) for p in images.rglob("*") if p.is_file() or not any(p.iterdir())}


def check_image(path: Path) -> None:
    if path.suffix == ".qcow2":
        done = subprocess.run(["qemu-img", "check", "-q", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, f"{path}: {done.stdout}{done.stderr}"


def _runtime_dir(daemon: TestDaemon) -> Path:
    sock = places.api_socket(daemon.data)
    assert sock is not None
    return sock.parent


def _numbers(directory: Path) -> set[int]:
    return {int(p.name) for p in directory.iterdir() if p.name.isdecimal()}


def _volumes(daemon: TestDaemon, vmid: int) -> set[str]:
    """The files that a guest's configuration and its snapshots stand for, the snapshots' layers among them."""
    found = _named(daemon.get(f"{daemon.qemu}/{vmid}/config"), vmid)
    for row in daemon.get(f"{daemon.qemu}/{vmid}/snapshot")[:-1]:
        names = _named(daemon.get(f"{daemon.qemu}/{vmid}/snapshot/{row['name']}/config"), vmid)
        found |= names
        disks = {name.partition("/")[2] for name in names if "-disk-" in name}
        found |= {f"{vmid}/snap-{row['name']}-{disk}" for disk in disks}
    return found


def _named(config: dict[str, Any], vmid: int) -> set[str]:
    """The guest's own images, `100/vm-100-disk-0.qcow2`; of a linked clone's name the last two parts."""
    texts = [str(value).partition(",")[0].removeprefix("local:") for value in config.values()]
    return {"/".join(text.split("/")[-2:]) for text in texts if f"{vmid}" in text.split("/")[-2:-1]}


def _uids(data: Path) -> set[int]:
    """The guests that own a uid, read from the store itself."""
    with contextlib.closing(sqlite3.connect(f"file:{data / 'tarmac.db'}?mode=ro", uri=True)) as store:
        keys = [row[0] for row in store.execute("SELECT key FROM entries")]
    texts = [key.decode() if isinstance(key, bytes) else key for key in keys]
    return {int(text.removeprefix("uids/")) for text in texts if text.startswith("uids/")}


def _temporaries(data: Path) -> list[str]:
    """Hidden files that are work in progress; `.made` marks may stay until the next clean-up."""
    return [str(p) for p in data.rglob(".*") if p.is_file() and not p.name.endswith(".made")]


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    return start_time_of(pid) is not None
