"""The peer libvirt, started by hand and gone afterwards: `virtlogd` and `libvirtd` of the system, with QEMU as root.

QEMU as root (`user = "root"`) is the fair baseline: libvirt's own user may not open /dev/kvm, and libvirt then asks
QEMU again at every start what it can do, which takes seconds. Nothing is started where a libvirtd runs already or we
are not root; its definitions in /etc/libvirt/qemu are ours by name (`tarmac-bench-N`) and removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DEFINITIONS = Path("/etc/libvirt/qemu")
QEMU_CONF = Path("/etc/libvirt/qemu.conf")
PID_FILE = Path("/run/libvirtd.pid")
NAME = "tarmac-bench-"
PLAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>2048</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""
END = "end-of-answer"


def installed() -> bool:
    """Whether there is a libvirt that may be started: programs, root, and none that runs."""
    programs = all(shutil.which(name) for name in ("virsh", "libvirtd", "virtlogd"))
    return programs and os.geteuid() == 0 and not _running()


class Virsh:
    """One `virsh` that stays: its own start is not what is measured."""

    def __init__(self) -> None:
        words = ["stdbuf", "-oL", "virsh", "-q", "-c", "qemu:///system"]  # unbuffered, or it would never answer
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def timed(self, command: str) -> float:
        """Seconds from the command to its last word. Raises AssertionError when virsh ends."""
        assert self._process.stdin is not None and self._process.stdout is not None
        begun, got = time.perf_counter(), b""
        self._process.stdin.write(f"{command}\necho {END}\n".encode())
        self._process.stdin.flush()
        while f"\n{END}".encode() not in got:  # commands are shown again behind a prompt, answers begin a line
            part = os.read(self._process.stdout.fileno(), 1 << 20)
            assert part, f"virsh ended at '{command}'"
            got = got[-64:] + part
        return time.perf_counter() - begun

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()


@contextlib.contextmanager
def libvirt(guests: int = 0) -> Iterator[Virsh]:
    """A libvirt that knows so many guests, and a connection to it."""
    with contextlib.ExitStack() as stack:
        config = QEMU_CONF.read_bytes() if QEMU_CONF.exists() else b""
        stack.callback(QEMU_CONF.write_bytes, config)
        QEMU_CONF.write_bytes(config + b'\nuser = "root"\ngroup = "root"\nremember_owner = 0\n')
        files = [DEFINITIONS / f"{NAME}{n}.xml" for n in range(guests)]
        stack.callback(_remove, files)
        for file in files:
            file.write_text(PLAIN.format(name=file.stem))
        stack.enter_context(_daemon("virtlogd"))
        stack.enter_context(_daemon("libvirtd"))
        virsh = Virsh()
        stack.callback(virsh.close)
        virsh.timed("list --all")
        yield virsh


def define(virsh: Virsh, name: str, xml: str, directory: Path) -> None:
    """A guest of libvirt's from XML; `forget` undoes it."""
    file = directory / f"{name}.xml"
    file.write_text(xml)
    virsh.timed(f"define {file}")


def forget(virsh: Virsh, name: str) -> None:
    virsh.timed(f"destroy {name}")
    virsh.timed(f"undefine {name}")


@contextlib.contextmanager
def _daemon(name: str) -> Iterator[None]:
    process = subprocess.Popen([name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        socket = Path(f"/run/libvirt/{'libvirt' if name == 'libvirtd' else name}-sock")
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended at once with {process.returncode}")
            if socket.exists():
                break
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        if process.poll() is None:
            process.kill()
            process.wait()


def _running() -> bool:
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(PID_FILE.read_text()), 0)
        return True
    return False


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
