"""The certificate this node makes for itself, and the TLS rules of the API.

Self-signed, because nobody asked yet for another one; it names the host, its addresses, `localhost` and the node, so
that clients which verify can. It is renewed before it expires, and a certificate somebody put there is left alone.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tarmac.lib.files import failure_of, write_atomic
from tarmac.model.errors import DataCorrupt, Fix

log = logging.getLogger(__name__)
LIFETIME = datetime.timedelta(days=397)
RENEW_BEFORE = datetime.timedelta(days=30)
ISSUER = "tarmac (self-signed)"


@dataclass(frozen=True, slots=True)
class Pki:
    """The files of the node's certificate below the data directory's `pki/`."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "node.pem"

    @property
    def key(self) -> Path:
        return self.directory / "node.key"


def ensure_certificate(pki: Pki, node: str, extra: Iterable[str] = ()) -> bool:
    """Make the certificate if there is none, or renew ours when it expires within 30 days or no longer names this
    host. True if a new one was written. Blocks; raises HostFailure, NoSpace, Denied."""
    names = host_names(node, extra)
    present = _load(pki)
    if present is not None and not _due(present, names):
        return False
    try:
        pki.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key, certificate = _make(node, names)
        write_atomic(pki.key, key, mode=0o600)
        write_atomic(pki.certificate, certificate, mode=0o644)
    except OSError as problem:
        raise failure_of(problem, f"cannot write the certificate in {pki.directory}") from problem
    return True


def server_context(pki: Pki) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, HTTP/1.1 only (HTTP/2 has no reason phrase). Loading the files again into the same context
    (`reload`) serves new connections with a renewed certificate. Raises DataCorrupt."""
    context = _context()
    reload(context, pki)
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def chosen_context(pki: Pki, brought: Path) -> ssl.SSLContext:
    """The context of the certificate that somebody brought (with its key in the same file), of the node's own where
    there is none or it cannot be used. A context of its own each time: one that once had a certificate of another kind
    of key would go on showing that, too. Raises DataCorrupt."""
    if not brought.exists():
        return server_context(pki)
    try:
        context = _context()
        context.load_cert_chain(brought)
    except (OSError, ssl.SSLError) as problem:
        log.error("the certificate cannot be used; the node's own is shown", extra={"problem": str(problem)})
        return server_context(pki)
    return context


def reload(context: ssl.SSLContext, pki: Pki) -> None:
    """Use the files as they are now for new connections."""
    try:
        context.load_cert_chain(pki.certificate, pki.key)
    except (OSError, ssl.SSLError) as problem:
        raise DataCorrupt(
            "the node's certificate cannot be used",
            code="bad-certificate",
            cause="certificate and key do not belong together, or one is damaged",
            evidence=f"{pki.certificate}: {problem}",
            fixes=[Fix(text=f"remove both files in {pki.directory}; the next start makes new ones")],
        ) from problem


def fingerprint(pki: Pki) -> str:
    """SHA-256 of the certificate, `AA:BB:...` as Proxmox shows it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(pki.certificate.read_text("ascii")))).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


def host_names(node: str, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Every name and address under which this node may be called, in a stable order."""
    host = socket.gethostname()
    names = ["localhost", node, host, *extra]
    with contextlib.suppress(OSError):
        names.append(socket.getfqdn())
    addresses = ["127.0.0.1", "::1"]
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family in (socket.AF_INET, socket.AF_INET6):
                address = ipaddress.ip_address(entry.address.partition("%")[0])
                if not address.is_link_local:
                    addresses.append(str(address))
    return tuple(dict.fromkeys(n for n in (*names, *addresses) if n))


def _load(pki: Pki) -> x509.Certificate | None:
    try:
        if not pki.key.exists():
            return None
        return x509.load_pem_x509_certificate(pki.certificate.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _due(certificate: x509.Certificate, names: tuple[str, ...]) -> bool:
    if not _is_ours(certificate):
        return False
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    if left < RENEW_BEFORE:
        return True
    told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    present = {*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))}
    # Addresses of guests' bridges come and go; only the names by which people call the host force a new one.
    return not {n for n in names if not _is_address(n)} <= present


def _make(node: str, names: tuple[str, ...]) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if _is_address(name) else x509.DNSName(name) for name in names
    ]
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ISSUER), x509.NameAttribute(NameOID.COMMON_NAME, node[:64])]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def _is_ours(certificate: x509.Certificate) -> bool:
    """Whether this program made it: one that somebody put there is never replaced."""
    makers = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [m.value for m in makers] == [ISSUER]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem[: pem.index(end) + len(end)] + "\n"
