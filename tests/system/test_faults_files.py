"""The daemon killed, or the task cancelled, while a file comes in: by upload, by download, by building it."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import PHASES, ask_and_die, assert_whole, eventually, task_rows, upload, wait_idle
from support.file_server import HOST, FileServer, file_server
from support.images import cache_directory

INTERRUPTED = "interrupted by a restart of the daemon"
BODY = os.urandom(3 << 20)
SMALL_BUILD = "import/tiny.qcow2"


@dataclass(frozen=True)
class Coming:
    """How a file comes in. `ask` starts it and returns the task; `done` says whether `name` is there, whole."""

    kind: str
    steps: tuple[str, ...]
    ask: Callable[[TestDaemon, FileServer, str], Any]
    done: Callable[[TestDaemon, str], bool]
    resumed: bool = False
    """Whether a cut-off task always goes on."""


def ask_download(daemon: TestDaemon, server: FileServer, name: str, *, at: str = "body.iso") -> Any:
    path = f"/nodes/{daemon.node}/storage/local/download-url"
    return daemon.post(path, content="iso", filename=name, url=f"{server.base}/{at}")


def ask_download_image(daemon: TestDaemon, server: FileServer, name: str) -> Any:
    path = f"/nodes/{daemon.node}/storage/local/download-url"
    return daemon.post(path, content="import", filename=f"{name}.qcow2", url=f"{server.base}/small.qcow2")


def ask_upload(daemon: TestDaemon, server: FileServer, name: str) -> Any:
    return upload(daemon, name, BODY)


def ask_build(daemon: TestDaemon, server: FileServer, name: str) -> Any:
    return daemon.post(f"/nodes/{daemon.node}/image-build", name="tiny")


def whole_iso(daemon: TestDaemon, name: str) -> bool:
    """Whether it is there; if so, it is whole."""
    path = daemon.data / "storage/template/iso" / name
    if path.exists():
        assert path.read_bytes() == BODY
    return path.exists()


def has_import(daemon: TestDaemon, name: str) -> bool:
    return (daemon.data / "storage/import" / f"{name}.qcow2").exists()


def has_tiny(daemon: TestDaemon, name: str) -> bool:
    return has_import(daemon, "tiny")


DOWNLOAD_STEPS = ("download-fetch", "download-finish")
COMING = {
    "download": Coming("download", DOWNLOAD_STEPS, ask_download, whole_iso),
    "download-image": Coming("download", DOWNLOAD_STEPS, ask_download_image, has_import),
    "upload": Coming("imgcopy", ("upload-finish",), ask_upload, whole_iso, resumed=True),
    "build": Coming("imgbuild", ("image-build", "image-finish"), ask_build, has_tiny),
}


@pytest.fixture(scope="module")
def server(small_image: Path) -> Iterator[FileServer]:
    with file_server() as served:
        served.files = {"body.iso": BODY, "small.qcow2": small_image.read_bytes()}
        yield served


@pytest.fixture(scope="module")
def directory(tiny_image: Path) -> Iterator[TestDaemon]:
    """One data directory, in which a build finds the packages of the build before."""
    with test_daemon() as daemon:
        packages = cache_directory() / "work-tiny/cache"
        if packages.exists():
            shutil.copytree(packages, daemon.data / "cache/images/tiny/cache")
        daemon.put("/storage/local", **{"download-hosts": HOST})
        yield daemon


@pytest.fixture
def site(directory: TestDaemon) -> Iterator[TestDaemon]:
    directory.restart()
    yield directory
    directory.end()


def assert_nothing_left(daemon: TestDaemon) -> None:
    """No temporary file, no scratch directory, no tool, no place in a queue."""
    assert_whole(daemon)
    assert not list((daemon.data / "cache/images").glob("*/build-*"))
    assert not list((daemon.data / "storage").rglob("*.partial"))
    eventually(lambda: not tools_of(daemon), f"no tool of it runs: {tools_of(daemon)}")


def tools_of(daemon: TestDaemon) -> list[str]:
    """The processes that work on this daemon's files, the daemon itself and guests left out."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            words = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            here = os.readlink(proc / "cwd")
        except OSError:
            continue
        if str(daemon.data) in f"{words} {here}/" and " serve " not in words and "qemu-system" not in words:
            found.append(words)
    return found


def remove_files(daemon: TestDaemon) -> None:
    for place in ("template/iso", "import"):
        for path in (daemon.data / "storage" / place).iterdir():
            path.unlink()


