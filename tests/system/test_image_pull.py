"""`tarmac image pull` from a server of this machine, which an administrator has allowed by name."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import TestDaemon
from support.file_server import HOST, FileServer, file_server
from support.terminal import Terminal, words_for

TASK_FAILED = 7


@pytest.fixture(scope="module")
def server(obliging_image: Path) -> Iterator[FileServer]:
    with file_server() as served:
        served.files = {"small.qcow2": obliging_image.read_bytes(), "big.iso": bytes(4 << 20)}
        yield served


def pull(daemon: TestDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words_for(daemon, "image", "pull", *words), capture_output=True, text=True, timeout=120)


def test_loopback_is_refused_until_an_administrator_allows_it(daemon: TestDaemon, server: FileServer) -> None:
    refused = pull(daemon, f"{server.base}/small.qcow2")
    assert refused.returncode == TASK_FAILED
    assert "download-hosts" in refused.stderr
    allow = words_for(daemon, "storage", "set", "local", "--download-hosts", HOST)
    assert subprocess.run(allow, capture_output=True).returncode == 0
    done = pull(daemon, f"{server.base}/small.qcow2")
    assert done.returncode == 0, done.stderr
    got = daemon.data / "storage/import/small.qcow2"
    assert got.read_bytes() == server.files["small.qcow2"]
    listed = subprocess.run(words_for(daemon, "image", "list"), capture_output=True, text=True).stdout
    assert "local:import/small.qcow2" in listed
    create = words_for(daemon, "vm", "create", "--image", "small", "--memory", "64", "--start")
    made = subprocess.run(create, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_checksums(daemon: TestDaemon, server: FileServer, algorithm: str) -> None:
    """The algorithm is told by the checksum's length."""
    daemon.put("/storage/local", **{"download-hosts": HOST})
    name = f"{algorithm}.iso"
    right = hashlib.new(algorithm, server.files["big.iso"]).hexdigest()
    wrong = pull(daemon, f"{server.base}/big.iso", "--filename", name, "--checksum", right[:-1] + "x")
    assert wrong.returncode == TASK_FAILED
    assert "checksum mismatch" in wrong.stderr
    place = daemon.data / "storage/template/iso"
    assert not [path for path in place.iterdir() if name in path.name]
    done = pull(daemon, f"{server.base}/big.iso", "--filename", name, "--checksum", right)
    assert done.returncode == 0, done.stderr
    assert (place / name).read_bytes() == server.files["big.iso"]
    again = pull(daemon, f"{server.base}/big.iso", "--filename", name)
    assert again.returncode != 0
    assert "refusing to override existing file" in again.stderr


def test_progress_is_shown(daemon: TestDaemon, server: FileServer) -> None:
    daemon.put("/storage/local", **{"download-hosts": HOST})
    server.go_on.clear()
    terminal = Terminal(words_for(daemon, "image", "pull", f"{server.base}/slow/big.iso", "--filename", "slow.iso"))
    terminal.resize(30, 120)
    terminal.until(b"downloading slow.iso")
    terminal.until(b"% ")
    terminal.until(b" of 4")
    server.go_on.set()
    assert terminal.end() == 0, terminal.seen
