"""A login with a second factor, by a real client and step by step."""

from __future__ import annotations

import time
import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from proxmoxer import ProxmoxAPI

from support.daemon import ApiError, TestDaemon
from support.walk import Somebody

PASSWORD = "a good password"
KEY = b"12345678901234567890"
URI = "otpauth://totp/tarmac:two?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def code() -> str:
    return TOTP(KEY, 6, SHA1(), 30).generate(time.time()).decode()


def ticket(daemon: TestDaemon, **params: Any) -> tuple[int, str, dict[str, Any]]:
    status, reason, body = Somebody(daemon, {}).call("POST", "/access/ticket", {"username": "two@pve", **params})
    return status, reason, (body or {}).get("data") or {}


@pytest.fixture(scope="module")
def keys(daemon: TestDaemon) -> list[str]:
    daemon.post("/access/users", userid="two@pve", password=PASSWORD)
    assert "NeedTFA" not in ticket(daemon, password=PASSWORD)[2]
    daemon.post("/access/tfa/two@pve", type="totp", totp=URI, value=code(), description="phone")
    return list(daemon.post("/access/tfa/two@pve", type="recovery")["recovery"])


def test_two_steps(daemon: TestDaemon, keys: list[str]) -> None:
    status, _, first = ticket(daemon, password=PASSWORD)
    assert (status, first["NeedTFA"]) == (200, 1) and first["ticket"].startswith("PVE:!tfa!")
    # The first step's ticket opens nothing, and renews nothing.
    half = Somebody(daemon, {"Cookie": f"PVEAuthCookie={first['ticket']}"})
    assert half.call("GET", "/version")[:2] == (401, "permission denied - invalid PVE ticket")
    assert ticket(daemon, password=first["ticket"])[0] == 401
    assert ticket(daemon, password="totp:000000", **{"tfa-challenge": first["ticket"]})[0] == 401
    status, _, second = ticket(daemon, password=f"recovery:{keys[0]}", **{"tfa-challenge": first["ticket"]})
    assert status == 200 and "NeedTFA" not in second
    whole = Somebody(daemon, {"Cookie": f"PVEAuthCookie={second['ticket']}"})
    assert whole.call("GET", "/version")[0] == 200
    # A whole ticket renews itself without a second factor; a used key is used.
    assert "NeedTFA" not in ticket(daemon, password=second["ticket"])[2]
    first = ticket(daemon, password=PASSWORD)[2]
    assert ticket(daemon, password=f"recovery:{keys[0]}", **{"tfa-challenge": first["ticket"]})[0] == 401


def test_anothers_first_step_is_no_use(daemon: TestDaemon, keys: list[str]) -> None:
    daemon.post("/access/users", userid="other@pve", password=PASSWORD)
    other = daemon.post("/access/tfa/other@pve", type="recovery")["recovery"]
    first = ticket(daemon, password=PASSWORD)[2]["ticket"]
    status, _, body = Somebody(daemon, {}).call(
        "POST",
        "/access/ticket",
        {"username": "other@pve", "password": f"recovery:{other[0]}", "tfa-challenge": first},
    )
    assert status == 401 and body["data"] is None


def test_proxmoxer_gives_its_code(daemon: TestDaemon, keys: list[str]) -> None:
    daemon.put("/access/users/two@pve/unlock-tfa")
    # The code that proved the secret is used up: wait for the next one.
    used = {code()}
    while (fresh := code()) in used:
        time.sleep(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        api = ProxmoxAPI(
            "127.0.0.1", port=daemon.port, user="two@pve", password=PASSWORD, otp=fresh, verify_ssl=False, timeout=15
        )
        assert api.version.get()["release"] == "9.1"


def test_what_is_shown_and_who_may_change(daemon: TestDaemon, keys: list[str]) -> None:
    rows = next(row for row in daemon.get("/access/tfa") if row["userid"] == "two@pve")
    assert [entry["type"] for entry in rows["entries"]] == ["totp", "recovery"]
    assert daemon.get("/access/users/two@pve/tfa", multiple=1) == {"types": ["recovery", "totp"]}
    own = daemon.get("/access/tfa/two@pve")[0]
    assert daemon.get(f"/access/tfa/two@pve/{own['id']}") == own and own["description"] == "phone"
    token = daemon.post("/access/users/two@pve/token/tok", privsep=0)
    somebody = Somebody.of_token(daemon, token["full-tokenid"], token["value"])
    assert somebody.call("GET", "/access/tfa/two@pve")[0] == 403  # a token is not its user
    assert somebody.call("DELETE", f"/access/tfa/two@pve/{own['id']}")[0] == 403  # not with a token
    with pytest.raises(ApiError, match="501"):
        daemon.post("/access/tfa/two@pve", type="yubico")
