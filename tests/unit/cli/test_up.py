"""`tarmac up`: each step looks first; a second call goes on from where things stand; a failure names what helps."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from support.api_server import UPID, Asked, Daemon, Reply
from tarmac.faces.cli import daemon_control, typed
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.progress import Progress
from tarmac.faces.cli.written import up

NODE = "/nodes/pve1"
WEB = "https://192.0.2.1:8006/"
LINK = {"url": f"{WEB}#once=abc", "web": WEB, "username": "root@pam", "password": "abc"}
REASON = "guest code did not run within 2 s under /dev/kvm"


class Host:
    """A node on which one guest can come to life: the calls of `up` change what the next ones see."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.images: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.status = "stopped"
        self.pings_refused = 2
        self.dies = False
        answers = {
            ("GET", "/version"): {"version": "9.1.6"},
            ("GET", f"{NODE}/storage/local/content"): lambda asked: self.images,
            ("POST", f"{NODE}/image-build"): self.build,
            ("GET", "/cluster/resources"): lambda asked: self.resources(),
            ("GET", "/cluster/nextid"): "100",
            ("POST", f"{NODE}/qemu"): self.create,
            ("POST", f"{NODE}/qemu/100/status/start"): self.start,
            ("GET", f"{NODE}/qemu/100/status/current"): lambda asked: {"status": self.status, "name": "first"},
            ("POST", f"{NODE}/qemu/100/agent/ping"): self.ping,
            ("GET", f"{NODE}/qemu/100/config"): lambda asked: self.config,
            ("GET", f"{NODE}/status"): {"accelerator": {"kvm": 0, "reason": REASON}},
            ("POST", "/access/login-link"): LINK,
        }
        for (method, path), what in answers.items():
            daemon.answer(method, path, what)
        daemon.task()

    def resources(self) -> list[dict[str, Any]]:
        return [{"type": "qemu", "vmid": 100, "name": "first", "node": "pve1"}] if self.config else []

    def build(self, asked: Asked) -> str:
        self.images.append({"volid": f"local:import/{asked.params['name'][0]}.qcow2"})
        return UPID

    def create(self, asked: Asked) -> str:
        self.config = {name: values[0] for name, values in asked.params.items()}
        return UPID

    def start(self, asked: Asked) -> str:
        self.status = "running"
        return UPID

    def ping(self, asked: Asked) -> Reply:
        self.pings_refused -= 1
        if self.dies:
            self.status = "stopped"
        if self.pings_refused >= 0:
            return Reply(status=500, reason="QEMU guest agent is not running")
        return Reply({})

    def changes(self) -> list[str]:
        return [one.path for one in self.daemon.asked if one.method != "GET" and "ping" not in one.path]


@pytest.fixture
def host(daemon, monkeypatch):
    monkeypatch.setenv("HOME", str(daemon.data_dir / "home"))
    monkeypatch.setattr(up, "_LOGIN_SECONDS", 0.0)
    return Host(daemon)


def test_from_nothing_to_a_guest(host, tarmac):
    ran = tarmac("up")
    assert ran.code == 0, ran.err
    assert host.changes() == [
        f"{NODE}/image-build",
        f"{NODE}/qemu",
        f"{NODE}/qemu/100/status/start",
        "/access/login-link",
    ]
    assert host.config["name"] == "first"
    assert host.config["scsi0"].startswith("local:0,import-from=local:import/debian-12.qcow2")
    assert host.config["ciuser"] == "debian"
    assert host.config["ciupgrade"] == "0", "package lists would keep it busy"
    assert "no ssh server answers in it" in ran.err
    port = int(host.config["net0"].split(":")[2])
    key = host.daemon.data_dir / "keys/id_ed25519"
    assert key.stat().st_mode & 0o777 == 0o600
    assert f"127.0.0.1:{port}:22" in host.config["net0"]
    for told in ("Guest 100 (first) is running", "log in       tarmac vm console 100", "once an ssh server answers"):
        assert told in ran.out
    assert "emulated" in ran.out and REASON in ran.out
    assert f"{WEB}\n" in ran.out and "root@pam, password abc (good once" in ran.out
    assert "tarmac vm console 100" in ran.out
    assert "\r" not in ran.err, "without a terminal: plain lines"


def test_where_ssh_answers_its_words_are_told(host, tarmac, monkeypatch):
    monkeypatch.setattr(up, "_speaks_ssh", lambda *_: True)
    ran = tarmac("up")
    key, port = host.daemon.data_dir / "keys/id_ed25519", host.config["net0"].split(":")[2]
    for told in (f"127.0.0.1 port {port}", "debian (by ssh key)", "log in       tarmac vm ssh 100", f"-i {key}"):
        assert told in ran.out


def test_a_second_call_changes_nothing(host, tarmac):
    assert tarmac("up").code == 0
    host.daemon.asked.clear()
    ran = tarmac("up")
    assert ran.code == 0
    assert host.changes() == ["/access/login-link"]
    assert "tarmac vm ssh 100" in ran.out


