"""A security key in a real browser: Chromium's own virtual authenticator, added by the page and used to log in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import CDPSession, expect

from support.browser import PASSWORD, USER, Visit, visit
from support.daemon import TestDaemon
from support.security_key import SecurityKey
from support.walk import Somebody


def plug_in(found: Visit) -> CDPSession:
    """A key that says yes to everything it is asked."""
    session = found.page.context.new_cdp_session(found.page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "usb", "hasResidentKey": False, "hasUserVerification": False,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def test_a_key_is_added_and_used(daemon: TestDaemon) -> None:
    with visit(daemon, name="localhost") as found:
        plug_in(found)
        found.log_in()
        screen = found.page
        found.go("#/settings")
        screen.get_by_role("button", name="Add a security key").click()
        form = screen.get_by_role("dialog")
        form.get_by_label("Description").fill("the blue one")
        form.get_by_label("Your password").fill(PASSWORD)
        form.get_by_role("button", name="Add it").click()
        expect(screen.get_by_role("row").filter(has_text="the blue one")).to_contain_text("security key")
        assert found.faults() == []
        # In the same browser, for the key is in it.
        screen.get_by_role("button", name=USER).click()
        screen.get_by_role("menuitem", name="Log out").click()
        screen.get_by_label("User").fill(USER)
        screen.get_by_label("Password", exact=True).fill(PASSWORD)
        screen.get_by_role("button", name="Log in", exact=True).click()
        screen.get_by_role("button", name="Use a security key").click()
        expect(screen.get_by_role("button", name=USER)).to_be_visible(timeout=20_000)
        assert found.complaints == []
    assert [entry["type"] for entry in daemon.get(f"/access/tfa/{USER}")] == ["webauthn"]


def test_by_the_api_as_proxmoxs_clients_do(daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="key@pve", password="a good password")
    first = daemon.post("/access/tfa/key@pve", type="webauthn")
    options, key, origin = json.loads(first["challenge"]), SecurityKey(), "https://localhost"
    given = {"type": "webauthn", "challenge": options["publicKey"]["challenge"]}
    daemon.post("/access/tfa/key@pve", **given, value=key.register(options, origin=origin), description="soft")
    somebody = Somebody(daemon, {"Host": "localhost"})

    def ticket(**params: Any) -> tuple[int, dict[str, Any]]:
        status, _, body = somebody.call("POST", "/access/ticket", {"username": "key@pve", **params})
        return status, (body or {}).get("data") or {}

    _, half = ticket(password="a good password")
    asked = json.loads(_decoded(half["ticket"]))["webauthn"]
    assert asked["publicKey"]["rpId"] == "localhost" and half["NeedTFA"] == 1
    answer = {"password": f"webauthn:{key.answer(asked, origin=origin)}", "tfa-challenge": half["ticket"]}
    assert ticket(**answer)[0] == 200
    assert ticket(**answer)[0] == 401, "an answer is good once"


def _decoded(partial: str) -> str:
    return unquote(partial.split(":")[1].removeprefix("!tfa!"))


def test_an_address_has_no_keys_and_says_so(daemon: TestDaemon) -> None:
    with visit(daemon) as found:
        found.refusals = True  # the browser says every one of them
        daemon.post("/access/users", userid="bare@pve", password=PASSWORD)
        found.page.goto(found.address)
        found.page.get_by_label("User").fill("bare@pve")
        found.page.get_by_label("Password", exact=True).fill(PASSWORD)
        found.page.get_by_role("button", name="Log in", exact=True).click()
        found.page.get_by_role("button", name="bare@pve").wait_for()
        found.go("#/settings")
        found.page.get_by_role("button", name="Add a security key").click()
        found.page.get_by_label("Description").fill("bare")
        found.page.get_by_label("Your password").fill(PASSWORD)
        found.page.get_by_role("button", name="Add it").click()
        expect(found.page.get_by_role("alert")).to_contain_text("security keys need a name, not an address")
