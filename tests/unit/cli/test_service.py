"""systemd units: their promises in their text, systemd's own check of them, install and uninstall at the boundary."""

from __future__ import annotations

import configparser
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tarmac.drivers.storage.directory.layers import set_immutable
from tarmac.faces.cli.units import DAEMON, GUESTS, command_line, unit_texts
from tarmac.faces.cli.written import service

TEXTS = unit_texts(["/opt/t/tarmac", "serve", "--data-dir", "/d"], ["/opt/t/tarmac", "--data-dir", "/d"], user=False)


def _parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_the_daemons_end_never_touches_a_guest():
    unit = _parsed(TEXTS[DAEMON])
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Service"]["PrivateTmp"] == "no"
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["OOMPolicy"] == "continue"


def test_guests_are_shut_down_before_daemon_network_and_storage_go():
    unit = _parsed(TEXTS[GUESTS])
    after = unit["Unit"]["After"].split()
    assert {DAEMON, "network-online.target", "remote-fs.target", "local-fs.target"} <= set(after)
    assert unit["Service"]["RemainAfterExit"] == "yes"
    # Requires, BindsTo or PartOf would carry a restart of the daemon over to the guests.
    assert not {"Requires", "BindsTo", "PartOf", "Requisite"} & set(unit["Unit"])


@pytest.mark.parametrize(("state", "called"), [("stopping", True), ("running", False), ("degraded", False)])
def test_a_stop_of_the_unit_alone_leaves_guests_alone(tmp_path, state, called):
    """ExecStop as a shell runs it, with a systemctl that says `state` and a tarmac that writes down its words."""
    tools = tmp_path / "odd $dir with space"
    tools.mkdir()
    for name, script in (
        ("systemctl", f"echo {state}; exit 1"),
        ("tarmac", f'printf "%s\\n" "$@" > {tmp_path}/called'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    texts = unit_texts(["x"], [str(tools / "tarmac"), "--data-dir", "/a b"], user=False)
    # systemd takes quotes as shlex does, and `$$` for `$`.
    words = shlex.split(_parsed(texts[GUESTS])["Service"]["ExecStop"].replace("$$", "$"))
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    assert subprocess.run(words, env=environment, check=False).returncode == 0
    assert (tmp_path / "called").exists() == called
    if called:
        assert (tmp_path / "called").read_text().split("\n")[:4] == ["--data-dir", "/a b", "node", "stopall"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("user", [False, True])
def test_systemd_accepts_the_units(tmp_path, user):
    program = str(Path(sys.executable).absolute())
    for name, text in unit_texts([program, "serve", "--node", "100%x"], [program], user=user).items():
        (tmp_path / name).write_text(text)
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / DAEMON), str(tmp_path / GUESTS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "tarmac" in line]
    assert (done.returncode, ours) == (0, [])


def test_quoting_of_command_lines():
    assert command_line(["/a/b", "x y", '%"$\\', "é"]) == '/a/b "x y" "%%\\"$$\\\\" "é"'


def test_install_and_uninstall_write_and_remove(daemon, tarmac, tmp_path):
    units = tmp_path / "units"
    ran = tarmac(
        "install-service", "--unit-dir", str(units), "--data-dir", str(daemon.data_dir), "--listen", "127.0.0.1:9006"
    )
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in units.iterdir()) == [GUESTS, DAEMON]
    line = _parsed((units / DAEMON).read_text())["Service"]["ExecStart"]
    assert line.endswith(f"serve --data-dir {daemon.data_dir} --listen 127.0.0.1:9006")
    assert tarmac("uninstall", "--unit-dir", str(units)).code == 0
    assert list(units.iterdir()) == []
    assert daemon.data_dir.is_dir(), "data stays"


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs here")
def test_install_without_systemd_says_so(tarmac):
    ran = tarmac("install-service")
    assert ran.code == 8
    assert "tarmac serve" in ran.err


def test_purge_is_refused_while_a_guest_runs(daemon, tarmac, tmp_path):
    daemon.answer("GET", "/cluster/resources", [{"vmid": 100, "status": "running"}])
    ran = tarmac("uninstall", "--purge", "--yes", "--unit-dir", str(tmp_path / "none"))
    assert ran.code == 5
    assert daemon.data_dir.is_dir()


def test_purge_needs_a_yes_and_a_directory_of_ours(daemon, tarmac, tmp_path, monkeypatch):
    import io

    daemon.answer("GET", "/cluster/resources", [])
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    nothing = str(tmp_path / "none")
    assert tarmac("uninstall", "--purge", "--unit-dir", nothing).code == 2
    assert daemon.data_dir.is_dir()
    other = tmp_path / "other"
    other.mkdir()
    assert tarmac("uninstall", "--purge", "--yes", "--unit-dir", nothing, "--data-dir", str(other)).code == 2
    assert other.is_dir()
    assert tarmac("uninstall", "--purge", "--yes", "--unit-dir", nothing).code == 0
    assert not daemon.data_dir.exists()


def test_the_holder_of_a_directory_is_asked_of_the_lock(tmp_path):
    assert service.holder_of(tmp_path) is None
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")
    assert service.holder_of(tmp_path) is None, "a pid in a file that nobody locks is an old one"
    with (tmp_path / "lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert service.holder_of(tmp_path) == os.getpid()
    assert service.holder_of(tmp_path) is None


def test_ending_the_background_daemon(tmp_path, daemon, tarmac):
    code = (
        "import fcntl, os, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        "f.write(str(os.getpid())); f.flush(); print(flush=True); sys.stdin.read()"
    )
    lock = tmp_path / "lock"
    child = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdin is not None
    child.stdout.readline()
    reaper = threading.Thread(target=child.wait, daemon=True)
    reaper.start()
    said: list[str] = []
    session = type("Quiet", (), {"say": lambda self, text: said.append(text)})()
    started = time.monotonic()
    try:
        service.end_background_daemon(session, tmp_path)
    except BaseException:
        child.kill()
        raise
    reaper.join(20)
    assert time.monotonic() - started < 5
    assert child.returncode == -15
    assert str(child.pid) in said[0]
    child.stdin.close()
    child.stdout.close()


@pytest.mark.parametrize(("place", "removed"), [("tarmac/abcd", True), ("tarmac/other", False), ("home/abcd", False)])
def test_only_a_runtime_directory_of_ours_is_removed(tmp_path, place, removed):
    runtime = tmp_path / place
    runtime.mkdir(parents=True)
    (tmp_path / "instance").write_text("abcd\n")
    (tmp_path / "runtime").write_text(f"{runtime}\n")
    service.remove_runtime(tmp_path)
    assert runtime.exists() != removed


def test_a_guarded_template_does_not_keep_its_data_from_being_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    base = data / "storage/images/100/base-100-disk-0.qcow2"
    base.parent.mkdir(parents=True)
    base.write_bytes(b"disk")
    guarded = set_immutable(base, True)
    try:
        service.remove_data(data)
    finally:
        if base.exists():
            set_immutable(base, False)
    assert not data.exists()
    if not guarded:
        pytest.skip("no file can be guarded here: not root, or not on this file system")
