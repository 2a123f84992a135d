"""Uploads from the page: over a killed daemon, over a page that was loaded again, and given up."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from support.browser import Visit, visit
from support.daemon import TestDaemon, eventually

pytestmark = pytest.mark.usefixtures("one_browser")

SIZE = 24 << 20
SLOW = 4 << 20  # bytes a second


@pytest.fixture
def page(daemon: TestDaemon) -> Iterator[Visit]:
    with visit(daemon) as found:
        found.log_in()
        found.refusals = True
        found.go("#/storage/local")
        yield found
        # A connection that breaks is told by the browser itself.
        found.complaints[:] = [one for one in found.complaints if "net::ERR" not in one and "WebSocket" not in one]


def _file(tmp_path: Path, name: str) -> Path:
    file = tmp_path / name
    file.write_bytes(random.Random(name).randbytes(SIZE))
    return file


def _slow(page: Visit, rate: int) -> None:
    session = page.page.context.new_cdp_session(page.page)
    session.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate}
    session.send("Network.emulateNetworkConditions", conditions)


def _begun(page: Visit, name: str) -> Locator:
    """The line of an upload of which a part is there."""
    line = page.page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text=name)
    bar = line.get_by_role("progressbar")
    eventually(lambda: 0 < float(bar.get_attribute("aria-valuenow") or 0) < 100)
    return line


def _whole(daemon: TestDaemon, file: Path) -> None:
    there = daemon.data / "storage/template/iso" / file.name
    eventually(there.exists)
    assert hashlib.sha256(there.read_bytes()).digest() == hashlib.sha256(file.read_bytes()).digest()


def test_an_upload_goes_on_after_the_daemon_was_killed(page: Visit, daemon: TestDaemon, tmp_path: Path) -> None:
    file = _file(tmp_path, "killed.iso")
    _slow(page, SLOW)
    page.page.get_by_label("File").set_input_files(file)
    line = _begun(page, file.name)
    port = daemon.port
    daemon.kill()
    expect(line).to_contain_text("broke off; is tried again")
    page.go("#/")  # it goes on while something else is looked at
    daemon.start(port=port)
    page.go("#/storage/local")
    _slow(page, -1)
    expect(page.page.get_by_text("local:iso/killed.iso")).to_be_visible(timeout=60_000)
    expect(page.page.get_by_role("list", name="Uploads")).to_have_count(0)
    _whole(daemon, file)


def test_the_same_file_goes_on_after_the_page_was_loaded_again(page: Visit, daemon: TestDaemon, tmp_path: Path) -> None:
    file = _file(tmp_path, "again.iso")
    _slow(page, SLOW)
    page.page.get_by_label("File").set_input_files(file)
    _begun(page, file.name)
    page.page.reload()
    line = page.page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text=file.name)
    expect(line).to_contain_text("choose the same file again to go on")
    assert not page.faults()
    at = float(line.get_by_role("progressbar").get_attribute("aria-valuenow") or 0)
    assert at > 0
    page.page.get_by_label("File").set_input_files(file)
    expect(page.page.get_by_text("local:iso/again.iso")).to_be_visible(timeout=60_000)
    _whole(daemon, file)


def test_an_upload_is_given_up(page: Visit, daemon: TestDaemon, tmp_path: Path) -> None:
    file = _file(tmp_path, "unwanted.iso")
    _slow(page, SLOW)
    page.page.get_by_label("File").set_input_files(file)
    _begun(page, file.name).get_by_role("button", name="Give up").click()
    expect(page.page.get_by_role("list", name="Uploads")).to_have_count(0)
    eventually(lambda: not list((daemon.data / "storage/template/iso").glob(".*part")))
    assert not (daemon.data / "storage/template/iso/unwanted.iso").exists()
