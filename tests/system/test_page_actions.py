"""Actions on the page: on many with an outcome for each, undone, copied for other tools, failed and put right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from support.browser import Visit, visit
from support.daemon import TestDaemon, eventually

TOO_MUCH = 4_000_000  # MiB: no machine of ours has it


@pytest.fixture
def page(daemon: TestDaemon) -> Iterator[Visit]:
    with visit(daemon) as found:
        found.log_in()
        yield found


def _choose(page: Visit, words: str, count: int) -> None:
    page.page.get_by_label("Filter").fill(words)
    expect(page.page.get_by_role("grid").get_by_role("row")).to_have_count(count)
    page.page.get_by_role("grid").press("Control+a")


def _more(page: Visit, verb: str) -> None:
    page.page.get_by_role("toolbar").get_by_role("button", name="More actions").click()
    page.page.get_by_role("menuitem", name=verb, exact=True).click()


def _config(daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    return dict(daemon.get(f"{daemon.qemu}/{vmid}/config"))


def test_many_are_started_and_what_failed_is_tried_again(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    for vmid, memory in ((210, 64), (211, 64), (212, TOO_MUCH)):
        daemon.create(vmid, tiny, name=f"bulk-{vmid}", freeze=1, memory=memory)
    page.refusals = True
    screen = page.page
    _choose(page, "bulk-", 3)
    screen.get_by_role("toolbar").get_by_role("button", name="Start").click()
    results = screen.get_by_role("region", name="Start: 3 guests")
    expect(results.get_by_role("status")).to_have_text("2 of 3 done, 1 failed")
    line = results.get_by_role("listitem").filter(has_text="212")
    expect(line).to_contain_text("failed: ")
    assert not page.faults()
    daemon.put(f"{daemon.qemu}/212/config", memory=64)
    results.get_by_role("button", name="Again the one that failed").click()
    expect(results.get_by_role("status")).to_have_text("3 of 3 done, 0 failed")
    assert all(daemon.status(vmid)["status"] == "running" for vmid in (210, 211, 212))
    _more(page, "Cut the power")
    screen.get_by_role("dialog").get_by_role("button", name="Cut the power").click()
    eventually(lambda: all(daemon.status(vmid)["status"] == "stopped" for vmid in (210, 211, 212)))


def test_many_get_and_lose_tags(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(213, tiny, name="tagged-1", tags="old;kept")
    daemon.create(214, tiny, name="tagged-2")
    screen = page.page
    _choose(page, "tagged-", 2)
    screen.get_by_role("toolbar").get_by_role("button", name="Tags").click()
    form = screen.get_by_role("dialog")
    form.get_by_role("combobox", name="Add").press_sequentially("web\n")
    form.get_by_label("old", exact=True).check()
    form.get_by_role("button", name="Save").click()
    eventually(lambda: _config(daemon, 214).get("tags") == "web")
    assert set(_config(daemon, 213)["tags"].split(";")) == {"kept", "web"}


def test_settings_of_many_show_what_they_do_to_each_and_are_taken_back(
    page: Visit, daemon: TestDaemon, tiny: str
) -> None:
    daemon.create(218, tiny, name="many-runs", freeze=1)
    daemon.create(219, tiny, name="many-stands", cores=2)
    daemon.task("POST", f"{daemon.qemu}/218/status/start")
    screen = page.page
    _choose(page, "many-", 2)
    screen.get_by_role("toolbar").get_by_role("button", name="Edit settings").click()
    form = screen.get_by_role("dialog")
    for setting, value in (("Cores", "3"), ("CPU limit", "1")):
        form.get_by_label("A setting to change").click()
        screen.get_by_role("option", name=setting, exact=True).click()
        form.get_by_role("textbox", name=setting).fill(value)
    told = form.get_by_role("listitem")
    expect(told.filter(has_text="218").filter(has_text="At reboot Cores: not set becomes 3")).to_be_visible()
    expect(told.filter(has_text="218").filter(has_text="At once CPU limit: not set becomes 1")).to_be_visible()
    expect(told.filter(has_text="219").filter(has_text="At once Cores: 2 becomes 3")).to_be_visible()
    assert "cpulimit" not in _config(daemon, 218), "looking changes nothing"
    assert not page.faults()
    form.get_by_role("button", name="Save").click()
    results = screen.get_by_role("region", name="Edit settings: 2 guests")
    expect(results.get_by_role("status")).to_have_text("2 of 2 done, 0 failed")
    assert [_config(daemon, vmid)["cores"] for vmid in (218, 219)] == [3, 3]
    screen.get_by_role("button", name="Undo").click()
    eventually(lambda: _config(daemon, 219)["cores"] == 2 and "cores" not in _config(daemon, 218))
    assert "cpulimit" not in _config(daemon, 218)
    daemon.task("POST", f"{daemon.qemu}/218/status/stop")


def test_what_was_begun_is_taken_back(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(215, tiny, name="paused")
    daemon.task("POST", f"{daemon.qemu}/215/status/start")
    page.go("#/qemu/215")
    screen = page.page
    expect(screen.get_by_role("heading", name="215 (paused)")).to_be_visible()
    screen.get_by_role("toolbar").get_by_role("button", name="Pause").click()
    eventually(lambda: daemon.status(215)["qmpstatus"] == "paused")
    screen.get_by_role("button", name="Undo").click()
    eventually(lambda: daemon.status(215)["qmpstatus"] == "running")
    daemon.task("POST", f"{daemon.qemu}/215/status/stop")


def test_a_task_is_followed_by_the_stream_and_not_asked_for(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(220, tiny, name="deaf", freeze=1)  # nobody in there hears that it should shut down
    daemon.task("POST", f"{daemon.qemu}/220/status/start")
    upid = daemon.post(f"{daemon.qemu}/220/status/shutdown", timeout=4, forceStop=1)
    screen = page.page
    page.go(f"#/tasks/{upid}")
    asked: list[str] = []
    screen.on("request", lambda request: asked.append(request.url) if "/tasks" in request.url else None)
    view = screen.locator(".task-view")
    expect(view).to_contain_text("running")
    expect(view.get_by_label("Log")).not_to_be_empty()
    expect(view.get_by_role("paragraph").first).to_contain_text("OK")
    expect(view.get_by_label("Log")).to_contain_text(daemon.task_log(upid).splitlines()[-1])
    expect(screen.get_by_role("contentinfo").get_by_role("listitem").filter(has_text="Shut down 220")).to_contain_text(
        "OK"
    )
    lists = [url for url in asked if "/tasks?" in url]
    assert not lists and len(asked) <= 4, asked


def test_a_failed_start_says_why_and_is_tried_again(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(216, tiny, name="greedy", freeze=1, memory=TOO_MUCH)
    page.refusals = True
    page.go("#/qemu/216")
    screen = page.page
    screen.get_by_role("toolbar").get_by_role("button", name="Start").click()
    alert: Locator = screen.get_by_role("alert")
    expect(alert).to_contain_text("Start 216 (greedy)")
    expect(alert).to_contain_text("Why: ")
    expect(alert).to_contain_text("stop another guest")
    expect(alert.get_by_role("button", name="Do it, then: Start: give the guest at most")).to_be_visible()
    daemon.put(f"{daemon.qemu}/216/config", memory=64)
    alert.get_by_role("button", name="Again").click()
    eventually(lambda: daemon.status(216)["status"] == "running")
    expect(alert).to_have_count(0)
    daemon.task("POST", f"{daemon.qemu}/216/status/stop")


def test_an_action_is_copied_for_other_tools(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(217, tiny, name="copied")
    page.go("#/qemu/217")
    screen = page.page
    expected = {
        "Command line": "tarmac vm start 217",
        "curl": "/api2/json/nodes/n1/qemu/217/status/start",
        "Terraform": 'resource "proxmox_virtual_environment_vm" "copied"',
        "Ansible": "community.proxmox.proxmox_kvm",
    }
    for tool, text in expected.items():
        _more(page, "Copy as\u2026")
        dialog = screen.get_by_role("dialog")
        dialog.get_by_text(tool, exact=True).click()
        expect(dialog.get_by_label("Text")).to_contain_text(text)
        dialog.get_by_role("button", name="Copy", exact=True).click()
        eventually(lambda text=text: text in screen.evaluate("navigator.clipboard.readText()"))
    assert not page.faults()
    daemon.task("POST", f"{daemon.qemu}/217/status/start")
    _more(page, "Copy as\u2026")
    dialog = screen.get_by_role("dialog")
    dialog.get_by_label("Action").click()
    screen.get_by_role("option", name="Reset").click()
    dialog.get_by_text("Terraform", exact=True).click()
    expect(dialog.get_by_role("status")).to_have_text("Terraform has no form for \u201cReset\u201d.")
    daemon.task("POST", f"{daemon.qemu}/217/status/stop")


def test_the_help_knows_the_keys_of_the_registry(page: Visit) -> None:
    page.page.keyboard.press("?")
    help_ = page.page.get_by_role("dialog")
    for key, what in (("s", "Start"), ("Shift+S", "Shut down"), ("p", "Snapshot"), ("n", "Clone"), ("t", "Tags")):
        expect(help_.get_by_text(what, exact=True)).to_be_visible()
        expect(help_.get_by_text(key, exact=True).first).to_be_visible()
