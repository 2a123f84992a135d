"""A certificate of one's own in a running daemon: shown to the next connection, while older ones go on."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from support.certificates import make
from support.daemon import ApiError, TestDaemon
from support.terminal import words_for

PATH = "/nodes/n1/certificates"
ROOT = make("test root", ca=True)
MIDDLE = make("test middle", ROOT, ca=True)
LEAF = make("node.example", MIDDLE)
RSA = make("rsa.example", MIDDLE, bits=2048)


def shown(daemon: TestDaemon, trust: ssl.SSLContext | None = None) -> str:
    """The subject of what a new connection is shown, as `openssl` names it."""
    context = trust or ssl._create_unverified_context()
    plain = socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="node.example") as secure:
        der = secure.getpeercert(binary_form=True)
    assert der is not None
    words = ["openssl", "x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253"]
    return subprocess.run(words, input=der, capture_output=True, check=True).stdout.decode().strip()


def test_it_is_shown_at_once_and_others_go_on(daemon: TestDaemon) -> None:
    own = shown(daemon)
    open_before = http.client.HTTPSConnection(
        "127.0.0.1", daemon.port, context=ssl._create_unverified_context(), timeout=20
    )
    open_before.request("GET", "/")
    open_before.getresponse().read()
    row = daemon.post(f"{PATH}/custom", certificates=LEAF.pem + MIDDLE.pem, key=LEAF.key_pem())
    assert row["filename"] == "pveproxy-ssl.pem" and row["subject"] == "/CN=node.example"
    # A client that trusts the root only is content: the chain is sent whole.
    trust = ssl.create_default_context(cadata=ROOT.pem)
    assert shown(daemon, trust) == "subject=CN=node.example"
    open_before.request("GET", "/")
    assert open_before.getresponse().status == 200
    open_before.close()
    assert [r["filename"] for r in daemon.get(f"{PATH}/info")] == ["pve-ssl.pem", "pveproxy-ssl.pem"]
    with pytest.raises(ApiError, match="force flag is not set"):
        daemon.post(f"{PATH}/custom", certificates=RSA.pem, key=RSA.key_pem())
    # Another kind of key takes the place of the first wholly.
    daemon.post(f"{PATH}/custom", certificates=RSA.pem + MIDDLE.pem, key=RSA.key_pem(), force=1)
    assert shown(daemon) == "subject=CN=rsa.example"
    daemon.restart()
    assert shown(daemon) == "subject=CN=rsa.example"
    daemon.delete(f"{PATH}/custom")
    assert shown(daemon) == own


def test_what_cannot_be_used_is_refused_and_the_key_is_nowhere(daemon: TestDaemon) -> None:
    with pytest.raises(ApiError) as caught:
        daemon.post(f"{PATH}/custom", certificates=LEAF.pem, key=RSA.key_pem())
    error = caught.value.body["error"]
    assert caught.value.errors == {"key": "the key does not belong to the certificate"}
    assert error["code"] == "key-mismatch" and error["fixes"] and error["evidence"] == "CN=node.example"
    daemon.post(f"{PATH}/custom", certificates=LEAF.pem, key=LEAF.key_pem())
    secret = "".join(LEAF.key_pem().splitlines()[1:2])
    for file in (daemon.log, *(daemon.data / "audit").glob("*")):
        assert secret not in file.read_text("utf-8", "replace")
    assert secret not in str(daemon.get(f"{PATH}/info"))
    daemon.delete(f"{PATH}/custom")


def test_as_somebody_types_it(daemon: TestDaemon, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text(LEAF.pem + MIDDLE.pem)
    (tmp_path / "key.pem").write_text(LEAF.key_pem())

    def tarmac(*words: str) -> subprocess.CompletedProcess[str]:
        argv = words_for(daemon, *words)
        return subprocess.run(argv, capture_output=True, timeout=60, check=False, text=True)

    ran = tarmac("node", "set-certificate", str(tmp_path / "chain.pem"), str(tmp_path / "key.pem"))
    assert ran.returncode == 0 and "CN=node.example" in ran.stderr
    assert "node.example" in tarmac("node", "certificates").stdout
    assert tarmac("node", "set-certificate", str(tmp_path / "none.pem")).returncode == 2
    assert tarmac("node", "remove-certificate").returncode == 0
    assert "node.example" not in tarmac("node", "certificates").stdout