def crash_points(steps: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every point at which the journal differs: `before-intent` of a step is `after-result` of the last."""
    return [p for p in itertools.product(steps, PHASES) if p == (steps[0], PHASES[0]) or p[1] != PHASES[0]]


@pytest.mark.parametrize("how", COMING)
def test_a_crash_anywhere_leaves_the_whole_file_or_nothing(site: TestDaemon, server: FileServer, how: str) -> None:
    coming = COMING[how]
    for number, (step, phase) in enumerate(crash_points(coming.steps)):
        name, where = f"file-{number}.iso", f"{how} killed at {step}:{phase}"
        site.crash_at(f"{step}:{phase}")
        ask_and_die(site, lambda name=name: coming.ask(site, server, name))  # type: ignore[misc]
        site.restart()
        wait_idle(site, 60)
        assert_nothing_left(site)
        status = task_rows(site, coming.kind)[0]["status"]
        assert status == ("OK" if coming.done(site, name) else INTERRUPTED), where
        # The end of a step and the beginning of the next one are one write.
        committed = step.endswith("-finish") or phase == "after-result"
        assert (status == "OK") == (committed or coming.resumed), where
        if status != "OK" and how != "build":
            assert site.wait_task(coming.ask(site, server, name))["exitstatus"] == "OK", f"once more: {where}"
        remove_files(site)


def test_a_crash_in_the_middle_of_a_download(site: TestDaemon, server: FileServer) -> None:
    server.go_on.clear()
    server.waiting.clear()
    upid = ask_download(site, server, "half.iso", at="slow/body.iso")
    assert server.waiting.wait(30)
    eventually(lambda: bool(list((site.data / "storage/template/iso").glob(".*.part"))), "it comes in")
    site.kill()
    server.go_on.set()
    site.start()
    assert site.wait_task(upid)["exitstatus"] == INTERRUPTED
    assert not whole_iso(site, "half.iso")
    assert_nothing_left(site)


def test_a_crash_in_the_middle_of_a_build(site: TestDaemon, server: FileServer) -> None:
    """A tool that runs at that moment ends, too."""
    upid = ask_build(site, server, "")
    eventually(lambda: "packing the kernel" in site.task_log(upid) and bool(tools_of(site)), "a tool runs", 120)
    site.kill()
    eventually(lambda: not tools_of(site), "the tools have ended")
    site.start()
    assert site.wait_task(upid)["exitstatus"] == INTERRUPTED
    assert not has_tiny(site, "")
    assert_nothing_left(site)


def test_a_download_is_cancelled(site: TestDaemon, server: FileServer) -> None:
    server.go_on.clear()
    server.waiting.clear()
    upid = ask_download(site, server, "cancelled.iso", at="slow/body.iso")
    assert server.waiting.wait(30)
    site.delete(f"/nodes/{site.node}/tasks/{upid}")
    status = site.wait_task(upid, 30)
    server.go_on.set()
    assert status["exitstatus"] == "interrupted by signal"
    assert not whole_iso(site, "cancelled.iso")
    assert_nothing_left(site)
    assert site.wait_task(ask_download(site, server, "cancelled.iso"))["exitstatus"] == "OK"
    remove_files(site)


@pytest.mark.parametrize("moment", ["fetching packages", "packing the kernel", "writing the disk"])
def test_a_build_is_cancelled(site: TestDaemon, server: FileServer, moment: str) -> None:
    """An image of the same name that was there before stays as it was."""
    before = site.data / "storage" / SMALL_BUILD
    before.parent.mkdir(exist_ok=True)
    before.write_bytes(b"the image of before")
    upid = ask_build(site, server, "")
    eventually(lambda: moment in site.task_log(upid), moment, 120)
    site.delete(f"/nodes/{site.node}/tasks/{upid}")
    assert site.wait_task(upid, 30)["exitstatus"] == "interrupted by signal"
    assert before.read_bytes() == b"the image of before"
    assert_nothing_left(site)
    remove_files(site)


def test_a_build_replaces_what_was_there(site: TestDaemon, server: FileServer) -> None:
    before = site.data / "storage" / SMALL_BUILD
    before.write_bytes(b"the image of before")
    assert site.wait_task(ask_build(site, server, ""))["exitstatus"] == "OK"
    assert before.read_bytes()[:4] == b"QFI\xfb"
    assert_nothing_left(site)
    remove_files(site)


def test_a_wrong_checksum_leaves_nothing(site: TestDaemon, server: FileServer) -> None:
    path = f"/nodes/{site.node}/storage/local/download-url"
    wrong = {"checksum": hashlib.sha256(b"another").hexdigest(), "checksum-algorithm": "sha256"}
    upid = site.post(path, content="iso", filename="wrong.iso", url=f"{server.base}/body.iso", **wrong)
    assert "checksum mismatch" in site.wait_task(upid)["exitstatus"]
    with pytest.raises(ApiError):
        site.get(f"/nodes/{site.node}/storage/local/content/local:iso/wrong.iso")
    assert_nothing_left(site)
