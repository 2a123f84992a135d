"""Disks out of the house and in again, in every format: the same bytes, through the command line and the jail."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon
from support.faults import CPU_STOPPED, assert_whole, eventually
from tarmac.lib import places

ENDINGS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc", "vhdx": "vhdx", "vdi": "vdi"}
SIZE = 4 << 20


@pytest.fixture(scope="module")
def disk(daemon: TestDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """Guest 100 with a linked clone's disk of these contents."""
    contents = os.urandom(SIZE)
    source = tmp_path_factory.mktemp("source") / "source.raw"
    source.write_bytes(contents)
    image = daemon.add_image(source, "source.raw")
    daemon.task("POST", daemon.qemu, vmid=9000, scsi0=f"local:0,import-from={image}", **CPU_STOPPED)
    daemon.task("POST", f"{daemon.qemu}/9000/template")
    daemon.task("POST", f"{daemon.qemu}/9000/clone", newid=100, name="out")
    yield contents
    assert_whole(daemon)


def tarmac(daemon: TestDaemon, *words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tarmac", "--data-dir", daemon.data, *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


def raw_of(path: Path, format: str) -> bytes:
    raw = path.with_suffix(".read")
    subprocess.run(["qemu-img", "convert", "-f", format, "-O", "raw", path, raw], check=True)
    return raw.read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_disk_goes_out_and_comes_in_again(daemon: TestDaemon, disk: bytes, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"disk.{ending}"
    done = tarmac(daemon, "vm", "export-disk", "out", "scsi0", file)
    assert done.returncode == 0, done.stderr
    assert raw_of(file, ENDINGS[ending])[:SIZE] == disk
    image = daemon.add_image(file, f"back.{ending}")
    daemon.task("POST", daemon.qemu, vmid=101, scsi0=f"local:0,import-from={image},format=raw", **CPU_STOPPED)
    assert (daemon.data / "storage/images/101/vm-101-disk-0.raw").read_bytes()[:SIZE] == disk
    daemon.task("DELETE", f"{daemon.qemu}/101")


def test_a_volume_goes_out_by_its_id(daemon: TestDaemon, disk: bytes, tmp_path: Path) -> None:
    file = tmp_path / "base.img"
    done = tarmac(daemon, "storage", "export", "local:9000/base-9000-disk-0.qcow2", file)
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == disk
    again = tarmac(daemon, "storage", "export", "local:9000/base-9000-disk-0.qcow2", file)
    assert again.returncode != 0 and "exists already" in again.stderr


def test_a_running_guests_disk_stays_in(daemon: TestDaemon, disk: bytes, tmp_path: Path) -> None:
    daemon.task("POST", f"{daemon.qemu}/100/status/start")
    done = tarmac(daemon, "vm", "export-disk", "out", "scsi0", tmp_path / "disk.qcow2")
    daemon.task("POST", f"{daemon.qemu}/100/status/stop")
    assert done.returncode != 0
    assert "is running - its disk cannot be exported" in done.stderr
    assert not list(tmp_path.iterdir())
    assert not list((daemon.data / "cache/exports").iterdir())


def overwrite(image: Path, byte: int) -> None:
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -P {byte} 0 64k", image], check=True, capture_output=True
    )  # fmt: skip


def test_a_snapshot_of_a_running_guest_goes_out_as_it_was(daemon: TestDaemon, disk: bytes, tmp_path: Path) -> None:
    daemon.task("POST", f"{daemon.qemu}/9000/clone", newid=102, name="snapped")
    image = daemon.data / "storage/images/102/vm-102-disk-0.qcow2"
    overwrite(image, 1)
    daemon.task("POST", f"{daemon.qemu}/102/snapshot", snapname="ones")
    overwrite(image, 2)
    daemon.task("POST", f"{daemon.qemu}/102/status/start")
    daemon.task("POST", f"{daemon.qemu}/102/snapshot", snapname="twos")
    for name, byte in (("ones", b"\1"), ("twos", b"\2")):
        for ending in ("raw", "qcow2"):
            file = tmp_path / f"{name}.{ending}"
            done = tarmac(daemon, "vm", "export-disk", "snapped", "scsi0", file, "--snapname", name)
            assert done.returncode == 0, done.stderr
            assert raw_of(file, ending) == byte * 65536 + disk[65536:]
    wrong = tarmac(daemon, "vm", "export-disk", "snapped", "scsi0", tmp_path / "x.raw", "--snapname", "threes")
    assert wrong.returncode != 0 and "does not exist" in wrong.stderr
    daemon.task("POST", f"{daemon.qemu}/102/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/102")


def test_a_templates_disk_is_sent_without_a_copy_and_its_change_waits(daemon: TestDaemon, tmp_path: Path) -> None:
    source = tmp_path / "large.raw"
    source.write_bytes(os.urandom(24 << 20))  # more than fits into a socket
    image = daemon.add_image(source, "large.raw")
    daemon.task("POST", daemon.qemu, vmid=9001, scsi0=f"local:0,import-from={image}", **CPU_STOPPED)
    daemon.task("POST", f"{daemon.qemu}/9001/template")
    base = daemon.data / "storage/images/9001/base-9001-disk-0.qcow2"
    sock = places.api_socket(daemon.data)
    assert sock is not None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(str(sock))
        path = f"/api2/json{daemon.qemu}/9001/export?disk=scsi0&format=qcow2"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = client.recv(1)
        assert not list((daemon.data / "cache/exports").iterdir()), "no copy was made"
        upid = daemon.delete(f"{daemon.qemu}/9001")
        where = f"/nodes/{daemon.node}/tasks/{upid}/status"
        eventually(lambda: "waits-for" in daemon.get(where), "its removal waits for the download")
        daemon.task("POST", f"{daemon.qemu}/9000/clone", newid=103)  # others are not concerned
        daemon.task("DELETE", f"{daemon.qemu}/103")
        whole = base.read_bytes()
        parts = [received]
        while chunk := client.recv(1 << 20):
            parts.append(chunk)
    assert b"".join(parts).partition(b"\r\n\r\n")[2] == whole
    assert daemon.wait_task(upid)["exitstatus"] == "OK"


def test_a_rollback_waits_until_what_it_changes_is_read(daemon: TestDaemon, disk: bytes, tmp_path: Path) -> None:
    """An export is held up (the tool itself is the real one); the guest's rollback waits for it."""
    go_on, tools = tmp_path / "go-on", tmp_path / "tools"
    tools.mkdir()
    real = shutil.which("qemu-img")
    script = (
        f'#!/bin/sh\ncase "$*" in create*exports*) touch "{go_on}.begun"\n'
        f'while [ ! -e "{go_on}" ]; do sleep 0.05; done ;; esac\nexec "{real}" "$@"\n'
    )
    (tools / "qemu-img").write_text(script)
    (tools / "qemu-img").chmod(0o755)
    daemon.task("POST", f"{daemon.qemu}/9000/clone", newid=104, name="read")
    image = daemon.data / "storage/images/104/vm-104-disk-0.qcow2"
    daemon.task("POST", f"{daemon.qemu}/104/snapshot", snapname="before")
    overwrite(image, 7)
    daemon.restart(env={"PATH": f"{tools}:{os.environ['PATH']}"})
    file = tmp_path / "disk.raw"
    argv = [sys.executable, "-m", "tarmac", "--data-dir", daemon.data, "vm", "export-disk", "read", "scsi0", file]
    with subprocess.Popen(argv) as reading:
        try:
            eventually((tmp_path / "go-on.begun").exists, "the copy has begun")
            upid = daemon.post(f"{daemon.qemu}/104/snapshot/before/rollback")
            where = f"/nodes/{daemon.node}/tasks/{upid}/status"
            eventually(lambda: "export" in daemon.get(where).get("waits-for", ""), "the rollback waits for it")
        finally:
            go_on.touch()
        assert reading.wait(60) == 0
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert file.read_bytes() == b"\7" * 65536 + disk[65536:], "what was read is whole"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, tmp_path / "after.raw"], check=True)
    assert (tmp_path / "after.raw").read_bytes() == disk, "and what was asked for afterwards is done"
    daemon.restart()
    daemon.task("DELETE", f"{daemon.qemu}/104")
