"""A daemon elsewhere: TLS, the certificate's fingerprint, the token, the words that name it."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.api_server import Daemon, Handler, Reply
from support.serving import serving

TOKEN = "root@pam!ci=7b0c1a3e-1f4b-4b36-9c7e-0d5a5f1c2b3a"


def _certificate(folder: Path) -> tuple[Path, str]:
    """A self-signed certificate with its key in one file, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pve1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    made = builder.sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "pem").write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return folder / "pem", made.fingerprint(hashes.SHA256()).hex()


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Daemon, str, str]]:
    """The server behind TLS: what it was asked, its URL, its fingerprint."""
    for name in ("TARMAC_URL", "TARMAC_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path, fingerprint = _certificate(tmp_path)
    told = Daemon(tmp_path)
    told.answer("GET", "/nodes/pve1/qemu", [{"vmid": 100, "name": "web"}])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, address: object) -> None:
            """A client that does not trust us hangs up; that is what is tested."""

    server = Quiet(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"daemon": told}))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield told, f"https://127.0.0.1:{server.server_address[1]}", fingerprint


def test_by_fingerprint_and_token(remote, tarmac):
    told, url, fingerprint = remote
    colons = ":".join(fingerprint[i : i + 2].upper() for i in range(0, 64, 2))
    ran = tarmac("vm", "list", "--url", url, "--token", TOKEN, "--fingerprint", colons, "-o", "json")
    assert ran.json == [{"vmid": 100, "name": "web"}]
    assert {one.headers["authorization"] for one in told.asked} == {f"PVEAPIToken={TOKEN}"}


def test_by_environment(remote, tarmac, monkeypatch):
    _, url, fingerprint = remote
    monkeypatch.setenv("TARMAC_URL", url)
    monkeypatch.setenv("TARMAC_TOKEN", TOKEN)
    assert tarmac("--fingerprint", fingerprint, "vm", "list").code == 0
    assert tarmac("--insecure", "vm", "list").code == 0


def test_an_unknown_certificate_is_not_trusted(remote, tarmac):
    told, url, _ = remote
    ran = tarmac("vm", "list", "--url", url, "--token", TOKEN)
    assert ran.code == 6
    assert "is not trusted" in ran.err and "--fingerprint" in ran.err
    assert not told.asked, "the token must not go to a stranger"


def test_a_wrong_fingerprint_is_refused(remote, tarmac):
    told, url, fingerprint = remote
    wrong = hashlib.sha256(b"another").hexdigest()
    ran = tarmac("vm", "list", "--url", url, "--token", TOKEN, "--fingerprint", wrong)
    assert ran.code == 6
    assert fingerprint in ran.err
    assert not told.asked


def test_a_token_that_is_refused_says_where_to_get_one(remote, tarmac):
    told, url, _ = remote
    told.answer("GET", "/cluster/status", Reply(status=401, reason="Authentication failed!", raw=b'{"data":null}'))
    ran = tarmac("vm", "list", "--url", url, "--token", TOKEN, "--insecure")
    assert ran.code == 4
    assert "has expired" in ran.err and "tarmac token add" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["--url", "http://127.0.0.1:8006", "--token", TOKEN],
        ["--url", "https://127.0.0.1:8006/x", "--token", TOKEN],
        ["--url", "https://127.0.0.1:8006"],
        ["--url", "https://127.0.0.1:8006", "--token", "root@pam"],
    ],
)
def test_words_that_make_no_sense(tarmac, monkeypatch, words):
    monkeypatch.delenv("TARMAC_TOKEN", raising=False)
    assert tarmac("vm", "list", *words).code == 2


def test_a_data_directory_wins_over_the_environment(daemon, tarmac, monkeypatch):
    daemon.answer("GET", "/nodes/pve1/qemu", [])
    monkeypatch.setenv("TARMAC_URL", "https://192.0.2.1:8006")
    monkeypatch.setenv("TARMAC_TOKEN", TOKEN)
    assert tarmac("vm", "list", "--data-dir", str(daemon.data_dir)).code == 0
    assert daemon.asked
