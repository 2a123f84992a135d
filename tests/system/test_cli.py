"""The command line's words against a whole daemon and a real guest: a guest's life as somebody types it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from support.daemon import TestDaemon
from support.terminal import Terminal, words_for


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Tarmac = Callable[..., Ran]


@pytest.fixture(scope="module")
def tarmac(daemon: TestDaemon) -> Tarmac:
    """Run one command line as a process of its own; no terminal."""

    def run(*words: str, given: bytes = b"") -> Ran:
        done = subprocess.run(words_for(daemon, *words), input=given, capture_output=True, timeout=120, check=False)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture(scope="module")
def guest(daemon: TestDaemon, tiny: str, tarmac: Tarmac) -> str:
    """A guest made and started by one command, whose agent answers."""
    ran = tarmac("vm", "create", "--name", "typed", "--image", "tiny", "--memory", "128", "--start")
    assert ran.code == 0, ran.err
    vmid = ran.out.strip()
    daemon.wait_agent(int(vmid))
    return vmid


def test_exec_hands_on_output_and_exit_code(guest: str, tarmac: Tarmac) -> None:
    ran = tarmac("vm", "exec", "typed", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert ran == Ran(3, "out\n", "err\n")
    assert tarmac("vm", "exec", guest, "--stdin", "--", "cat", given=b"typed here").out == "typed here"


def test_files_go_in_and_come_out_whole(guest: str, tarmac: Tarmac, tmp_path: Path) -> None:
    """Larger than one piece in either direction, with bytes that grow threefold when they are percent-encoded."""
    content = os.urandom(200_000) + b"\xff" * 300_000
    (tmp_path / "sent").write_bytes(content)
    sent = tarmac("vm", "cp", str(tmp_path / "sent"), f"{guest}:/tmp/there")
    assert sent.code == 0, sent.err
    back = tarmac("vm", "cp", "typed:/tmp/there", str(tmp_path / "back"))
    assert back.code == 0, back.err
    assert (tmp_path / "back").read_bytes() == content
    assert tarmac("vm", "cp", f"{guest}:/tmp/nothing", str(tmp_path / "none")).code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "sent"]


def test_console_on_a_terminal(daemon: TestDaemon, guest: str) -> None:
    """Keys reach the guest's shell, Ctrl-C too; a new window size does no harm; Ctrl-] leaves, the guest goes on."""
    terminal = Terminal(words_for(daemon, "vm", "console", "typed"))
    terminal.resize(30, 100)
    terminal.until(b"Ctrl-] leaves")
    terminal.type(b"\recho $((6*7))-is-it\r")
    terminal.until(b"42-is-it")
    terminal.type(b"sleep 600\r")
    terminal.until(b"sleep 600")
    time.sleep(0.5)  # the shell has to have started it; nothing tells when
    terminal.type(b"\x03")
    terminal.resize(40, 120)
    terminal.type(b"\recho still-$((40+2))\r")
    terminal.until(b"still-42")
    terminal.type(b"\x1d")
    assert terminal.end() == 0
    assert b"left the console" in terminal.seen
    assert daemon.status(int(guest))["status"] == "running"


def test_screenshot_is_a_picture(guest: str, tarmac: Tarmac, tmp_path: Path) -> None:
    assert tarmac("vm", "screenshot", guest, str(tmp_path / "shot.png")).code == 0
    head = (tmp_path / "shot.png").read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    assert width >= 320 and height >= 200


def test_a_change_waits_and_is_shown(guest: str, tarmac: Tarmac) -> None:
    assert tarmac("vm", "set", guest, "--cores", "2").code == 0
    rows = json.loads(tarmac("vm", "pending", guest, "--output", "json").out)
    (cores,) = [row for row in rows if row["key"] == "cores"]
    assert str(cores["pending"]) == "2"


def test_resize_is_seen_by_the_guest(guest: str, tarmac: Tarmac) -> None:
    def sectors() -> int:
        return int(tarmac("vm", "exec", guest, "--", "cat", "/sys/block/sda/size").out)

    before = sectors()
    assert tarmac("vm", "resize", guest, "scsi0", "+64M").code == 0
    assert sectors() == before + 64 * 2048


