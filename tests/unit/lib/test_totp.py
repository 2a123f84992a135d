"""One-time passwords: the vectors of RFC 6238, clocks that are off, no code twice, bad addresses."""

from __future__ import annotations

import base64

import pytest

from tarmac.lib.totp import Totp

SHA1 = base64.b32encode(b"12345678901234567890").decode()
SHA256 = base64.b32encode(b"12345678901234567890123456789012").decode().rstrip("=")


@pytest.mark.parametrize(
    ("now", "code", "secret", "algorithm"),
    [
        (59, "94287082", SHA1, "SHA1"),
        (1111111109, "07081804", SHA1, "SHA1"),
        (20000000000, "65353130", SHA1, "SHA1"),
        (59, "46119246", SHA256, "SHA256"),
        (1234567890, "91819424", SHA256, "SHA256"),
    ],
)
def test_the_vectors_of_the_rfc(now: int, code: str, secret: str, algorithm: str) -> None:
    totp = Totp.parse(f"otpauth://totp/x:joe?secret={secret}&digits=8&algorithm={algorithm}")
    assert totp.step_of(code, now) == now // 30


def test_a_clock_may_be_off_by_a_step_and_no_code_is_taken_twice() -> None:
    totp = Totp.parse(f"otpauth://totp/x?secret={SHA1}&digits=8")
    assert totp.step_of("94287082", 59 + 30) == totp.step_of("94287082", 59 - 30) == 1
    assert totp.step_of("94287082", 59 + 61) is None
    assert totp.step_of("94287082", 59, after=1) is None
    for wrong in ("", "94287083", "9428708", "\N{SNOWMAN}"):
        assert totp.step_of(wrong, 59) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://x/?secret=" + SHA1,
        "otpauth://hotp/x?secret=" + SHA1,
        "otpauth://totp/x",
        "otpauth://totp/x?secret=1",
        "otpauth://totp/x?secret=MFRGG",
        f"otpauth://totp/x?secret={SHA1}&digits=4",
        f"otpauth://totp/x?secret={SHA1}&digits=x",
        f"otpauth://totp/x?secret={SHA1}&period=0",
        f"otpauth://totp/x?secret={SHA1}&algorithm=MD5",
    ],
)
def test_bad_addresses_are_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Totp.parse(uri)
