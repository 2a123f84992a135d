"""A certificate of one's own: what is refused before it is taken, and that it is taken whole."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from support.certificates import make
from tarmac.faces.api.tls import Pki, chosen_context, ensure_certificate
from tarmac.model.errors import Conflict, InvalidInput, NotFound
from tarmac.services.node.certificates import Certificates

ROOT = make("root", ca=True)
MIDDLE = make("middle", ROOT, ca=True)
LEAF = make("node.example", MIDDLE)
CHAIN = LEAF.pem + MIDDLE.pem


STRANGE_KEY = bytes.fromhex("300d020100300506032a0304040100")  # PKCS #8 of an algorithm that nobody has


def pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"


def strange(old: str, new: str) -> str:
    """The leaf with other bytes of the same length somewhere."""
    der = x509.load_pem_x509_certificate(LEAF.pem.encode()).public_bytes(serialization.Encoding.DER)
    assert bytes.fromhex(old) in der
    return pem("CERTIFICATE", der.replace(bytes.fromhex(old), bytes.fromhex(new)))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    ensure_certificate(Pki(tmp_path), "n1")
    return Certificates(tmp_path)


@pytest.mark.parametrize(
    ("chain", "key", "parameter", "code"),
    [
        (CHAIN, make("other").key_pem(), "key", "key-mismatch"),
        (MIDDLE.pem + LEAF.pem, LEAF.key_pem(), "key", "key-mismatch"),
        (LEAF.pem + ROOT.pem + MIDDLE.pem, LEAF.key_pem(), "certificates", "chain-order"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", LEAF.key_pem(), "certificates",
         "certificate-unreadable"),
        (CHAIN, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "key", "key-unreadable"),
        (CHAIN, LEAF.key_pem(b"geheim"), "key", "key-encrypted"),
        (CHAIN, None, "key", "key-missing"),
        (CHAIN, pem("PRIVATE KEY", STRANGE_KEY), "key", "key-unreadable"),
        (strange("06072a8648ce3d0201", "06072a8648ce3d0209"), LEAF.key_pem(), "certificates",
         "certificate-unreadable"),
        (strange("06082a8648ce3d030107", "06082a8648ce3d030163"), LEAF.key_pem(), "certificates",
         "certificate-unreadable"),
        (strange("0603551d11", "0603551d13"), LEAF.key_pem(), "certificates", "certificate-unreadable"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_and_changes_nothing(
    certificates: Certificates, chain: str, key: str | None, parameter: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await certificates.bring(chain, key)
    assert caught.value.error_code == code
    assert parameter in caught.value.parameters and "PRIVATE" not in str(caught.value.as_record())
    assert [row["filename"] for row in certificates.rows()] == ["pve-ssl.pem"]
    assert sorted(path.name for path in certificates.own.parent.iterdir()) == ["node.key", "node.pem"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"end": -0.5}, "certificate-expired"),
        ({"start": 1}, "certificate-early"),
        ({"bits": 1024}, "certificate-refused"),
    ],
)
async def test_what_clients_would_refuse_is_refused(
    certificates: Certificates, options: dict[str, float], code: str
) -> None:
    leaf = make("node.example", **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as caught:
        await certificates.bring(leaf.pem, leaf.key_pem())
    assert caught.value.error_code == code and caught.value.fixes and caught.value.evidence


async def test_it_is_told_replaced_and_given_up(certificates: Certificates) -> None:
    told: list[str] = []

    async def reload() -> None:
        told.append(certificates.rows()[-1]["filename"])

    certificates.reload = reload
    row = await certificates.bring(CHAIN, LEAF.key_pem())
    assert row["san"] == ["node.example"] and row["issuer"] == "/CN=middle"
    assert certificates.brought.stat().st_mode & 0o777 == 0o600
    assert certificates.served_pem() == CHAIN and "PRIVATE" not in certificates.served_pem()
    with pytest.raises(Conflict, match="force flag is not set"):
        await certificates.bring(CHAIN, LEAF.key_pem())
    renewed = make("node.example", MIDDLE)
    with pytest.raises(InvalidInput):
        await certificates.bring(renewed.pem, None, force=True)  # another key than the one that is there
    await certificates.bring(LEAF.pem, None, force=True)
    assert certificates.served_pem() == LEAF.pem
    await certificates.remove()
    assert told == ["pveproxy-ssl.pem", "pveproxy-ssl.pem", "pve-ssl.pem"]
    with pytest.raises(NotFound):
        await certificates.remove()


async def test_a_damaged_one_locks_nobody_out(certificates: Certificates) -> None:
    await certificates.bring(CHAIN, LEAF.key_pem())
    certificates.brought.write_text("damaged")
    context = chosen_context(Pki(certificates.own.parent), certificates.brought)
    assert isinstance(context, ssl.SSLContext)


async def test_of_several_at_once_each_is_taken_whole(certificates: Certificates) -> None:
    leaves = [make(f"n{n}.example") for n in range(6)]
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(certificates.bring(leaf.pem, leaf.key_pem(), force=True)) for leaf in leaves]
    rows = [one.result() for one in work]
    assert [row["subject"] for row in rows] == [f"/CN=n{n}.example" for n in range(6)]
    assert certificates.rows()[-1]["fingerprint"] in {row["fingerprint"] for row in rows}
    assert not list(certificates.brought.parent.glob("*.new"))
