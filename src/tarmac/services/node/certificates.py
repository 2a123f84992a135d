"""The certificate that the API shows: the node's own (self-signed), or one that somebody brought or that was ordered.

The brought one lies with its key in one file, `pki/pveproxy-ssl.pem`, so that both change together; it is looked at
before it is taken, and served to new connections at once. If it cannot be used when the daemon starts, the node's own
is served: nobody is locked out by a certificate.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tarmac.lib.files import failure_of, remove_durably, write_atomic
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound

OWN, BROUGHT = "pve-ssl.pem", "pveproxy-ssl.pem"
_PEM = serialization.Encoding.PEM
# What the library raises for certificates that are well-formed, and that it cannot make sense of.
_STRANGE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


async def _nobody() -> None:
    """Until somebody serves, nobody needs to be told."""


class Certificates:
    """`directory` is the data directory's `pki/`; `reload` is awaited when another certificate is to be served."""

    def __init__(self, directory: Path) -> None:
        self.own = directory / "node.pem"
        self.brought = directory / BROUGHT
        self.reload: Callable[[], Awaitable[None]] = _nobody
        self._changing = asyncio.Lock()

    # -- reading (these block: for a thread) --------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """`GET /nodes/{node}/certificates/info`: the node's own and the brought one."""
        files = ((self.own, OWN), (self.brought, BROUGHT))
        return [describe(load(path)[0], name) for path, name in files if path.exists()]

    def served(self) -> list[x509.Certificate]:
        """The chain that is shown to who connects; empty before there is one."""
        for path in (self.brought, self.own):
            if path.exists():
                return load(path)
        return []

    def served_pem(self) -> str:
        """The same as text, without a key."""
        return "".join(certificate.public_bytes(_PEM).decode("ascii") for certificate in self.served())

    # -- changing -----------------------------------------------------------------------------------------------

    async def bring(self, chain: str, key: str | None, *, force: bool = False) -> dict[str, Any]:
        """Serve this chain from now on; without a key the present one's is used on. Returns its description.

        Raises InvalidInput (`certificates`, `key`) for what cannot be used, Conflict where there is one already unless
        `force`; then nothing changed."""
        async with self._changing:
            if self.brought.exists() and not force:
                raise Conflict(
                    "Custom certificate file exists but force flag is not set.",
                    code="certificate-exists",
                    cause="a certificate that somebody brought is served",
                    evidence=str(self.brought),
                    fixes=[Fix(text="replace it", action="POST .../certificates/custom", parameters={"force": "1"})],
                )
            row = await asyncio.to_thread(self._take, chain, key)
            await self.reload()
            return row

    async def remove(self) -> None:
        """Serve the node's own again. Raises NotFound where there is no other."""
        async with self._changing:
            if not self.brought.exists():
                raise NotFound(
                    "there is no custom certificate",
                    code="no-certificate",
                    cause="the node's own is served",
                    evidence=str(self.brought),
                )
            await asyncio.to_thread(remove_durably, self.brought)
            await self.reload()

    def _take(self, chain: str, key: str | None) -> dict[str, Any]:
        private = parse_key(key) if key is not None else self._present_key()
        certificates = parse_chain(chain)
        try:
            check(certificates, private)
            row = describe(certificates[0], BROUGHT)
        except _STRANGE as problem:
            why = "this certificate cannot be understood"
            raise _wrong("certificates", "certificate-unreadable", why, str(problem)[:300]) from None
        text = b"".join(
            [
                private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
                *(certificate.public_bytes(_PEM) for certificate in certificates),
            ]
        )
        candidate = self.brought.with_suffix(".new")
        try:
            write_atomic(candidate, text, mode=0o600)
            _try(candidate)
            candidate.replace(self.brought)
        except OSError as problem:
            raise failure_of(problem, "cannot write the certificate") from problem
        finally:
            candidate.unlink(missing_ok=True)
        return row

    def _present_key(self) -> PrivateKeyTypes:
        if not self.brought.exists():
            raise InvalidInput.of(
                "key",
                "Attempted to upload custom certificate without (existing) key.",
                code="key-missing",
                fixes=[Fix(text="give the certificate's key")],
            )
        return serialization.load_pem_private_key(self.brought.read_bytes(), None)


