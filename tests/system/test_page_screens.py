"""The page's screens in a real browser: what to look at, figures, templates, storages, who is told, history; and all of
them for everybody. Who may what: `test_page_access.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from support.browser import Visit, visit
from support.daemon import TestDaemon, eventually
from support.listener import listener

pytestmark = pytest.mark.usefixtures("one_browser")


@pytest.fixture
def page(daemon: TestDaemon) -> Iterator[Visit]:
    with visit(daemon) as found:
        found.log_in()
        yield found


def test_a_failed_start_is_readable_and_its_fix_is_one_click(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(100, tiny, name="too-big", freeze=1, memory=4_000_000)
    screen = page.page
    page.go("#/qemu/100")
    screen.get_by_role("toolbar").get_by_role("button", name="Start").click()
    alert = screen.get_by_role("alert")
    expect(alert).to_contain_text("not enough memory to start VM 100")
    expect(alert).to_contain_text("Why: the guests that run here and the host itself take the rest")
    expect(alert).to_contain_text("memory: 4000000 MiB")
    alert.get_by_role("button", name="Do it, then: Start").click()
    eventually(lambda: daemon.status(100)["status"] == "running")
    expect(screen.get_by_role("heading", name="100 (too-big)")).to_contain_text("paused")
    expect(alert).to_have_count(0)
    daemon.task("POST", f"{daemon.qemu}/100/status/stop")
    assert all("500" in text for text in page.complaints), "the browser tells of the refusal, and of nothing else"


def test_a_task_that_fails_later_is_told_as_well(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    """The reason comes without a click, and it stands in what is to be looked at until it is dealt with."""
    daemon.create(101, tiny, name="no-disk")
    for disk in (daemon.data / "storage/images/101").glob("*.qcow2"):
        disk.write_bytes(b"no image at all" * 100)
    screen = page.page
    page.go("#/qemu/101")
    screen.get_by_role("toolbar").get_by_role("button", name="Start").click()
    expect(screen.get_by_role("alert")).to_contain_text("Start 101 (no-disk)")
    screen.get_by_role("alert").get_by_role("button", name="Dismiss").click()
    page.go("#/")
    listed = screen.get_by_role("region", name="To look at")
    failed = listed.get_by_role("listitem").filter(has_text="Start 101")
    expect(failed.get_by_role("button", name="Start")).to_be_visible()
    failed.get_by_role("link", name="Look").click()
    expect(screen.get_by_role("heading", name="Start 101")).to_be_visible()
    expect(screen.get_by_label("Log")).not_to_be_empty()
    daemon.task("DELETE", f"{daemon.qemu}/101")


def test_the_overview_tells_what_to_look_at(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(110, tiny, name="waits", freeze=1)
    daemon.task("POST", f"{daemon.qemu}/110/status/start")
    daemon.put(f"{daemon.qemu}/110/config", bios="ovmf")
    screen = page.page
    page.go("#/")
    expect(screen.get_by_role("region", name="Totals")).to_contain_text("memory used")
    waiting = screen.get_by_role("region", name="To look at").get_by_role("listitem").filter(has_text="110 (waits)")
    waiting.get_by_role("button", name="Reboot").click()
    expect(waiting).to_contain_text("The system inside restarts.")  # what loses something asks first
    waiting.get_by_role("listitem").filter(has_text="forget").get_by_role("button", name="Do it").click()
    expect(waiting).to_have_count(0)
    assert daemon.get(f"{daemon.qemu}/110/config").get("bios") is None
    daemon.task("POST", f"{daemon.qemu}/110/status/stop")
    assert page.complaints == []


def test_figures_live_and_kept(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(120, tiny, name="measured", freeze=1)
    daemon.task("POST", f"{daemon.qemu}/120/status/start")
    screen = page.page
    page.go("#/qemu/120")
    figures = screen.get_by_role("region", name="Figures")
    cpu = figures.get_by_role("img", name=re.compile(r"^CPU\. now \d{1,3}(\.\d)? %, from \d.* to "))
    expect(cpu).to_be_visible(timeout=30_000)
    expect(cpu.locator("canvas")).to_be_visible()
    figures.get_by_text("Hour", exact=True).click()
    expect(figures.get_by_text("Highest")).to_be_visible()
    page.go("#/node/n1")
    expect(figures.get_by_role("img", name=re.compile("^Memory"))).to_be_visible(timeout=30_000)
    for span in ("Hour", "Day", "Week", "Month", "Year"):
        figures.get_by_text(span, exact=True).click()
        expect(figures.locator(".charts, .hint")).to_be_visible()
    page.go("#/storage/local/space")
    expect(screen.get_by_role("definition").filter(has_text="GiB").first).to_be_visible()
    daemon.task("POST", f"{daemon.qemu}/120/status/stop")
    assert page.complaints == []


def test_templates_show_their_clones_by_version(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(130, tiny, name="base")
    daemon.task("POST", f"{daemon.qemu}/130/template")
    daemon.task("POST", f"{daemon.qemu}/130/clone", newid=131, name="first")
    daemon.put(f"{daemon.qemu}/130/config", cores=2)
    daemon.task("POST", f"{daemon.qemu}/130/clone", newid=132, name="second")
    screen = page.page
    page.go("#/templates")
    screen.get_by_role("link", name="130 (base)").last.click()
    table = screen.get_by_role("table", name="Versions of 130 (base)")
    rows = table.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("present")
    expect(rows.nth(1)).to_contain_text("132 (second)")
    expect(rows.nth(2)).to_contain_text("older")
    expect(rows.nth(2)).to_contain_text("131 (first)")
    expect(rows.nth(2)).to_contain_text("share its blocks")
    screen.get_by_role("table", name="Templates").get_by_role("button", name="Clone").click()
    expect(screen.get_by_role("dialog")).to_contain_text("Clone 130 (base)")
    assert page.complaints == []


def test_a_storage_shows_its_space_and_what_belongs_to_nobody(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(150, tiny)
    orphan = daemon.data / "storage/images/159/vm-159-disk-0.qcow2"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(next((daemon.data / "storage/images/150").glob("*.qcow2")).read_bytes())
    screen = page.page
    page.go("#/storage/local/orphans")
    table = screen.get_by_role("table", name="Belong to nobody")
    expect(table).to_contain_text("there is no guest 159 on this node")
    table.get_by_role("checkbox", name=re.compile("vm-159-disk-0")).check()
    screen.get_by_role("button", name="Remove the chosen one").click()
    screen.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(screen.get_by_text("Every image belongs to somebody.")).to_be_visible()
    assert not orphan.exists()
    screen.get_by_role("tab", name="Space").click()
    screen.get_by_role("button", name="Change", exact=True).click()
    form = screen.get_by_role("dialog")
    form.get_by_label("Reserve").fill("99%")
    form.get_by_role("button", name="Change").click()
    eventually(lambda: "warning" in daemon.get("/nodes/n1/storage/local/status"))
    expect(screen.get_by_role("status").filter(has_text="It runs low")).to_be_visible()
    page.go("#/")
    low = screen.get_by_role("region", name="To look at").get_by_role("listitem").filter(has_text="'local' runs low")
    low.get_by_role("listitem").filter(has_text="reserve").get_by_role("button", name="Do it").click()
    eventually(lambda: daemon.get("/storage/local").get("reserve") == "1%")
    daemon.put("/storage/local", reserve="0")
    assert page.complaints == []


def test_somebody_is_told(page: Visit, daemon: TestDaemon) -> None:
    with listener() as (port, told):
        screen = page.page
        page.go("#/notifications")
        screen.get_by_role("button", name="New target").click()
        form = screen.get_by_role("dialog")
        form.get_by_label("Kind").click()
        screen.get_by_role("option", name="HTTP request").click()
        form.get_by_label("Name").fill("hook")
        form.get_by_label("URL").fill(f"http://127.0.0.1:{port}/")
        form.get_by_label("Hosts of the own network").fill("127.0.0.1")
        form.get_by_label("Body").fill('{"text": "{{ escape title }}", "key": "{{ secrets.KEY }}"}')
        form.get_by_text("All else").click()
        form.get_by_label("Secrets").fill("KEY: swordfish")
        form.get_by_role("button", name="Make the target").click()
        row = screen.get_by_role("row", name="hook")
        row.get_by_role("button", name="Send a test").click()
        expect(row.get_by_role("status")).to_contain_text("sent")
        assert len(told) == 1 and b'"text"' in told[0] and b"swordfish" in told[0]
        screen.get_by_role("button", name="New matcher").click()
        form.get_by_label("Name").fill("failures")
        form.get_by_label("Tell").click()
        screen.get_by_role("option", name="hook").click()
        form.get_by_label("Tell").press("Tab")
        form.get_by_role("button", name="Make the matcher").click()
        matcher = screen.get_by_role("table", name="Matchers").get_by_role("row").filter(has_text="failures")
        expect(matcher).to_contain_text("error")
        matcher.get_by_role("button", name="Switch off").click()
        expect(matcher).to_contain_text("off")
    matcher.get_by_role("button", name="Change").click()
    form.get_by_label("Of severity").fill("error,warning")
    form.get_by_role("button", name="Save").click()
    expect(matcher).to_contain_text("error,warning")
    row = screen.get_by_role("table", name="Targets").get_by_role("row").filter(has_text="hook")
    row.get_by_role("button", name="Change").click()
    expect(form.get_by_label("Body")).to_have_value(re.compile("escape title"))
    form.get_by_label("Body").fill("")
    form.get_by_text("All else").click()
    expect(form.get_by_label("Secrets")).to_have_value("KEY")
    form.get_by_label("Comment").fill("says nothing")
    form.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("says nothing")
    hook = daemon.get("/cluster/notifications/endpoints/webhook/hook")
    assert "body" not in hook and hook["allowed-hosts"] == ["127.0.0.1"] and hook["secret"] == ["name=KEY"]
    assert daemon.get("/cluster/notifications/matchers")[0]["target"] == ["hook"]
    assert page.complaints == []


def test_a_change_of_a_definition_is_seen_and_undone(page: Visit, daemon: TestDaemon) -> None:
    daemon.post("/pools", poolid="told", comment="before")
    daemon.put("/pools", poolid="told", comment="after")
    daemon.post("/access/users", userid="told@pve", password="a good password")
    daemon.put("/access/password", userid="told@pve", password="another password")
    screen = page.page
    page.go("#/pools/told")
    screen.get_by_role("link", name="History of told").click()
    changes = screen.get_by_role("list", name="History").get_by_role("listitem", name=re.compile("pool told$"))
    expect(changes).to_have_count(2)
    expect(changes.first).to_contain_text("root@pam")
    expect(changes.first).to_contain_text("Pool told: comment: before becomes after")
    assert not page.faults()
    changes.first.get_by_role("button", name="Undo").click()
    expect(changes).to_have_count(3)
    assert daemon.get("/pools/told")["comment"] == "before"
    page.go("#/history/password/told@pve")
    expect(screen.get_by_role("listitem").filter(has_text="no way back").first).to_be_visible()
    page.go("#/storage/local/history")
    expect(screen.get_by_role("tab", name="History")).to_have_attribute("aria-selected", "true")
    daemon.call("DELETE", "/pools", poolid="told")


PLACES = (
    "#/", "#/templates/170", "#/pools/axe", "#/notifications", "#/settings", "#/storage/local/space",
    "#/storage/local/orphans", "#/access/groups", "#/access/grants", "#/access/roles", "#/access/realms",
    "#/access/why", "#/history", "#/node/n1", "#/qemu/171",
)  # fmt: skip


@pytest.mark.parametrize("width", [1280, 360])
def test_every_screen_is_for_everybody(daemon: TestDaemon, tiny: str, width: int) -> None:
    """axe finds nothing serious, nothing hangs over the edge of a phone, the browser's console has no error."""
    if not any(guest["vmid"] == 170 for guest in daemon.get("/cluster/resources", type="vm")):
        daemon.create(170, tiny, name="base")
        daemon.task("POST", f"{daemon.qemu}/170/template")
        daemon.task("POST", f"{daemon.qemu}/170/clone", newid=171, name="made")
        daemon.post("/pools", poolid="axe")
        daemon.put("/pools", poolid="axe", vms="171", storage="local")
        daemon.post("/cluster/notifications/endpoints/sendmail", name="axe", mailto="root@localhost")
        daemon.post("/cluster/notifications/matchers", name="axe", target="axe")
        daemon.put(f"{daemon.qemu}/171/config", freeze=1)
    daemon.put("/storage/local", reserve="99%")
    with visit(daemon, width=width, height=800) as found:
        found.log_in()
        faults: list[str] = []
        for place in PLACES:
            found.go(place)
            found.page.locator(".view h2").first.wait_for()
            found.page.wait_for_load_state("networkidle") if place == "#/" else found.page.wait_for_timeout(150)
            faults += [f"{place} {fault}" for fault in found.faults_in_both_schemes()]
            hangs = found.page.evaluate("document.documentElement.scrollWidth")
            if hangs > width:
                faults.append(f"{place} is {hangs} wide")
        assert found.complaints == []
    assert not faults, "\n".join(faults)
