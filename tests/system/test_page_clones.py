"""Clones, instant clones, snapshots and the way back, on the page of a real daemon with real guests."""

from __future__ import annotations

from collections.abc import Iterator

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


def _names(daemon: TestDaemon) -> set[str]:
    return {guest["name"] for guest in daemon.get("/cluster/resources", type="vm")}


def test_full_clones_of_a_guest(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(220, tiny, name="source")
    page.go("#/qemu/220")
    screen = page.page
    expect(screen.get_by_role("heading", name="220 (source)")).to_be_visible()
    screen.keyboard.press("n")
    form = screen.get_by_role("dialog")
    form.get_by_label("How many").fill("2")
    form.get_by_role("button", name="Clone").click()
    expect(form.get_by_role("region", name="Clones")).to_contain_text("OK")
    assert {"source-1", "source-2"} <= _names(daemon)


def test_instant_clones_with_a_stopwatch(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(221, tiny, name="live", instant=1, net0="virtio")
    daemon.task("POST", f"{daemon.qemu}/221/status/start")
    daemon.wait_agent(221)
    page.go("#/qemu/221")
    screen = page.page
    screen.get_by_role("toolbar").get_by_role("button", name="More actions").click()
    screen.get_by_role("menuitem", name="Freeze into a live template").click()
    screen.get_by_role("dialog").get_by_role("button", name="Freeze into a live template").click()
    eventually(lambda: daemon.status(221).get("live") == 1)
    expect(screen.get_by_role("heading", name="221 (live)")).to_contain_text("template")
    screen.get_by_role("toolbar").get_by_role("button", name="Clone").click()
    form = screen.get_by_role("dialog")
    expect(form.get_by_text("Instant", exact=True)).to_be_visible()
    form.get_by_role("button", name="Clone").click()
    clones = form.get_by_role("region", name="Clones")
    expect(clones).to_contain_text("OK")
    expect(clones.get_by_role("timer")).to_contain_text(" s")
    made = next(guest for guest in daemon.get("/cluster/resources", type="vm") if guest["name"] == "live")
    assert made
    new = [guest for guest in daemon.get("/cluster/resources", type="vm") if guest["vmid"] not in (220, 221)]
    running = [guest["vmid"] for guest in new if guest["status"] == "running"]
    assert len(running) == 1
    daemon.task("POST", f"{daemon.qemu}/{running[0]}/status/stop")


def test_a_snapshot_and_the_way_back(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(222, tiny, name="kept")
    screen = page.page
    page.go("#/qemu/222/snapshots")
    expect(screen.get_by_role("heading", name="222 (kept)")).to_be_visible()
    screen.keyboard.press("p")
    form = screen.get_by_role("dialog")
    form.get_by_label("Name").fill("first")
    form.get_by_role("button", name="Take it").click()
    row = screen.get_by_role("row", name="first")
    expect(row).to_be_visible()
    daemon.put(f"{daemon.qemu}/222/config", memory=192)
    row.get_by_role("button", name="Go back").click()
    dialog = screen.get_by_role("dialog")
    expect(dialog.get_by_label("What will happen").get_by_role("listitem").first).to_be_visible()
    dialog.get_by_role("button", name="Go back").click()
    eventually(lambda: daemon.get(f"{daemon.qemu}/222/config")["memory"] == "128")
    daemon.put(f"{daemon.qemu}/222/config", memory=160)
    row.get_by_role("button", name="Clone").click()
    form = screen.get_by_role("dialog", name="Clone 222 (kept) as at first")
    form.get_by_label("Name").fill("twin")
    form.get_by_role("button", name="Clone").click()
    expect(form.get_by_role("region", name="Clones")).to_contain_text("OK")
    form.get_by_role("button", name="Close", exact=True).last.click()
    (twin,) = [one["vmid"] for one in daemon.get("/cluster/resources", type="vm") if one.get("name") == "twin"]
    assert daemon.get(f"{daemon.qemu}/{twin}/config")["memory"] == "128"
    assert not page.faults()
    row.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove it").click()
    expect(row).to_have_count(0)
