"""A security key in software, with the browser around it: what both do, and what bad ones would."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class SecurityKey:
    """One key with one credential. `counter` counts its uses; `flags`: 1 somebody touched it."""

    def __init__(self) -> None:
        self.id = secrets.token_bytes(32)
        self.counter = 0
        self.flags = 0x01
        self._private = ec.generate_private_key(ec.SECP256R1())

    def register(self, options: dict[str, Any], *, origin: str, name: str | None = None) -> str:
        """The browser's answer to a registration's challenge, as JSON."""
        numbers = self._private.public_key().public_numbers()
        public = cbor.encode({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + public
        data = self._data(name or options["publicKey"]["rp"]["id"], 0x40) + attested
        client = self._client("webauthn.create", options["publicKey"]["challenge"], origin)
        statement = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(clientDataJSON=client, attestationObject=statement)

    def answer(
        self, options: dict[str, Any], *, origin: str, name: str | None = None, kind: str = "webauthn.get"
    ) -> str:
        """The browser's answer to a login's challenge, as JSON."""
        self.counter += 1
        data = self._data(name or options["publicKey"]["rpId"], 0)
        client = self._client(kind, options["publicKey"]["challenge"], origin)
        signature = self._private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _data(self, name: str, more: int) -> bytes:
        return hashlib.sha256(name.encode()).digest() + struct.pack(">BI", self.flags | more, self.counter)

    def _client(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def _answer(self, **parts: bytes) -> str:
        response = {name: encoded(raw) for name, raw in parts.items()}
        return json.dumps(
            {"id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "response": response}
        )
