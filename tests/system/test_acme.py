"""Certificates from a real authority (Pebble): account, order, renewal, revocation, and what is said when it fails."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from support.daemon import ApiError, TestDaemon, test_daemon
from support.pebble import Authority, authority, free_port
from support.terminal import words_for

ACCOUNT, CERTIFICATE = "/cluster/acme/account", "/nodes/n1/certificates/acme/certificate"


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture(scope="module")
def node(pebble: Authority) -> Iterator[TestDaemon]:
    with test_daemon(env=environment(pebble)) as running:
        yield running


def environment(pebble: Authority) -> dict[str, str]:
    return {"REQUESTS_CA_BUNDLE": str(pebble.trust), "TARMAC_ACME_PORT": str(pebble.port)}


def shown(node: TestDaemon, trust: ssl.SSLContext) -> x509.Certificate:
    """What a client that trusts the authority only is shown."""
    plain = socket.create_connection(("127.0.0.1", node.port), timeout=10)
    with trust.wrap_socket(plain, server_hostname="node.example") as secure:
        der = secure.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def failed(node: TestDaemon, method: str, path: str, **params: object) -> dict[str, object]:
    status = node.wait_task(node.call(method, path, **params))
    assert status["exitstatus"] != "OK"
    return dict(status["error"])


def test_from_an_account_to_a_revoked_certificate(node: TestDaemon, pebble: Authority) -> None:
    terms = node.get("/cluster/acme/tos", directory=pebble.directory)
    assert terms.startswith("data:") or "://" in terms
    with pytest.raises(ApiError, match="no ACME domains configured"):
        node.post(CERTIFICATE)
    node.task("POST", ACCOUNT, contact="admin@example.com", directory=pebble.directory, tos_url=terms)
    assert node.get(ACCOUNT) == [{"name": "default"}]
    account = node.get(f"{ACCOUNT}/default")
    assert account["directory"] == pebble.directory and account["account"]["status"] == "valid"
    node.task("PUT", f"{ACCOUNT}/default", contact="root@example.com")
    assert node.get(f"{ACCOUNT}/default")["account"]["contact"] == ["mailto:root@example.com"]

    node.put("/nodes/n1/config", acmedomain0="node.example", acme="domains=other.example")
    plan = node.post(CERTIFICATE, dryrun=1)
    assert plan["steps"][0]["title"] == "order a certificate for other.example, node.example"
    node.task("POST", CERTIFICATE)
    trust = ssl.create_default_context(cadata=pebble.root())
    first = shown(node, trust)
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"node.example", "other.example"}
    assert pebble.status(first.serial_number) == "Valid"

    for method, words in (("POST", "Custom certificate exists"), ("PUT", "does not expire within the next 30 days")):
        with pytest.raises(ApiError) as caught:
            node.call(method, CERTIFICATE)
        assert words in caught.value.errors["force"]
    node.task("PUT", CERTIFICATE, force=1)
    second = shown(node, trust)
    assert second.serial_number != first.serial_number
    # The next daemon shows it, too, and knows whose it is.
    node.restart(env=environment(pebble))
    assert shown(node, trust) == second
    node.task("DELETE", CERTIFICATE)
    assert pebble.status(second.serial_number) == "Revoked"
    assert [row["filename"] for row in node.get("/nodes/n1/certificates/info")] == ["pve-ssl.pem"]


def test_why_it_failed_is_told_with_its_remedy(node: TestDaemon, pebble: Authority) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("0.0.0.0", pebble.port))
        taken.listen()
        with socket.socket(socket.AF_INET6) as also:
            also.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            also.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            also.bind(("::", pebble.port))
            also.listen()
            error = failed(node, "POST", CERTIFICATE)
    assert error["code"] == "acme-port" and error["fixes"], error
    node.put("/nodes/n1/config", acmedomain0="elsewhere.example")
    node.restart(env={**environment(pebble), "TARMAC_ACME_PORT": str(free_port())})  # nobody answers where it asks
    error = failed(node, "POST", CERTIFICATE)
    assert error["code"] == "acme-not-proved" and "elsewhere.example" in str(error["cause"])
    assert not (node.data / "pki" / "pveproxy-ssl.pem").exists()
    error = failed(node, "POST", ACCOUNT, name="nowhere", contact="a@example.com", directory="https://127.0.0.1:9/dir")
    assert error["code"] == "acme-unreachable" and node.get(ACCOUNT) == [{"name": "default"}]
    with pytest.raises(ApiError) as caught:
        node.put("/nodes/n1/config", acmedomain0="x.example,plugin=my-dns")
        node.post(CERTIFICATE)
    assert caught.value.status == 501
    node.restart(env=environment(pebble))


def test_as_somebody_types_it(node: TestDaemon, pebble: Authority) -> None:
    def tarmac(*words: str) -> subprocess.CompletedProcess[str]:
        argv = words_for(node, *words)
        return subprocess.run(argv, capture_output=True, timeout=120, check=False, text=True)

    assert tarmac("node", "set", "--acmedomain0", "typed.example", "--delete", "acme").returncode == 0
    ran = tarmac("acme", "register", "--name", "typed", "--contact", "a@example.com", "--directory", pebble.directory)
    assert ran.returncode == 0, ran.stderr
    ran = tarmac("acme", "order")
    assert ran.returncode == 0, ran.stderr
    assert "typed.example" in tarmac("node", "certificates").stdout
    assert tarmac("acme", "renew").returncode != 0
    assert tarmac("acme", "revoke").returncode == 0
    assert tarmac("acme", "deactivate", "typed").returncode == 0
    assert [row["name"] for row in json.loads(tarmac("acme", "accounts", "-o", "json").stdout)] == ["default"]


def test_keys_are_nowhere_but_in_their_places(node: TestDaemon, tmp_path: Path) -> None:
    told = str(node.get(f"{ACCOUNT}/default")) + node.log.read_text("utf-8", "replace")
    for row in node.get("/nodes/n1/tasks", limit=100, typefilter=None):
        told += node.task_log(row["upid"]) + str(node.get(f"/nodes/n1/tasks/{row['upid']}/status"))
    assert "PRIVATE KEY" not in told and "BEGIN" not in told
