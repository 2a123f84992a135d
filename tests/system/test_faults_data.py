"""kill -9 of the daemon at each step of moving and growing a disk that a running guest reads and writes: what the guest
had written is there afterwards, by checksum, and the image is sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import TestDaemon, test_daemon
from support.faults import ask_and_die, check_image, task_rows, wait_idle

FILE = "/data/f"
PHASES = ("before-effect", "after-effect")
MOVE = ["volume-allocate", "disk-mirror", "disk-switch", "volume-free"]
POINTS = [
    *(("move", f"{step}:{phase}") for step in MOVE for phase in PHASES),
    *(("move", f"disk-switch:{moment}") for moment in ("paused", "written")),
    *(("resize", f"{step}:{phase}") for step in ("disk-resize", "config-put") for phase in PHASES),
]


@pytest.fixture(scope="module")
def house(tiny_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        image = daemon.add_image(tiny_image)
        place = daemon.data / "other"
        daemon.post("/storage", storage="other", type="dir", path=str(place), content="images")
        daemon.create(100, image)
        daemon.task("POST", f"{daemon.qemu}/100/status/start")
        daemon.wait_agent(100)
        yield daemon
        daemon.restart()
        daemon.task("POST", f"{daemon.qemu}/100/status/stop")
        check_image(image_of(daemon))


def image_of(daemon: TestDaemon) -> Path:
    storage, _, name = disk(daemon).partition(",")[0].partition(":")
    return (daemon.data / ("other" if storage == "other" else "storage")) / "images" / name


def disk(daemon: TestDaemon) -> str:
    return str(daemon.get(f"{daemon.qemu}/100/config")["scsi0"])


def written(daemon: TestDaemon) -> str:
    """The checksum of what the guest has just written and flushed."""
    script = f"head -c 2048k /dev/urandom > {FILE}; sync; md5sum {FILE}"
    return daemon.run(100, "/bin/sh", "-c", script).split()[0]


def found(daemon: TestDaemon) -> str:
    """The checksum of what is on its disk."""
    script = f"sync; echo 3 > /proc/sys/vm/drop_caches; md5sum {FILE}"
    return daemon.run(100, "/bin/sh", "-c", script).split()[0]


def ask(daemon: TestDaemon, verb: str) -> Any:
    if verb == "resize":
        return daemon.put(f"{daemon.qemu}/100/resize", disk="scsi0", size="+1M")
    where = "local" if disk(daemon).startswith("other:") else "other"
    return daemon.post(f"{daemon.qemu}/100/move_disk", disk="scsi0", storage=where, delete=1)


@pytest.mark.parametrize(("verb", "point"), POINTS)
def test_what_the_guest_wrote_is_there(house: TestDaemon, verb: str, point: str) -> None:
    sum, before = written(house), disk(house)
    pid = house.qemu_pids()[100]
    house.crash_at(point)
    ask_and_die(house, lambda: ask(house, verb))
    house.start()
    wait_idle(house, 60)
    assert house.qemu_pids() == {100: pid} and house.status(100)["qmpstatus"] == "running"
    kind = "qmmove" if verb == "move" else "resize"
    assert task_rows(house, kind, "100")[0]["status"] == "OK", "it goes on where it was"
    assert disk(house) != before
    assert found(house) == sum
    assert written(house) == found(house), "and it can be written to"
    images = [*(house.data / "storage/images").rglob("*disk*"), *(house.data / "other").rglob("*disk*")]
    assert images == [image_of(house)], "nothing is left over"
