"""When a scheduled snapshot is due, and which are kept."""

from __future__ import annotations

import datetime
from datetime import datetime as at

from tarmac.model.schedule import Rules, is_due, selects, slot, snapshot_name, surplus, time_of

NOW = at(2026, 11, 28, 15, 37, 12)  # a Saturday


def rules(hourly: int = 0, daily: int = 0, weekly: int = 0, **more: object) -> Rules:
    return Rules(keep_hourly=hourly, keep_daily=daily, keep_weekly=weekly, **more)


def names(*times: datetime.datetime) -> list[str]:
    return [snapshot_name("night", time) for time in times]


def test_the_finest_rule_makes_the_slot() -> None:
    assert slot(rules(1, 1, 1), NOW) == at(2026, 11, 28, 15)
    assert slot(rules(0, 1, 1), NOW) == at(2026, 11, 28)
    assert slot(rules(0, 0, 1), NOW) == at(2026, 11, 23)
    assert slot(rules(), NOW) is None


def test_what_was_missed_is_due_once() -> None:
    week_ago = NOW - datetime.timedelta(days=7)
    assert is_due(rules(1), slot(rules(1), week_ago), NOW)
    assert not is_due(rules(1), slot(rules(1), NOW), NOW)
    assert not is_due(rules(1), slot(rules(1), NOW), week_ago), "a clock that goes back"
    assert not is_due(rules(1, enabled=False), None, NOW)


def test_names_tell_their_time() -> None:
    assert names(at(2026, 11, 28)) == ["night-20261128-0000"]
    assert time_of("night-20261128-0000") == at(2026, 11, 28)
    assert time_of("by-hand") is time_of("night-20269999-0000") is None


def test_what_is_kept() -> None:
    hours = [at(2026, 11, 28, h) for h in range(10)] + [at(2026, 11, d) for d in (27, 26, 25)]
    gone = surplus(rules(3, 2), names(*hours))
    kept = set(names(*hours)) - set(gone)
    # three hours; of the days that those do not cover, the last of each of two
    assert kept == set(names(*[at(2026, 11, 28, h) for h in (7, 8, 9)], at(2026, 11, 27), at(2026, 11, 26)))
    assert gone == sorted(gone), "oldest first"


def test_weeks() -> None:
    days = [at(2026, 11, d) for d in range(1, 29)]
    kept = set(names(*days)) - set(surplus(rules(0, 0, 2), names(*days)))
    assert kept == set(names(at(2026, 11, 28), at(2026, 11, 22)))


def test_other_names_are_never_surplus() -> None:
    assert surplus(rules(1), ["by-hand", "important"]) == []


def test_selection() -> None:
    assert selects(rules(1, guests=("100",)), 100, {}) and not selects(rules(1, guests=("100",)), 101, {})
    assert selects(rules(1, tag="web"), 1, {"tags": "db;web"}) and not selects(rules(1, tag="web"), 1, {"tags": "webs"})
    assert selects(rules(1, all=True), 1, {}) and not selects(rules(1, all=True), 1, {"template": "1"})