def test_it_goes_on_where_it_failed(host, tarmac):
    host.daemon.answer("POST", f"{NODE}/qemu/100/status/start", Reply(status=500, reason="no memory"))
    ran = tarmac("up")
    assert ran.code == 1
    assert "no memory" in ran.err
    host.daemon.answer("POST", f"{NODE}/qemu/100/status/start", host.start)
    host.daemon.asked.clear()
    assert tarmac("up").code == 0
    assert host.changes()[0] == f"{NODE}/qemu/100/status/start"


def test_a_guest_that_ends_is_told(host, tarmac):
    host.dies = True
    ran = tarmac("up")
    assert ran.code == 5
    assert "guest 100 has ended before it answered" in ran.err


def test_a_guest_that_stays_silent_is_told(host, tarmac, monkeypatch):
    monkeypatch.setattr(up, "_ANSWER_SECONDS", 0.01)
    host.pings_refused = 1000
    ran = tarmac("up")
    assert ran.code == 6
    assert "tarmac vm console 100" in ran.err


@pytest.mark.parametrize(("words", "speaks"), [(b"SSH-2.0-x\r\n", True), (b"", False), (b"HTTP", False)])
def test_only_a_server_that_speaks_counts_as_ssh(words, speaks):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(words)

        server.settimeout(20)
        thread = threading.Thread(target=answer)
        thread.start()
        assert up._speaks_ssh(*server.getsockname()) is speaks
        thread.join()


def test_for_programs(host, tarmac):
    told = tarmac("up", "-q", "-o", "json").json
    assert (told["vmid"], told["accelerator"], told["reason"], told["address"]) == (100, "tcg", REASON, "127.0.0.1")


def test_own_keys_may_log_in_too(host, tarmac):
    home = host.daemon.data_dir / "home/.ssh"
    home.mkdir(parents=True)
    (home / "id_rsa.pub").write_text("ssh-rsa AAAA mine\n")
    assert tarmac("up").code == 0
    assert "ssh-rsa%20AAAA%20mine" in host.config["sshkeys"]
    assert host.config["sshkeys"].count("%0A") == 1


def test_a_taken_port_is_left_alone(host, tarmac):
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", up.FIRST_PORT))
        except OSError:
            pass  # somebody else has it: as good
        other.listen()
        assert tarmac("up").code == 0
    assert int(host.config["net0"].split(":")[2]) != up.FIRST_PORT


def test_only_the_daemon_and_the_image(host, tarmac):
    assert tarmac("up", "--no-guest", "--image", "tiny").code == 0
    assert host.changes() == [f"{NODE}/image-build"]


def test_up_is_for_this_machine(tarmac):
    assert tarmac("up", "--url", "https://192.0.2.1:8006", "--token", "root@pam!a=b").code == 2


def _no() -> object:
    raise CliError("unavailable", "no daemon")


def test_a_daemon_that_ends_at_once_shows_its_log(tmp_path):
    (tmp_path / "daemon.log").write_text("an old line\n")
    command = [sys.executable, "-c", "import sys; sys.exit('port 8006 is taken')"]
    with pytest.raises(CliError, match="ended at once") as caught:
        daemon_control.start(command, tmp_path, _no, Progress("x", quiet=True))
    assert caught.value.evidence == "port 8006 is taken"


def test_what_cannot_be_a_data_directory_is_said(tarmac, tmp_path):
    (tmp_path / "file").touch()
    ran = tarmac("up", "--data-dir", str(tmp_path / "file"))
    assert ran.code == 1
    assert "cannot be a data directory" in ran.err and "--data-dir DIR" in ran.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_data_directory_of_somebody_else_is_said(tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(CliError) as caught:
            daemon_control.listening(tmp_path / "data")
    finally:
        os.seteuid(0)
    assert caught.value.kind == "denied"
    assert any("--data-dir" in fix for fix in caught.value.fixes)


def test_a_daemon_that_stays_silent_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(daemon_control, "START_SECONDS", 0.3)
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def note(*words: Any, **told: Any) -> subprocess.Popen[bytes]:
        started.append(real(*words, **told))
        return started[-1]

    monkeypatch.setattr(daemon_control.subprocess, "Popen", note)
    with pytest.raises(CliError, match="did not answer"):
        daemon_control.start(
            [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, _no, Progress("x", quiet=True)
        )
    assert started[0].returncode is not None


def test_the_daemon_survives_the_terminal(tmp_path):
    """It leads a session of its own, so the terminal's end sends it nothing."""
    import os

    answers = [False, True]

    def ask() -> object:
        return None if answers.pop(0) else _no()

    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    pid = daemon_control.start(command, tmp_path, ask, Progress("x", quiet=True))
    try:
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_login_link(host, tarmac):
    ran = tarmac("login-link")
    assert (ran.code, ran.out) == (0, f"{WEB}#once=abc\n")
    assert tarmac("login-link", "-o", "json").json == LINK


def test_the_program_is_named_so_that_it_can_be_typed(tmp_path, monkeypatch):
    program = tmp_path / ".venv/bin/tarmac"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert typed.program() == ".venv/bin/tarmac"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert typed.program() == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed.program() == "tarmac"
