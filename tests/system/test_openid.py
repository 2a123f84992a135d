"""Logging in by a real provider of OpenID Connect: by the API, and by the page in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from support.browser import visit
from support.daemon import TestDaemon
from support.openid_provider import CLIENT, PASSWORD, SECRET, USER, OpenIdProvider, openid_provider
from support.walk import Somebody


@pytest.fixture(scope="module")
def here(daemon: TestDaemon) -> str:
    return f"https://127.0.0.1:{daemon.port}/"


@pytest.fixture(scope="module")
def provider(daemon: TestDaemon, here: str) -> Iterator[OpenIdProvider]:
    with openid_provider(here) as running:
        daemon.post(
            "/access/domains",
            realm="sso",
            type="openid",
            comment="the firm",
            **{
                "issuer-url": running.issuer, "client-id": CLIENT, "client-key": SECRET, "username-claim": "username",
                "autocreate": 1, "groups-claim": "groups", "groups-autocreate": 1,
            },
        )  # fmt: skip
        daemon.post("/access/groups", groupid="staff-sso")
        daemon.put("/access/acl", path="/", groups="staff-sso", roles="PVEAuditor")
        yield running


def login(daemon: TestDaemon, **params: Any) -> tuple[int, dict[str, Any]]:
    status, _, body = Somebody(daemon, {}).call("POST", "/access/openid/login", params)
    return status, body or {}


def test_to_the_provider_and_back(daemon: TestDaemon, provider: OpenIdProvider, here: str) -> None:
    somebody = Somebody(daemon, {})
    _, _, body = somebody.call("POST", "/access/openid/auth-url", {"realm": "sso", "redirect-url": here})
    back = provider.log_in(body["data"])
    given = {"redirect-url": here, "state": back["state"]}
    status, reply = login(daemon, code=back["code"], **given)
    assert status == 200 and reply["data"]["username"] == "ann@sso"
    ticket = Somebody(daemon, {"Cookie": f"PVEAuthCookie={reply['data']['ticket']}"})
    assert ticket.call("GET", "/nodes/n1/status")[0] == 200, "by the grant of a group that the provider names"
    user = daemon.get("/access/users/ann@sso")
    assert (user["email"], user["firstname"], user["groups"]) == ("ann@example.org", "Ann", ["ops-sso", "staff-sso"])
    # The code again, with its own state and with a fresh one: both are used up.
    assert login(daemon, code=back["code"], **given)[0] == 401
    _, _, body = somebody.call("POST", "/access/openid/auth-url", {"realm": "sso", "redirect-url": here})
    other = provider.log_in(body["data"])
    status, reply = login(daemon, **{**given, "state": other["state"]}, code=back["code"])
    assert (status, reply["error"]["code"]) == (401, "openid-refused")
    # A code of another login: the provider wants the secret that this login's challenge was made of.
    _, _, body = somebody.call("POST", "/access/openid/auth-url", {"realm": "sso", "redirect-url": here})
    third = provider.log_in(body["data"])
    _, _, body = somebody.call("POST", "/access/openid/auth-url", {"realm": "sso", "redirect-url": here})
    fourth = provider.log_in(body["data"])
    assert login(daemon, code=third["code"], **{**given, "state": fourth["state"]})[0] == 401
    assert SECRET not in daemon.tail() and back["code"] not in daemon.tail()


def test_the_page_goes_there_and_back(daemon: TestDaemon, provider: OpenIdProvider) -> None:
    with visit(daemon) as found:
        screen = found.page
        screen.goto(found.address)
        screen.get_by_role("button", name="Log in with the firm").click()
        screen.get_by_label("Username").fill(USER)
        screen.get_by_label("Password").fill(PASSWORD)
        screen.get_by_role("button", name="Sign in").click()
        expect(screen.get_by_role("grid")).to_be_visible()
        assert screen.url == f"{found.address}#/" or "code=" not in screen.url
        assert found.complaints == []


def test_the_page_takes_no_login_that_it_did_not_begin(daemon: TestDaemon, provider: OpenIdProvider, here: str) -> None:
    """Somebody else's code would log this browser in as somebody else."""
    begin = {"realm": "sso", "redirect-url": here}
    back = provider.log_in(Somebody(daemon, {}).call("POST", "/access/openid/auth-url", begin)[2]["data"])
    with visit(daemon) as found:
        found.page.goto(f"{found.address}?code={back['code']}&state={back['state']}")
        expect(found.page.get_by_role("alert")).to_contain_text("was not begun here")
        assert found.faults() == []