def load(path: Path) -> list[x509.Certificate]:
    """The certificates of a file. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificates(path.read_bytes())


def parse_chain(text: str) -> list[x509.Certificate]:
    """Raises InvalidInput for what is no chain of certificates."""
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except _STRANGE as problem:
        raise _wrong("certificates", "certificate-unreadable", "this is no certificate in PEM", str(problem)) from None


def parse_key(text: str) -> PrivateKeyTypes:
    """Raises InvalidInput for what is no private key, and for one with a password."""
    try:
        return serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        fix = Fix(text="take the password off: openssl pkey -in KEY -out KEY.plain")
        raise _wrong("key", "key-encrypted", "the key is protected by a password", "encrypted", fix) from None
    except (ValueError, UnsupportedAlgorithm) as problem:
        # What cryptography says of a key may show parts of it; the class is enough.
        raise _wrong("key", "key-unreadable", "this is no private key in PEM", type(problem).__name__) from None


def check(chain: Sequence[x509.Certificate], key: PrivateKeyTypes) -> None:
    """Raises InvalidInput unless the key fits the first certificate, each one is issued by the next, and the first is
    valid now."""
    leaf = chain[0]
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(_PEM, form) != key.public_key().public_bytes(_PEM, form):
        fix = Fix(text="give the key with which this certificate was asked for; its own must stand first in the chain")
        raise _wrong("key", "key-mismatch", "the key does not belong to the certificate", subject(leaf), fix)
    for lower, upper in zip(chain, chain[1:], strict=False):
        try:
            lower.verify_directly_issued_by(upper)
        except (*_STRANGE, InvalidSignature):
            fix = Fix(text="put the node's certificate first, then each one's issuer, up to the last intermediate one")
            text = f"'{subject(lower)}' is not issued by '{subject(upper)}', which follows it"
            raise _wrong("certificates", "chain-order", text, f"{len(chain)} certificates", fix) from None
    now = datetime.datetime.now(datetime.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        over = now > leaf.not_valid_after_utc
        dates = (
            f"valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} to {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
        text = "the certificate is not valid any more" if over else "the certificate is not valid yet"
        fix = Fix(text="have it renewed" if over else "look at this node's clock")
        raise _wrong("certificates", "certificate-expired" if over else "certificate-early", text, dates, fix)


def _try(path: Path) -> None:
    """Whether TLS takes it; raises InvalidInput with what TLS says."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except ssl.SSLError as problem:
        fix = Fix(text="use a key of at least 2048 bits (RSA) or 256 (EC) and SHA-256")
        raise _wrong("certificates", "certificate-refused", "TLS refuses this certificate", str(problem), fix) from None


def describe(certificate: x509.Certificate, filename: str) -> dict[str, Any]:
    """As Proxmox describes one."""
    key = certificate.public_key()
    return {
        "filename": filename,
        "fingerprint": ":".join(f"{byte:02X}" for byte in certificate.fingerprint(hashes.SHA256())),
        "subject": f"/{subject(certificate)}",
        "issuer": f"/{certificate.issuer.rfc4514_string()}",
        "notbefore": int(certificate.not_valid_before_utc.timestamp()),
        "notafter": int(certificate.not_valid_after_utc.timestamp()),
        "san": alternative_names(certificate),
        "pem": certificate.public_bytes(_PEM).decode("ascii"),
        "public-key-type": "rsaEncryption" if isinstance(key, rsa.RSAPublicKey) else "id-ecPublicKey",
        "public-key-bits": getattr(key, "key_size", 0),
    }


def subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def alternative_names(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that it is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]


def _wrong(parameter: str, code: str, text: str, evidence: str, fix: Fix | None = None) -> InvalidInput:
    return InvalidInput(
        "Parameter verification failed.",
        code=code,
        cause=text,
        evidence=evidence,
        fixes=[fix] if fix else [],
        parameters={parameter: text},
    )
