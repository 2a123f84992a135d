"""A guest's settings on the page: changed in their place, with what the server says each change does and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from support.browser import Visit, visit
from support.daemon import TestDaemon, eventually

pytestmark = pytest.mark.usefixtures("one_browser")


@pytest.fixture
def page(daemon: TestDaemon) -> Iterator[Visit]:
    with visit(daemon) as found:
        found.log_in()
        yield found


def _config(daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    return dict(daemon.get(f"{daemon.qemu}/{vmid}/config", current=1))


def _command_line(daemon: TestDaemon, vmid: int) -> str:
    return Path(f"/proc/{daemon.qemu_pids()[vmid]}/cmdline").read_text()


def _line(page: Visit, name: str) -> Locator:
    return page.page.get_by_role("listitem", name=name, exact=True)


def _open(page: Visit, name: str, verb: str = "Change") -> Locator:
    line = _line(page, name)
    line.get_by_role("button", name=verb).first.click()
    return line.get_by_role("form")


def test_a_change_shows_its_plan_first_and_is_undone(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(200, tiny, name="changed")
    page.go("#/qemu/200/hardware")
    form = _open(page, "Memory")
    form.get_by_label("Memory").fill("192")
    expect(form.get_by_label("What will happen")).to_contain_text("At once Memory: 128 becomes 192")
    assert _config(daemon, 200)["memory"] == "128", "looking changes nothing"
    form.get_by_role("button", name="Save").click()
    expect(_line(page, "Memory")).to_contain_text("192 MiB")
    assert _config(daemon, 200)["memory"] == "192"
    page.page.get_by_role("button", name="Undo").click()
    expect(_line(page, "Memory")).to_contain_text("128 MiB")
    assert _config(daemon, 200)["memory"] == "128"


def test_what_a_running_guest_cannot_be_given_waits_and_can_be_given_up(
    page: Visit, daemon: TestDaemon, tiny: str
) -> None:
    daemon.create(201, tiny, name="waiting", freeze=1)
    daemon.task("POST", f"{daemon.qemu}/201/status/start")
    try:
        page.go("#/qemu/201/hardware")
        form = _open(page, "Cores")
        form.get_by_label("Cores").fill("2")
        expect(form.get_by_label("What will happen")).to_contain_text("At reboot Cores: not set becomes 2")
        form.get_by_role("button", name="Save").click()
        expect(_line(page, "Cores")).to_contain_text("At reboot 2")
        _line(page, "Cores").get_by_role("button", name="Revert").click()
        expect(_line(page, "Cores")).not_to_contain_text("At reboot")
        assert not any("pending" in row for row in daemon.get(f"{daemon.qemu}/201/pending"))
        page.go("#/qemu/201/options")
        form = _open(page, "Tags")
        form.get_by_role("combobox", name="Tags").press_sequentially("web\n")
        expect(form.get_by_label("What will happen")).to_contain_text("At once Tags: not set becomes web")
        form.get_by_role("button", name="Save").click()
        eventually(lambda: _config(daemon, 201).get("tags") == "web")

        page.go("#/qemu/201/hardware")
        form = _open(page, "Chipset")
        form.get_by_label("type").fill("q35")
        expect(form.get_by_label("What will happen")).to_contain_text("At reboot Chipset: not set becomes q35")
        form.get_by_role("button", name="Save").click()
        expect(_line(page, "Chipset")).to_contain_text("At reboot q35")
        assert "q35" not in _command_line(daemon, 201), "the guest still runs on what it was started with"
        daemon.task("POST", f"{daemon.qemu}/201/status/stop")
        daemon.task("POST", f"{daemon.qemu}/201/status/start")
        expect(_line(page, "Chipset")).not_to_contain_text("At reboot")
        expect(_line(page, "Chipset")).to_contain_text("q35")
        assert "q35" in _command_line(daemon, 201)
    finally:
        daemon.task("POST", f"{daemon.qemu}/201/status/stop")


def test_what_needs_a_stop_is_said_before_and_done_between_a_shutdown_and_a_start(
    page: Visit, daemon: TestDaemon, tiny: str
) -> None:
    daemon.create(207, tiny, name="deaf", freeze=1)
    daemon.create(208, tiny, name="hears", agent=1)
    for vmid in (207, 208):
        daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    screen = page.page
    try:
        page.go("#/qemu/207/hardware")
        form = _open(page, "Disk (scsi0)", "Give away")
        form.get_by_label("Number of the other guest").fill("208")
        form.get_by_label("What it is called there").fill("scsi5")
        expect(form.get_by_label("What will happen")).to_contain_text("Needs a stop Disk (scsi0)")
        expect(form.get_by_label("What will happen")).to_contain_text("the guest has it open")
        expect(form.get_by_role("button", name="Give away", exact=True)).to_be_disabled()
        form.get_by_label("Time to shut down, s").fill("1")
        form.get_by_role("button", name="Shut down, apply, start again").click()
        expect(form).to_contain_text("The guest did not shut down in time. Nothing was changed.", timeout=60_000)
        expect(form).to_contain_text("Give away: not done")
        assert daemon.status(207)["status"] == "running" and "scsi0" in _config(daemon, 207)
        assert not page.faults()

        daemon.wait_agent(208)
        page.go("#/qemu/208/hardware")
        screen.get_by_role("button", name="More actions").first.click()
        screen.get_by_role("menuitem", name="Make it a template").click()
        dialog = screen.get_by_role("dialog")
        expect(dialog.get_by_label("What will happen")).to_contain_text("Needs a stop")
        expect(dialog.get_by_role("button", name="Shut down, then apply")).to_be_visible()
        expect(dialog.get_by_role("button", name="Make it a template", exact=True)).to_be_disabled()
        screen.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        form = _open(page, "Memory")
        form.get_by_label("Memory").fill("160")
        expect(form.get_by_label("What will happen")).to_contain_text("At reboot Memory: 128 becomes 160")
        form.get_by_role("button", name="Shut down, apply, start again").click()
        expect(_line(page, "Memory").get_by_role("form")).to_have_count(0, timeout=60_000)
        assert _config(daemon, 208)["memory"] == "160" and daemon.status(208)["status"] == "running"
        assert "\0-m\000160\0" in _command_line(daemon, 208)
    finally:
        for vmid in (207, 208):
            daemon.task("POST", f"{daemon.qemu}/{vmid}/status/stop")


def test_disks_and_media_and_cards(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(202, tiny, name="disks")
    screen = page.page
    page.go("#/qemu/202/hardware")
    screen.get_by_role("button", name="Add", exact=True).click()
    screen.get_by_role("menuitem", name="Disk", exact=True).click()
    form = screen.get_by_role("form", name="Disk")
    form.get_by_label("Size, GiB").fill("1")
    expect(form.get_by_label("What will happen")).to_contain_text("scsi1")
    form.get_by_role("button", name="Add").click()
    expect(_line(page, "Disk (scsi1)")).to_contain_text("size=1G")
    form = _open(page, "Disk (scsi1)", "Grow")
    form.get_by_label("By how much, GiB").fill("2")
    expect(form.get_by_label("What will happen")).to_contain_text("from 1.00 GiB to 3.00 GiB")
    form.get_by_role("button", name="Grow").click()
    expect(_line(page, "Disk (scsi1)")).to_contain_text("size=3G")
    form = _open(page, "Disk (scsi1)")
    form.get_by_label("discard").click()
    screen.get_by_role("option", name="on", exact=True).click()
    form.get_by_role("button", name="Save").click()
    expect(_line(page, "Disk (scsi1)")).to_contain_text("discard=on")
    _open(page, "Disk (scsi1)", "Detach").get_by_role("button", name="Detach").click()
    form = _open(page, "Unused volume (unused0)", "Remove")
    expect(form.get_by_label("What will happen")).to_contain_text("is removed and lost")
    form.get_by_role("button", name="Remove").click()
    expect(_line(page, "Unused volume (unused0)")).to_have_count(0)

    screen.get_by_role("button", name="Add", exact=True).click()
    screen.get_by_role("menuitem", name="CD-ROM drive").click()
    screen.get_by_role("form", name="CD-ROM drive").get_by_role("button", name="Add").click()
    expect(_line(page, "Disk (ide0)")).to_contain_text("none,media=cdrom")
    expect(screen.get_by_role("form", name="CD-ROM drive")).to_have_count(0)
    screen.get_by_role("button", name="Add", exact=True).click()
    screen.get_by_role("menuitem", name="Network card").click()
    form = screen.get_by_role("form", name="Network card")
    expect(form.get_by_label("What will happen")).to_contain_text("net0")
    form.get_by_role("button", name="Add").click()
    expect(_line(page, "Network card (net0)")).to_contain_text("virtio=")

    form = _open(page, "Boot order")
    form.get_by_label("net0", exact=True).check()
    form.get_by_role("button", name="net0 earlier").click()
    form.get_by_role("button", name="Save").click()
    eventually(lambda: _config(daemon, 202).get("boot") == "order=net0;scsi0")
    assert not page.faults()


def test_a_wrong_value_is_refused_before_it_is_sent_off(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(203, tiny, name="wrong")
    page.refusals = True
    page.go("#/qemu/203/options")
    form = _open(page, "Name")
    form.get_by_label("Name").fill("not a name!")
    expect(form.get_by_role("alert")).to_contain_text("name")
    expect(form.get_by_role("button", name="Save")).to_be_disabled()
    page.page.keyboard.press("Escape")
    expect(form).to_have_count(0)


def test_cloud_init_is_edited(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(204, tiny, name="cloudy", ide2="local:cloudinit", net0="virtio")
    page.refusals = True
    screen = page.page
    page.go("#/qemu/204/cloudinit")
    form = _open(page, "User")
    form.get_by_label("User").fill("ann")
    form.get_by_role("button", name="Save").click()
    form = _open(page, "SSH keys")
    form.get_by_label("SSH keys").fill(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5Jp7mUE0rQXkXK5m4wM0f5WJ7i8fCTlQ5PpFsXz0XU ann"
    )
    form.get_by_role("button", name="Save").click()
    form = _open(page, "Password")
    form.get_by_label("Password", exact=True).fill("a good password")
    form.get_by_role("button", name="Save").click()
    expect(_line(page, "Password")).to_contain_text("*****")
    form = _open(page, "Addresses (ipconfig0)")
    form.get_by_label("ip", exact=True).fill("dhcp")
    form.get_by_role("button", name="Save").click()
    eventually(lambda: _config(daemon, 204).get("ipconfig0") == "ip=dhcp")
    config = _config(daemon, 204)
    assert config["ciuser"] == "ann" and config["sshkeys"].startswith("ssh-ed25519%20AAAA")
    expect(screen.get_by_role("region", name="The medium")).to_contain_text("not on the medium yet")
    screen.get_by_role("button", name="Write it anew").click()
    expect(screen.get_by_role("region", name="The medium")).to_contain_text("says what is set here")

    text = screen.get_by_role("textbox", name="User data")
    expect(text).to_have_value(re.compile("#cloud-config"))
    text.fill("#cloud-config\nusers: [")
    screen.get_by_role("button", name="Use this text").click()
    expect(screen.get_by_role("region", name="Documents").get_by_role("alert")).to_be_visible()
    text.fill("#cloud-config\nhostname: own\n")
    screen.get_by_role("button", name="Use this text").click()
    expect(screen.get_by_role("button", name="Back to the generated one")).to_be_visible()
    assert daemon.get(f"{daemon.qemu}/204/cloudinit/documents") == {"user": "#cloud-config\nhostname: own\n"}
    screen.get_by_role("button", name="Back to the generated one").click()
    eventually(lambda: daemon.get(f"{daemon.qemu}/204/cloudinit/documents") == {})
    assert not page.faults()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forms_on_a_phone(daemon: TestDaemon, tiny: str, scheme: str) -> None:
    if not any(guest["vmid"] == 205 for guest in daemon.get("/cluster/resources", type="vm")):
        daemon.create(205, tiny, name="narrow")
    with visit(daemon, width=360, height=740, scheme=scheme) as found:
        found.log_in()
        found.go("#/qemu/205/hardware")
        form = _open(found, "Disk (scsi0)")
        expect(form.get_by_label("cache")).to_be_visible()
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert not found.faults()


def test_the_history_shows_who_changed_what_and_goes_back(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(206, tiny, name="kept-all", cores=1)
    daemon.put(f"{daemon.qemu}/206/config", cores=2)
    daemon.put(f"{daemon.qemu}/206/config", cores=3, onboot=1)
    screen = page.page
    page.go("#/qemu/206/history")
    versions = screen.get_by_role("list", name="History").get_by_role("listitem", name=re.compile("^Version"))
    expect(versions).to_have_count(3)
    expect(versions.first).to_contain_text("Cores: 2 becomes 3")
    expect(versions.first).to_contain_text("root@pam")
    oldest = versions.last
    oldest.get_by_role("button", name="Compare with now").click()
    expect(oldest.get_by_role("region", name="Compare with now")).to_contain_text("Cores: 1 becomes 3")
    oldest.get_by_role("button", name="Go back").click()
    form = oldest.get_by_role("form")
    expect(form.get_by_label("What will happen")).to_contain_text("Cores: 3 becomes 1")
    form.get_by_role("button", name="Go back").click()
    expect(versions).to_have_count(4)
    assert _config(daemon, 206)["cores"] == 1
    assert not page.faults()
