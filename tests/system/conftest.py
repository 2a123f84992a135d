"""Shared daemons: one for tests that only use it, fresh ones for tests that break it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import obliging_guest
from support.daemon import TestDaemon, test_daemon


@pytest.fixture(scope="module")
def daemon() -> Iterator[TestDaemon]:
    """One daemon for a module's tests."""
    with test_daemon() as running:
        yield running


@pytest.fixture(scope="module")
def tiny(daemon: TestDaemon, tiny_image: Path) -> str:
    """The tiny image as a volume of the module's daemon."""
    return daemon.add_image(tiny_image)


@pytest.fixture(scope="module")
def one_browser() -> Iterator[None]:
    """The pages that a module's tests visit share a browser."""
    from support import browser  # what it takes to load is for those who look at pages

    with browser.one_browser():
        yield


@pytest.fixture(scope="session")
def small_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 1 MiB with nothing bootable on it, for tests that never run the guest's processor."""
    path = tmp_path_factory.mktemp("small") / "small.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"], check=True)
    return path


@pytest.fixture(scope="session")
def obliging_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guest of one sector that answers the power button and lets go of devices."""
    return obliging_guest.make_image(tmp_path_factory.mktemp("obliging") / "obliging.qcow2")
