"""The web page in a real browser, against a real daemon with real guests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import Visit, visit
from support.daemon import TestDaemon, eventually

pytestmark = pytest.mark.usefixtures("one_browser")


@pytest.fixture
def page(daemon: TestDaemon) -> Iterator[Visit]:
    with visit(daemon) as found:
        found.log_in()
        yield found


def test_a_wrong_password_is_told(daemon: TestDaemon) -> None:
    with visit(daemon) as found:
        found.refusals = True
        found.page.goto(found.address)
        found.page.get_by_label("User").fill("admin@pve")
        found.page.get_by_label("Password", exact=True).fill("wrong")
        found.page.get_by_role("button", name="Log in").click()
        expect(found.page.get_by_role("alert")).to_contain_text("authentication failure")


def test_a_login_link_logs_in_once(daemon: TestDaemon) -> None:
    """Opened anew, and where the page is open already: then only what stands behind the `#` changes."""
    with visit(daemon) as found:
        found.refusals = True
        screen = found.page
        link = daemon.post("/access/login-link")["url"]
        screen.goto(link)
        expect(screen.get_by_role("grid")).to_be_visible()
        assert "once" not in screen.url
        screen.get_by_role("button", name="root@pam", exact=True).click()
        screen.get_by_role("menuitem", name="Log out").click()
        screen.get_by_label("Password", exact=True).wait_for()
        screen.goto(link)
        expect(screen.get_by_role("alert")).to_contain_text("authentication failure")
        screen.goto(daemon.post("/access/login-link")["url"])
        expect(screen.get_by_role("grid")).to_be_visible()


def test_a_second_factor_is_asked_for(daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="two@pve", password="a good password")
    keys = daemon.post("/access/tfa/two@pve", type="recovery")["recovery"]
    with visit(daemon) as found:
        screen = found.page
        screen.goto(found.address)
        screen.get_by_label("User").fill("two@pve")
        screen.get_by_label("Password", exact=True).fill("a good password")
        screen.get_by_role("button", name="Log in").click()
        screen.get_by_role("textbox", name="Code").fill(keys[0])
        screen.get_by_role("button", name="Log in").click()
        expect(screen.get_by_role("grid")).to_be_visible()


def test_from_the_first_visit_to_a_console_that_is_typed_into(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(100, tiny, name="first", tags="web")
    screen = page.page
    row = screen.get_by_role("grid").get_by_role("row").filter(has_text="first")
    expect(row).to_contain_text("stopped")
    row.get_by_role("checkbox").click()
    screen.get_by_role("toolbar").get_by_role("button", name="Start").click()
    expect(row).to_contain_text("running")
    row.get_by_role("link", name="first").click()
    expect(screen.get_by_role("heading", name="100 (first)")).to_be_visible()
    screen.get_by_role("tab", name="Console").click()
    terminal = screen.locator(".terminal .xterm-rows")
    expect(terminal).to_contain_text("tiny:/root#", timeout=60_000)
    screen.keyboard.type("echo typed-$((40+2))\n")
    expect(terminal).to_contain_text("typed-42")
    screen.get_by_role("tab", name="Summary").click()
    expect(terminal).to_be_hidden()
    screen.get_by_role("tab", name="Console").click()
    expect(terminal).to_contain_text("typed-42")  # it was kept
    screen.get_by_role("toolbar").get_by_role("button", name="More actions").click()
    screen.get_by_role("menuitem", name="Cut the power", exact=True).click()
    expect(screen.get_by_role("dialog")).to_contain_text("100 (first) on n1")
    screen.get_by_role("dialog").get_by_role("button", name="Cut the power").click()
    eventually(lambda: daemon.status(100)["status"] == "stopped")
    expect(screen.get_by_role("heading", name="100 (first)")).to_contain_text("stopped")
    assert page.complaints == []


def test_a_guest_is_made_on_one_page(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    screen = page.page
    screen.get_by_role("button", name="New guest").click()
    form = screen.get_by_role("dialog")
    form.get_by_label("Name").fill("made-here")
    form.get_by_label("From").click()
    screen.get_by_role("option", name=tiny).click()
    form.get_by_label("Start it").uncheck()
    form.get_by_role("button", name="Create").click()
    expect(screen.get_by_role("heading", name="made-here")).to_be_visible()
    (made,) = [g for g in daemon.get("/cluster/resources", type="vm") if g["name"] == "made-here"]
    config = daemon.get(f"{daemon.qemu}/{made['vmid']}/config")
    assert config["memory"] == "1024" and config["scsi0"].startswith("local:")
    assert page.complaints == []


def test_a_refusal_is_readable(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(131, tiny, name="guarded", protection=1)
    page.refusals = True
    screen = page.page
    page.go("#/qemu/131")
    screen.get_by_role("toolbar").get_by_role("button", name="More actions").click()
    screen.get_by_role("menuitem", name="Delete").click()
    dialog = screen.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Delete")).to_be_disabled()
    dialog.get_by_label("Type 131 to go on").fill("131")
    dialog.get_by_role("button", name="Delete").click()
    alert = screen.get_by_role("alert")
    expect(alert).to_contain_text("can't remove VM 131 - protection mode enabled")
    expect(alert).to_contain_text("the guest's configuration has protection=1")  # why
    expect(alert).to_contain_text("set protection to 0 first")  # what to do


def test_find_or_do(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(140, tiny, name="needle")
    screen = page.page
    screen.keyboard.press("Control+k")
    screen.get_by_role("textbox", name="Find or do").fill("needle")
    expect(screen.get_by_role("dialog").get_by_role("option")).to_have_count(1)
    screen.keyboard.press("Enter")
    expect(screen.get_by_role("heading", name="140 (needle)")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(daemon: TestDaemon, scheme: str) -> None:
    with visit(daemon, width=360, height=740, scheme=scheme) as found:
        found.log_in()
        width = found.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, "nothing hangs over the edge"
        found.page.get_by_role("button", name="Inventory").click()
        expect(found.page.get_by_role("tree")).to_be_visible()
        ground = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)")
        assert found.complaints == []


def test_a_user_gets_a_token_and_a_grant(page: Visit, daemon: TestDaemon) -> None:
    screen = page.page
    page.go("#/access")
    screen.get_by_role("button", name="New user").click()
    form = screen.get_by_role("dialog")
    form.get_by_label("Name").fill("ann")
    form.get_by_role("textbox", name="Password").fill("a long password")
    form.get_by_role("button", name="Make the user").click()
    row = screen.get_by_role("row", name="ann@pve")
    row.get_by_role("button", name="New token").click()
    form.get_by_label("Name").fill("robot")
    form.get_by_role("button", name="Make the token").click()
    shown = screen.get_by_role("dialog").get_by_text("ann@pve!robot=")
    expect(shown).to_be_visible()
    assert len(shown.inner_text().partition("=")[2]) == 36
    screen.keyboard.press("Escape")
    page.go("#/access/grants")
    screen.get_by_role("button", name="New grant").click()
    form.get_by_label("Path").fill("/vms")
    form.get_by_label("User, group or token").click()
    screen.get_by_role("option", name="ann@pve", exact=True).click()
    form.get_by_label("Role").click()
    screen.get_by_role("option", name="PVEVMUser").click()
    form.get_by_role("button", name="Grant it").click()
    expect(screen.get_by_role("row", name="/vms")).to_contain_text("user ann@pve")
    granted = [(g["path"], g["ugid"], g["roleid"]) for g in daemon.get("/access/acl")]
    assert ("/vms", "ann@pve", "PVEVMUser") in granted
    assert page.complaints == []


def test_a_file_is_uploaded(page: Visit, daemon: TestDaemon, tmp_path: Path) -> None:
    file = tmp_path / "small.iso"
    file.write_bytes(bytes(32 * 2048 * 1024))
    screen = page.page
    page.go("#/storage/local")
    screen.get_by_label("File").set_input_files(file)
    expect(screen.get_by_text("local:iso/small.iso")).to_be_visible(timeout=60_000)
    screen.get_by_role("button", name="Delete").first.wait_for()
    assert any(v["volid"] == "local:iso/small.iso" for v in daemon.get("/nodes/n1/storage/local/content"))
    assert page.complaints == []


def test_the_keyboard_alone_starts_a_guest(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(150, tiny, name="by-key", freeze=1)
    page.go("#/qemu/150")
    expect(page.page.get_by_role("heading", name="150 (by-key)")).to_be_visible()
    page.page.keyboard.press("s")
    eventually(lambda: daemon.status(150)["status"] == "running")
    daemon.task("POST", f"{daemon.qemu}/150/status/stop")


PLACES = (
    "#/", "#/qemu/160", "#/qemu/160/hardware", "#/qemu/160/options", "#/qemu/160/cloudinit",
    "#/qemu/160/tasks", "#/node/n1", "#/storage/local", "#/access", "#/access/factors",
    "#/access/realms",
)  # fmt: skip


def test_nothing_serious_for_people_who_cannot_see_or_point(daemon: TestDaemon, tiny: str) -> None:
    if not any(guest["vmid"] == 160 for guest in daemon.get("/cluster/resources", type="vm")):
        daemon.create(160, tiny, name="seen", tags="a;b")
    with visit(daemon) as found:
        found.log_in()
        faults: list[str] = []
        for place in PLACES:
            found.go(place)
            found.page.locator(".view h2, .view [role=grid]").first.wait_for()
            faults += [f"{place} {fault}" for fault in found.faults_in_both_schemes()]
        found.page.get_by_role("button", name="New guest").click()
        found.page.get_by_role("dialog").get_by_label("Name").wait_for()
        faults += [f"new guest: {fault}" for fault in found.faults_in_both_schemes()]
    assert not faults, "\n".join(faults)
