"""Time-based one-time passwords (RFC 6238) from an `otpauth://` address, as authenticator programs take it."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.twofactor.totp import TOTP

_ALGORITHMS: dict[str, type[hashes.SHA1] | type[hashes.SHA256] | type[hashes.SHA512]] = {
    "SHA1": hashes.SHA1,
    "SHA256": hashes.SHA256,
    "SHA512": hashes.SHA512,
}
_AROUND = (-1, 0, 1)  # clocks of telephones are off by some seconds


@dataclass(frozen=True, slots=True)
class Totp:
    """A secret and how codes are made of it; `period` in seconds."""

    key: bytes
    digits: int = 6
    period: int = 30
    algorithm: str = "SHA1"

    @classmethod
    def parse(cls, uri: str) -> Totp:
        """Raises ValueError that says what is wrong with the address."""
        parts = urlsplit(uri)
        if parts.scheme != "otpauth" or parts.netloc != "totp":
            raise ValueError("it does not begin with otpauth://totp/")
        fields = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        text = fields.get("secret", "").upper().rstrip("=")
        try:
            key = base64.b32decode(text + "=" * (-len(text) % 8))
            digits, period = int(fields.get("digits", "6")), int(fields.get("period", "30"))
        except (binascii.Error, ValueError):
            raise ValueError("its secret is not base32, or a number in it is none") from None
        algorithm = fields.get("algorithm", "SHA1").upper()
        if len(key) < 10 or not 6 <= digits <= 8 or not 10 <= period <= 120 or algorithm not in _ALGORITHMS:
            raise ValueError("it needs a secret of 10 bytes, 6 to 8 digits, a period of 10 to 120 s, SHA1, 256 or 512")
        return cls(key, digits, period, algorithm)

    def step_of(self, code: str, now: float, *, after: int = 0) -> int | None:
        """The time step that a code belongs to, if it is one of about now and later than step `after`: who keeps
        that takes no code twice."""
        made = TOTP(self.key, self.digits, _ALGORITHMS[self.algorithm](), self.period, enforce_key_length=False)
        found = None
        for step in (max(0, int(now // self.period) + shift) for shift in _AROUND):
            fits = hmac.compare_digest(made.generate(step * self.period), code.encode(errors="replace"))
            if fits and step > after:
                found = step
        return found
