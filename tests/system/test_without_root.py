"""The daemon as an ordinary user: the same guests with user-mode networking, reached by a forwarded port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon

NOBODY = 65534
PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
SOURCES = Path(__file__).resolve().parents[2] / "src"
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def _can_run() -> bool:
    """An ordinary user must reach a Python of this version, our sources and our dependencies."""
    if os.geteuid() != 0:
        return False
    words = [*AS_NOBODY, PYTHON, "-c", "import tarmac.daemon"]
    return subprocess.run(words, env=_environment(Path("/tmp")), capture_output=True, check=False).returncode == 0


def _environment(home: Path) -> dict[str, str]:
    paths = f"{SOURCES}:{sysconfig.get_paths()['purelib']}"
    return {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": paths,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
    }


@pytest.fixture(scope="module")
def unprivileged() -> Iterator[TestDaemon]:
    if not _can_run():
        pytest.skip("an ordinary user cannot reach this checkout, or there is none to become")
    home = Path(tempfile.mkdtemp(prefix="tm-user-"))
    data = home / "data"
    data.mkdir()
    for path in (home, data):
        os.chown(path, NOBODY, NOBODY)
    running = TestDaemon(data)
    try:
        yield running.start(wrapper=AS_NOBODY, env=_environment(home), python=PYTHON)
    finally:
        running.remove()
        shutil.rmtree(home, ignore_errors=True)


def test_a_guest_without_root(unprivileged: TestDaemon, tiny_image: Path) -> None:
    image = unprivileged.add_image(tiny_image)
    os.chown(unprivileged.data / "storage/import/tiny.qcow2", NOBODY, NOBODY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    unprivileged.create(100, image, net0=f"virtio,forward=tcp:127.0.0.1:{port}:8080")
    unprivileged.task("POST", f"{unprivileged.qemu}/100/status/start")
    pid = unprivileged.qemu_pids()[100]
    assert os.stat(f"/proc/{pid}").st_uid == NOBODY
    unprivileged.wait_agent(100)
    serve = "udhcpc -q -n -i eth0 >/dev/null 2>&1; echo hello | nc -l -p 8080 >/dev/null 2>&1 &"
    unprivileged.run(100, "sh", "-c", serve)
    assert _read(port) == b"hello\n"
    unprivileged.task("POST", f"{unprivileged.qemu}/100/status/stop")
    unprivileged.put(f"{unprivileged.qemu}/100/config", net1="virtio,bridge=vmbr0")
    error = unprivileged.wait_task(unprivileged.post(f"{unprivileged.qemu}/100/status/start"))["error"]
    assert any("user-mode" in fix["text"] for fix in error["fixes"])


def _read(port: int, seconds: float = 40) -> bytes:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                if data := sock.recv(100):
                    return data
        except OSError:
            pass
        assert time.monotonic() < deadline, "nobody answers on the forwarded port"
        time.sleep(0.5)


def test_networks_are_defined_and_who_may_apply_them_is_said(unprivileged: TestDaemon) -> None:
    daemon = unprivileged
    daemon.post("/cluster/sdn/zones", zone="z1", type="simple", dhcp="dnsmasq")
    daemon.post("/cluster/sdn/vnets", vnet="v1", zone="z1")
    with pytest.raises(ApiError) as refused:
        daemon.put("/cluster/sdn")
    error = refused.value.body["error"]
    assert error["code"] == "bridge-permission" and error["cause"] and error["fixes"]
    assert daemon.get("/nodes/n1/sdn/zones") == [{"zone": "z1", "status": "pending"}]
    daemon.post("/cluster/sdn/rollback")
    assert daemon.get("/cluster/sdn/zones") == []
