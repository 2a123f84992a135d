"""The page in another language: chosen once, remembered, with its own numbers and dates."""

from __future__ import annotations

from playwright.sync_api import expect

from support.browser import visit
from support.daemon import TestDaemon


def test_german_is_chosen_and_remembered(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(190, tiny, name="sprache", memory=1536)
    with visit(daemon) as found:
        found.log_in()
        screen = found.page
        assert screen.evaluate("document.documentElement.lang") == "en"
        screen.get_by_role("button", name="admin@pve").click()
        screen.get_by_role("menuitem", name="Deutsch").click()
        expect(screen.get_by_role("button", name="Neuer Gast")).to_be_visible()
        assert screen.evaluate("document.documentElement.lang") == "de"
        row = screen.get_by_role("grid").get_by_role("row").filter(has_text="sprache")
        expect(row).to_contain_text("1,5 GiB")
        expect(screen.get_by_role("menu")).to_have_count(0)
        assert not found.faults()
        screen.reload()
        expect(screen.get_by_role("button", name="Neuer Gast")).to_be_visible()
        assert found.complaints == []


def test_the_browsers_language_is_the_first_guess(daemon: TestDaemon) -> None:
    with visit(daemon, locale="de-AT") as found:
        found.page.goto(found.address)
        expect(found.page.get_by_role("button", name="Anmelden")).to_be_visible()
        assert found.complaints == []
