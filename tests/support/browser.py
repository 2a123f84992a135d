"""A real browser on the page of a real daemon: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from support.daemon import TestDaemon

AXE = Path(__file__).resolve().parents[2] / "ui/node_modules/axe-core/axe.min.js"
WAIT_MS = 20_000
OPENING_MS = 500
"""What opens or closes on the page has done so by then."""
CHROMIUM = "/usr/bin/chromium"
# Chromium would look for its maker's hosts at every start otherwise; as root it has no sandbox of its own.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_REFUSAL = re.compile(r"the server responded with a status of [45]\d\d")
USER, PASSWORD = "admin@pve", "a secret of the tests"


@dataclass
class Visit:
    """A page that is open. `complaints` are the errors in the browser's console; with `refusals` the server's are none
    (the browser tells of every answer above 399 by itself)."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    refusals: bool = False

    def log_in(self) -> None:
        self.page.goto(self.address)
        self.page.get_by_label("User").fill(USER)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("grid").wait_for()

    def faults(self, *, only: str = "") -> list[str]:
        """What axe finds serious or worse in what is shown now; `only` is the one rule that is looked at. A menu, say,
        that opens or closes just then is looked at once it has."""
        if not self._faults_now(only):
            return []
        self.page.wait_for_timeout(OPENING_MS)
        return self._faults_now(only)

    def _faults_now(self, only: str) -> list[str]:
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(AXE.read_text())
        rules = f"runOnly: ['{only}']" if only else ""
        found = self.page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], {rules}}})")
        return [
            f"{fault['id']}: {node['target']} {node['failureSummary']}"
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]

    def faults_in_both_schemes(self) -> list[str]:
        """The same, and what the colours do to it in the dark: nothing else is another there."""
        found = self.faults()
        try:
            self._show("dark")
            return found + [f"dark: {fault}" for fault in self.faults(only="color-contrast")]
        finally:
            self._show("light")

    def _show(self, scheme: str) -> None:
        self.page.emulate_media(color_scheme=scheme)
        expect(self.page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        # Some colours fade; what is between two schemes is nobody's fault.
        self.page.evaluate("document.getAnimations().forEach(a => a instanceof CSSTransition && a.finish())")

    def go(self, place: str) -> None:
        """`#/qemu/100/console` and the like, without loading the page again."""
        self.page.evaluate("place => { location.hash = place }", place)


class _Shared:
    """The browser of `one_browser`, once somebody needed it."""

    stack: contextlib.ExitStack | None = None
    browser: Browser | None = None


@contextlib.contextmanager
def one_browser() -> Iterator[None]:
    """The visits inside share a browser, and nothing of what it remembers: to start one takes longer than many a test.
    No asyncio inside: Playwright's loop runs on in this thread."""
    with contextlib.ExitStack() as _Shared.stack:
        yield
    _Shared.stack = _Shared.browser = None


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    if _Shared.stack is None:
        with _launched() as browser:
            yield browser
        return
    if _Shared.browser is None or not _Shared.browser.is_connected():
        _Shared.stack.close()
        _Shared.browser = _Shared.stack.enter_context(_launched())
    yield _Shared.browser


@contextlib.contextmanager
def _launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visit(
    daemon: TestDaemon,
    *,
    width: int = 1280,
    height: int = 800,
    scheme: str = "light",
    name: str = "127.0.0.1",
    locale: str = "en-US",
) -> Iterator[Visit]:
    """A browser with nothing remembered, on the page under that name. The daemon gets the user `admin@pve`. Fails
    at its end if something was said in the browser's console."""
    if not any(user["userid"] == USER for user in daemon.get("/access/users")):
        daemon.post("/access/users", userid=USER, password=PASSWORD)
        daemon.call("PUT", "/access/acl", path="/", users=USER, roles="Administrator")
    with _browser() as browser:
        context = browser.new_context(
            ignore_https_errors=True,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale=locale,
            permissions=["clipboard-read", "clipboard-write"],
        )
        try:
            page = context.new_page()
            page.set_default_timeout(30_000)
            expect.set_options(timeout=WAIT_MS)  # the machine may have much to do
            found = Visit(page, f"https://{name}:{daemon.port}/")
            page.on("console", lambda said: found.complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda fault: found.complaints.append(str(fault)))
            yield found
            said = [one for one in found.complaints if not (found.refusals and _REFUSAL.search(one))]
            assert said == [], "nothing is to be said in the browser's console"
        finally:
            context.close()