def test_a_token_as_scripts_read_it(daemon: TestDaemon, tarmac: Tarmac) -> None:
    made = json.loads(tarmac("token", "add", "root@pam", "script", "--privsep", "0", "--output", "json").out)
    assert made["full-tokenid"] == "root@pam!script"
    remote = ["--url", f"https://127.0.0.1:{daemon.port}", "--insecure", "--token"]
    words = [sys.executable, "-m", "tarmac", "vm", "list", "-o", "json", *remote]
    secret = f"root@pam!script={made['value']}"
    assert subprocess.run([*words, secret], capture_output=True, timeout=60, check=False).returncode == 0
    assert tarmac("token", "delete", "root@pam", "script").code == 0
    assert subprocess.run([*words, secret], capture_output=True, timeout=60, check=False).returncode == 4


def test_users(tarmac: Tarmac) -> None:
    added = tarmac("user", "add", "anna@pve", "--password-stdin", given=b"a good password\n")
    assert added.code == 0, added.err
    changed = tarmac("user", "passwd", "anna@pve", "--password-stdin", given=b"a better password\n")
    assert changed.code == 0, changed.err
    assert tarmac("user", "delete", "anna@pve").code == 0
    assert "anna" not in tarmac("user", "list").out


def test_tasks_are_told(guest: str, tarmac: Tarmac) -> None:
    rows = json.loads(tarmac("task", "list", "-o", "json").out)
    started = next(row["upid"] for row in rows if row["type"] == "qmstart")
    assert tarmac("task", "log", started).out.endswith("TASK OK\n")
    assert tarmac("task", "follow", started).code == 0


def test_cloudinit_documents(daemon: TestDaemon, guest: str, tarmac: Tarmac) -> None:
    """A document of one's own takes the generated one's place, a wrong one is refused, deleting it goes back."""
    path = f"{daemon.qemu}/{guest}/cloudinit"
    assert "hostname: typed" in tarmac("vm", "cloudinit", guest, "user").out
    daemon.put(f"{path}/documents/user", content="#cloud-config\nhostname: mine\n")
    assert "hostname: mine" in tarmac("vm", "cloudinit", guest, "user").out
    assert daemon.get(f"{path}/documents")["user"] == "#cloud-config\nhostname: mine\n"
    with pytest.raises(Exception, match="not valid for cloud-init"):
        daemon.put(f"{path}/documents/user", content="#cloud-config\nhostname: [\n")
    daemon.delete(f"{path}/documents/user")
    assert "hostname: typed" in tarmac("vm", "cloudinit", guest, "user").out
    assert "mac_address" in tarmac("vm", "cloudinit", guest, "network").out
    assert "instance-id" in tarmac("vm", "cloudinit", guest, "meta").out


def test_exit_codes(guest: str, tarmac: Tarmac) -> None:
    assert tarmac("vm", "nonsense").code == 2
    assert tarmac("vm", "start", "nobody").code == 3
    refused = tarmac("vm", "delete", guest)
    assert refused.code == 5
    assert "is running" in refused.err


def test_deleted_means_gone(daemon: TestDaemon, tiny: str, tarmac: Tarmac) -> None:
    vmid = tarmac("vm", "create", "--name", "brief", "--image", "tiny", "--memory", "128").out.strip()
    assert tarmac("vm", "delete", "brief").code == 0
    assert tarmac("vm", "config", vmid).code == 3
    assert not (daemon.data / "storage" / "images" / vmid).exists()


def test_a_template_and_its_clones(daemon: TestDaemon, tiny: str, tarmac: Tarmac) -> None:
    daemon.create(9000, tiny, name="golden")
    assert tarmac("vm", "template", "golden").code == 0
    ran = tarmac("vm", "clone", "golden", "--count", "2", "--name", "web-{n}")
    assert ran.code == 0, ran.err
    rows = json.loads(tarmac("vm", "clones", "golden", "--output", "json").out)
    assert [(row["name"], row["linked"], row["current"]) for row in rows] == [("web-1", 1, 1), ("web-2", 1, 1)]
    refused = tarmac("vm", "delete", "golden")
    assert refused.code != 0
    assert "web-1" in refused.err
    ran = tarmac("vm", "move-disk", "web-1", "scsi0", "local", "--format", "raw", "--delete")
    assert ran.code == 0, ran.err
    assert [row["linked"] for row in json.loads(tarmac("vm", "clones", "golden", "--output", "json").out)] == [0, 1]
