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
        found.go("#/qemu/190/hardware")
        line = screen.get_by_role("listitem", name="Kerne", exact=True)
        expect(line).to_contain_text("üblich: 1")
        line.get_by_role("button", name="Kerne ändern").click()
        expect(line.get_by_role("form")).to_contain_text("Kerne je Sockel.")
        found.refusals = True
        daemon.put(f"{daemon.qemu}/190/config", memory=4_000_000)
        screen.get_by_role("toolbar").get_by_role("button", name="Starten").click()
        alert = screen.get_by_role("alert")
        expect(alert).to_contain_text("zu wenig Arbeitsspeicher, um Gast 190 zu starten")
        expect(alert).to_contain_text("Grund: die Gäste, die hier laufen, und der Host selbst nehmen den Rest")
        expect(alert).to_contain_text("einen anderen Gast stoppen")
        assert alert.locator("[lang=en]").count() == 0
        assert not found.faults()
        daemon.put(f"{daemon.qemu}/190/config", memory=1536)
        screen.reload()
        expect(screen.get_by_role("button", name="Neuer Gast")).to_be_visible()


def test_the_browsers_language_is_the_first_guess(daemon: TestDaemon) -> None:
    with visit(daemon, locale="de-AT") as found:
        found.page.goto(found.address)
        expect(found.page.get_by_role("button", name="Anmelden")).to_be_visible()
