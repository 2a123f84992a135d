"""A small Ceph of its own on loopback: one monitor, one manager, one OSD on a file, with authentication.

About 10 s until it answers and 460 MB of memory, so a session of tests shares one. It ends with its `with` block.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 120
PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-authtool", "monmaptool", "ceph", "rbd")
PACKAGES = "ceph-mon ceph-mgr ceph-osd ceph-common qemu-block-extra"
_CONF = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{port}]
public network = 127.0.0.0/8
ms bind msgr2 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
log file = {root}/$name.log
admin socket = {root}/$name.asok
run dir = {root}
pid file = {root}/$name.pid
bluestore block size = 4294967296
osd memory target = 1073741824
osd client watch timeout = 5
keyring = {root}/keyring
"""


_CAPS = {
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "mgr.x": {"mon": "allow profile mgr", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
}


def missing() -> str:
    """Why there can be no Ceph here, "" when there can."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacking:
        return f"no {', '.join(lacking)}: apt-get install --no-install-recommends {PACKAGES}"
    return "" if os.geteuid() == 0 else "Ceph's daemons need root"


@dataclass
class Ceph:
    """A running cluster; `port` is the monitor's, `keyring` the administrator's."""

    root: Path
    port: int
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def monhost(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def keyring(self) -> str:
        key = self("ceph-authtool", "-p", "-n", "client.admin", str(self.root / "keyring"), conf=False).strip()
        return f"[client.admin]\n\tkey = {key}\n"

    def __call__(self, *argv: str, conf: bool = True, input: str = "") -> str:
        """One of its tools' output."""
        words = [argv[0], *(["-c", str(self.root / "ceph.conf")] if conf else []), *argv[1:]]
        done = subprocess.run(words, capture_output=True, text=True, timeout=START_SECONDS, input=input)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def pool(self, name: str) -> str:
        """A new pool for images."""
        self("ceph", "osd", "pool", "create", name, "8")
        self("rbd", "pool", "init", name)
        return name

    def start(self, kind: str, id: str, folder: Path) -> None:
        with (self.root / f"{kind}.out").open("wb") as log:
            words = [f"ceph-{kind}", "-c", str(self.root / "ceph.conf"), "-f", "-i", id, f"--{kind}-data", str(folder)]
            self.daemons[kind] = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    @contextlib.contextmanager
    def silent(self, kind: str) -> Iterator[None]:
        """One of its daemons stands still inside the block."""
        self.daemons[kind].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.daemons[kind].send_signal(signal.SIGCONT)

    def end(self) -> None:
        for process in reversed(self.daemons.values()):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        shutil.rmtree(self.root)


@contextlib.contextmanager
def ceph() -> Iterator[Ceph]:
    """A cluster with the pool `rbd`."""
    root = Path(tempfile.mkdtemp(prefix="tarmac-ceph-"))
    root.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cluster = Ceph(root=root, port=port)
    try:
        began = time.monotonic()
        _begin(cluster)
        cluster.pool("rbd")
        while '"rbd"' not in cluster("ceph", "df", "--format", "json"):
            assert time.monotonic() - began < START_SECONDS, "no figures of the pool"
        yield cluster
    finally:
        cluster.end()


def _begin(cluster: Ceph) -> None:
    root, fsid, osd = cluster.root, str(uuid.uuid4()), str(uuid.uuid4())
    for name in ("mon", "mgr", "osd"):
        (root / name).mkdir()
    (root / "ceph.conf").write_text(_CONF.format(fsid=fsid, port=cluster.port, root=root))
    keys = str(root / "keyring")

    def tool(*words: str) -> str:
        return cluster(*words, conf=False)

    tool("ceph-authtool", "-C", keys, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for name, caps in _CAPS.items():
        words = [word for kind, cap in caps.items() for word in ("--cap", kind, cap)]
        tool("ceph-authtool", keys, "--gen-key", "-n", name, *words)
    address = f"[v1:127.0.0.1:{cluster.port}]"
    tool("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(root / "monmap"))
    places = ["--mon-data", str(root / "mon"), "--monmap", str(root / "monmap"), "--keyring", keys]
    cluster("ceph-mon", "--mkfs", "-i", "a", *places)
    cluster.start("mon", "a", root / "mon")
    key = tool("ceph-authtool", "-p", "-n", "osd.0", keys).strip()
    cluster("ceph", "osd", "new", osd, "0", "-i", "-", input=f'{{"cephx_secret": "{key}"}}')
    cluster.start("mgr", "x", root / "mgr")
    tool("ceph-authtool", "-C", str(root / "osd" / "keyring"), "-n", "osd.0", "--add-key", key)
    cluster("ceph-osd", "--mkfs", "-i", "0", "--osd-data", str(root / "osd"), "--osd-uuid", osd)
    cluster.start("osd", "0", root / "osd")
