"""Servers of disks on loopback: an NBD server (QEMU's storage daemon) and an iSCSI target in user space (tgt)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass
class Server:
    """`disks` are its backing files by volume name; `texts` defines it as a storage."""

    process: subprocess.Popen[bytes]
    disks: dict[str, Path]
    texts: dict[str, str]

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """It stands still inside the block."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _running(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@contextlib.contextmanager
def _disks(*sizes: int) -> Iterator[list[Path]]:
    folder = Path(tempfile.mkdtemp(prefix="tarmac-disks-"))
    try:
        made = [folder / f"{n}.raw" for n in range(len(sizes))]
        for path, size in zip(made, sizes, strict=True):
            path.write_bytes(b"")
            os.truncate(path, size)
        yield made
    finally:
        shutil.rmtree(folder)


def _wait(argv: list[str]) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run(argv, capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, f"{argv} fails for 30 s"
        time.sleep(0.05)


@contextlib.contextmanager
def nbd_server(size: int = 32 * MIB) -> Iterator[Server]:
    """Exports `data` and `spare`, and one whose name no volume can have."""
    port = _free_port()
    with _disks(size, 8 * MIB, MIB) as disks:
        argv = ["qemu-storage-daemon", "--nbd-server", f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}"]
        for n, (path, name) in enumerate(zip(disks, ("data", "spare", "odd/name"), strict=True)):
            argv += ["--blockdev", f"driver=file,node-name=f{n},filename={path}"]
            argv += ["--export", f"type=nbd,id=x{n},node-name=f{n},name={name},writable=on"]
        with _running(argv) as process:
            _wait(["qemu-nbd", "--list", "--bind", "127.0.0.1", "--port", str(port)])
            texts = {"type": "nbd", "server": "127.0.0.1", "port": str(port)}
            yield Server(process, {"data": disks[0], "spare": disks[1]}, texts)


def no_iscsi() -> str:
    """Why there can be no iSCSI target here, "" when there can."""
    lacking = [program for program in ("tgtd", "tgtadm", "iscsi-ls") if shutil.which(program) is None]
    if lacking:
        return f"no {', '.join(lacking)}: apt-get install --no-install-recommends tgt libiscsi-bin qemu-block-extra"
    return "" if os.geteuid() == 0 else "tgtd needs root"


@contextlib.contextmanager
def iscsi_target(size: int = 32 * MIB) -> Iterator[Server]:
    """A target with units 1 and 2, and another target on the same portal."""
    port, control, name = _free_port(), str(20000 + os.getpid() % 10000), "iqn.2026-01.test:disks"
    with (
        _disks(size, 8 * MIB, MIB) as disks,
        _running(["tgtd", "-f", "-C", control, "--iscsi", f"portal=127.0.0.1:{port}"]) as process,
    ):
        tool = ["tgtadm", "-C", control, "--lld", "iscsi"]
        _wait([*tool, "--op", "show", "--mode", "target"])

        def target(tid: str, iqn: str, units: dict[str, Path]) -> None:
            new = [*tool, "--op", "new", "--tid", tid]
            subprocess.run([*new, "--mode", "target", "-T", iqn], check=True)
            for lun, path in units.items():
                subprocess.run([*new, "--mode", "logicalunit", "--lun", lun, "-b", path], check=True)
            subprocess.run([*tool, "--op", "bind", "--mode", "target", "--tid", tid, "-I", "ALL"], check=True)

        target("1", name, {"1": disks[0], "2": disks[1]})
        target("2", "iqn.2026-01.test:others", {"1": disks[2]})
        texts = {"type": "iscsidirect", "portal": f"127.0.0.1:{port}", "target": name}
        yield Server(process, {"lun1": disks[0], "lun2": disks[1]}, texts)
