"""When a calendar event comes next: anybody may ask, and nobody is held up by it."""

from __future__ import annotations

from typing import Any, cast

from support.loop import attempts
from tarmac.faces.api.declare import Call
from tarmac.faces.api.endpoints.cluster.cluster import Analyze, schedule_analyze


async def test_rare_events_hold_up_nobody() -> None:
    asked = Analyze(schedule="2-29", iterations=100, starttime=1_800_000_000)
    for attempt in attempts():
        with attempt:
            rows: Any = await cast(Any, schedule_analyze)(cast(Call, None), asked)
    assert len(rows) == 100
    assert [row["utc"][:4] for row in rows[:2]] == ["2028", "2032"]
