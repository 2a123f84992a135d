"""Second factors and metric servers as somebody types them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time

import pytest

from support.daemon import ApiError, TestDaemon
from support.terminal import words_for
from tarmac.lib.totp import Totp


def tarmac(daemon: TestDaemon, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    argv = words_for(daemon, *words)
    return subprocess.run(argv, input=given, capture_output=True, timeout=60, check=False, text=True)


def code_of(address: str) -> str:
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    return TOTP(Totp.parse(address).key, 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time())).decode()


def test_an_authenticator_program_is_added_with_its_code(daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="anna@pve", password="geheim12345")
    process = subprocess.Popen(
        words_for(daemon, "tfa", "totp", "anna@pve", "--description", "telephone"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("otpauth://totp/Tarmac%3Aanna%40pve?secret=")
    _, err = process.communicate(code_of(address) + "\n", timeout=60)
    assert process.returncode == 0, err
    (row,) = json.loads(tarmac(daemon, "tfa", "show", "anna@pve", "--output", "json").stdout)
    assert (row["type"], row["description"], row["enable"]) == ("totp", "telephone", 1)
    # The login asks for it now.
    login = daemon.post("/access/ticket", username="anna@pve", password="geheim12345")
    assert login["NeedTFA"] == 1
    assert tarmac(daemon, "tfa", "set", "anna@pve", row["id"], "--enable", "0").returncode == 0
    assert json.loads(tarmac(daemon, "tfa", "show", "anna@pve", "-o", "json").stdout)[0]["enable"] == 0
    assert tarmac(daemon, "tfa", "delete", "anna@pve", row["id"]).returncode == 0


def test_a_wrong_code_adds_nothing(daemon: TestDaemon) -> None:
    ran = tarmac(daemon, "tfa", "totp", "anna@pve", given="000000x\n")
    assert ran.returncode != 0 and "does not fit" in ran.stderr
    assert tarmac(daemon, "tfa", "totp", "anna@pve").returncode == 2
    assert json.loads(tarmac(daemon, "tfa", "show", "anna@pve", "-o", "json").stdout) == []


def test_recovery_keys_are_printed_once(daemon: TestDaemon) -> None:
    ran = tarmac(daemon, "tfa", "recovery", "anna@pve")
    keys = ran.stdout.split()
    assert (
        ran.returncode == 0 and len(keys) == 10 and all(re.fullmatch(r"([0-9a-f]{4}-){3}[0-9a-f]{4}", k) for k in keys)
    )
    again = tarmac(daemon, "tfa", "recovery", "anna@pve")
    assert again.returncode != 0 and "already set" in again.stderr
    assert not any(key in again.stdout for key in keys)
    assert tarmac(daemon, "tfa", "delete", "anna@pve", "recovery").returncode == 0


def test_metric_servers(daemon: TestDaemon) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(40)
        port = str(receiver.getsockname()[1])
        words = ("metric-server", "add", "graphs", "--type", "graphite", "--server", "127.0.0.1", "--port", port)
        ran = tarmac(daemon, *words)
        assert ran.returncode == 0, ran.stderr
        assert b"proxmox.nodes.n1." in receiver.recv(65536)
    shown = json.loads(tarmac(daemon, "metric-server", "show", "graphs", "-o", "json").stdout)
    assert (shown["type"], shown["port"]) == ("graphite", int(port))
    where = ("--server", "127.0.0.1", "--port", port)  # Proxmox asks for both with each change
    assert tarmac(daemon, "metric-server", "set", "graphs", *where, "--disable", "1").returncode == 0
    assert json.loads(tarmac(daemon, "metric-server", "list", "-o", "json").stdout)[0]["disable"] == 1
    assert tarmac(daemon, "metric-server", "remove", "graphs").returncode == 0
    with pytest.raises(ApiError):
        daemon.get("/cluster/metrics/server/graphs")
