"""Passwords reach the daemon without standing in a command line, and without lying about readable for everybody."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from support.daemon import TestDaemon, test_daemon
from support.obliging_guest import OBLIGING
from support.terminal import Terminal, words_for

SECRET = "kept to itself"


@pytest.fixture(scope="module")
def guest(daemon: TestDaemon, obliging_image: Path) -> str:
    daemon.add_image(obliging_image, "obliging.qcow2")
    daemon.task("POST", daemon.qemu, vmid=100, ide2="local:cloudinit", **OBLIGING)
    return "100"


def hashed(daemon: TestDaemon, vmid: str) -> str:
    """The guest's password as its cloud-init document has it."""
    text = str(daemon.get(f"{daemon.qemu}/{vmid}/cloudinit/dump", type="user"))
    return next((line.split()[1] for line in text.splitlines() if line.startswith("password:")), "")


def fits(password: str, crypted: str) -> bool:
    _, method, salt, _ = crypted.split("$")
    done = subprocess.run(
        ["openssl", "passwd", f"-{method}", "-salt", salt, "-stdin"], input=password, capture_output=True, text=True
    )
    return done.stdout.strip() == crypted


@pytest.mark.parametrize("words", [("--cipassword",), ("--cipassword", "-"), ("--cipassword=-",)])
def test_cipassword_from_standard_input(daemon: TestDaemon, guest: str, words: tuple[str, ...]) -> None:
    password = f"{SECRET} {len(words[0])}"
    done = subprocess.run(
        words_for(daemon, "vm", "set", guest, *words), input=f"{password}\nmore\n", text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert fits(password, hashed(daemon, guest))


def test_cipassword_is_asked_for_on_a_terminal(daemon: TestDaemon, guest: str) -> None:
    terminal = Terminal(words_for(daemon, "vm", "set", guest, "--cipassword"))
    terminal.until(b"Cipassword: ")
    terminal.type(b"typed\r")
    terminal.until(b"Once more: ")
    terminal.type(b"typed\r")
    assert terminal.end() == 0, terminal.seen
    assert b"typed" not in terminal.seen
    assert fits("typed", hashed(daemon, guest))
    terminal = Terminal(words_for(daemon, "vm", "set", guest, "--cipassword"))
    terminal.until(b"Cipassword: ")
    terminal.type(b"one\r")
    terminal.until(b"Once more: ")
    terminal.type(b"another\r")
    assert terminal.end() == 2
    assert fits("typed", hashed(daemon, guest))


def test_nothing_given_is_refused(daemon: TestDaemon, guest: str) -> None:
    words = words_for(daemon, "vm", "set", guest, "--cipassword")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, text=True, capture_output=True)
    assert done.returncode == 2
    assert "nothing was given" in done.stderr


def test_vm_create_takes_it_from_standard_input(daemon: TestDaemon, guest: str) -> None:
    words = words_for(daemon, "vm", "create", "--image", "obliging", "--memory", "64", "--cipassword")
    done = subprocess.run(words, input=SECRET, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert fits(SECRET, hashed(daemon, done.stdout.strip()))


# -- the password file -------------------------------------------------------------------------------------------


@pytest.fixture
def fresh() -> Iterator[TestDaemon]:
    """A directory whose daemon was ended again."""
    with test_daemon() as running:
        running.end()
        yield running


def log_in(daemon: TestDaemon, password: str) -> int:
    """The status of a login by HTTPS."""
    context = ssl.create_default_context(cafile=str(daemon.data / "pki" / "node.pem"))
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", daemon.port, context=context, timeout=30)
    body = urlencode({"username": "root@pam", "password": password})
    connection.request("POST", "/api2/json/access/ticket", body, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    data = json.loads(response.read()).get("data")
    connection.close()
    assert response.status != 200 or data["ticket"].startswith("PVE:root@pam:")
    return response.status


def test_the_password_file_logs_root_in(fresh: TestDaemon, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\nnot this\n")
    file.chmod(0o600)
    fresh.start(password_file=file)
    assert log_in(fresh, SECRET) == 200
    assert log_in(fresh, "not this") == 401
    file.write_text("another one\n")
    fresh.restart(password_file=file)
    assert log_in(fresh, SECRET) == 401
    assert log_in(fresh, "another one") == 200
    fresh.restart()
    assert log_in(fresh, "another one") == 200, "the password stays without the file"
    assert SECRET not in fresh.tail() + "".join(p.read_text() for p in (fresh.data / "tasks").rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("mode", "content", "told"),
    [(0o644, "x\n", "others may read"), (0o620, "x\n", "others may read"), (0o600, "\n", "no password in its first")],
)
def test_a_bad_password_file_is_refused(fresh: TestDaemon, tmp_path: Path, mode: int, content: str, told: str) -> None:
    file = tmp_path / "password"
    file.write_text(content)
    file.chmod(mode)
    assert fresh.start(password_file=file, wait=False).wait_dead() not in (0, -9)
    assert told in fresh.tail()
    assert fresh.start(password_file=tmp_path / "missing", wait=False).wait_dead() not in (0, -9)
    assert "cannot read the password file" in fresh.tail()
