"""The audit trail's files: bounded, in order, searchable, and no reason to stop when the disk is full."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from tarmac.services.access.audit import Audit, Event, Wanted


def event(number: int, **given: Any) -> Event:
    return Event(
        **{"time": float(number), "user": "a@pve", "method": "PUT", "path": f"/x/{number}", "status": 200} | given
    )


async def all_of(audit: Audit, **wanted: Any) -> list[str]:
    return [found.path for found in (await audit.search(Wanted(**wanted), limit=0))[1]]


async def test_what_is_recorded_is_found_newest_first_by_another_daemon(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit")
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(audit.record(event(number)))
    audit.close()
    later = Audit(tmp_path / "audit")
    total, found = await later.search(Wanted(), start=2, limit=3)
    assert total == 50
    assert {one.path for one in (await later.search(Wanted(), limit=0))[1]} == {f"/x/{n}" for n in range(50)}
    assert len(found) == 3
    later.close()
    assert (tmp_path / "audit" / "audit.log").stat().st_mode & 0o777 == 0o600


async def test_the_trail_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    audit = Audit(tmp_path, file_bytes=1000, files=3)
    for number in range(100):
        await audit.record(event(number))
    paths = await all_of(audit)
    audit.close()
    assert paths == [f"/x/{n}" for n in range(99, 99 - len(paths), -1)]
    assert 0 < len(paths) < 100
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 4 * 1000


async def test_searching(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    await audit.record(event(1, user="b@pve", token="t", parameters={"name": "web"}))
    await audit.record(event(2, status=403, error="Permission check failed"))
    await audit.record(event(3, source="192.0.2.7"))
    assert await all_of(audit, user="b@pve") == await all_of(audit, token="t") == ["/x/1"]
    assert await all_of(audit, failed=True) == await all_of(audit, text="Permission") == ["/x/2"]
    assert await all_of(audit, source="192.0.2.7") == await all_of(audit, since=2.5) == ["/x/3"]
    assert await all_of(audit, path="/x/2", until=2) == ["/x/2"]
    assert await all_of(audit, text="web") == ["/x/1"]
    audit.close()


async def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    await audit.record(event(1))
    with (tmp_path / "audit.log").open("ab") as file:
        file.write(b'{"time": 2, "user"\n')
    await audit.record(event(3))
    assert await all_of(audit) == ["/x/3", "/x/1"]
    audit.close()


async def test_a_disk_that_takes_nothing_is_told_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_text("a file where the directory should be")
    audit = Audit(tmp_path / "audit")
    with caplog.at_level(logging.ERROR):
        await audit.record(event(1))
    audit.close()
    assert "/x/1" in caplog.text
