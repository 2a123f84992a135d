"""Calendar events and daily durations as Proxmox has them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.model.calendar import CalendarEvent, DailyDuration, coming
from tarmac.model.formats import check_format


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


# 2026-11-28 is a Saturday.
@pytest.mark.parametrize(
    ("event", "after", "times"),
    [
        ("22:30", "2026-11-28T22:30:00", ["2026-11-29T22:30:00"]),
        ("mon..fri 22:30", "2026-11-28T10:00:00", ["2026-11-30T22:30:00", "2026-12-01T22:30:00"]),
        ("mon..fri", "2026-11-28T10:00:00", ["2026-11-30T00:00:00"]),
        ("Saturday", "2026-11-28T10:00:00", ["2026-12-05T00:00:00"]),
        ("mon,wed,fri..sun 2:00", "2026-11-28T10:00:00", ["2026-11-29T02:00:00", "2026-11-30T02:00:00"]),
        ("*/15", "2026-11-28T10:07:30", ["2026-11-28T10:15:00", "2026-11-28T10:30:00"]),
        ("30", "2026-11-28T10:07:30", ["2026-11-28T10:30:00", "2026-11-28T11:30:00"]),
        ("8..17,22:0/15", "2026-11-28T17:44:00", ["2026-11-28T17:45:00", "2026-11-28T22:00:00"]),
        ("fri 12..13:5/20", "2026-12-04T12:40:00", ["2026-12-04T12:45:00", "2026-12-04T13:05:00"]),
        ("12,14,16:5", "2026-11-28T12:05:00", ["2026-11-28T14:05:00"]),
        ("sat *-1..7 15:00", "2026-11-28T16:00:00", ["2026-12-05T15:00:00", "2027-01-02T15:00:00"]),
        ("2-29", "2026-11-28T16:00:00", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("2027-*-31 1:02:03", "2026-11-28T16:00:00", ["2027-01-31T01:02:03", "2027-03-31T01:02:03"]),
        ("minutely", "2026-11-28T10:07:30", ["2026-11-28T10:08:00"]),
        ("hourly", "2026-11-28T10:00:00", ["2026-11-28T11:00:00"]),
        ("daily", "2026-11-28T10:00:00", ["2026-11-29T00:00:00"]),
        ("weekly", "2026-11-28T10:00:00", ["2026-11-30T00:00:00"]),
        ("monthly", "2026-11-28T10:00:00", ["2026-12-01T00:00:00"]),
        ("quarterly", "2026-11-28T10:00:00", ["2027-01-01T00:00:00", "2027-04-01T00:00:00"]),
        ("semiannually", "2026-11-28T10:00:00", ["2027-01-01T00:00:00", "2027-07-01T00:00:00"]),
        ("yearly", "2026-11-28T10:00:00", ["2027-01-01T00:00:00", "2028-01-01T00:00:00"]),
        ("*:*:0/30", "2026-11-28T10:00:10", ["2026-11-28T10:00:30", "2026-11-28T10:01:00"]),
    ],
)
def test_when_an_event_comes(event: str, after: str, times: list[str]) -> None:
    found = coming(CalendarEvent.parse(event), at(after))
    assert [next(found) for _ in times] == [at(time) for time in times]


@pytest.mark.parametrize(
    "text",
    ["", "24:00", "12:60", "mon..", "fri..mon", "xyz 12:00", "12:00 mon", "13-1", "1-32 0:0", "1:2:3:4", "5..3:0",
     "*/0", "1-1-1-1", "mon tue 1:0", "1:x", "-1:0", "0-0", "\N{ARABIC-INDIC DIGIT ONE}:0"],
)  # fmt: skip
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        CalendarEvent.parse(text)
    with pytest.raises(ValueError, match="invalid format - "):
        check_format("pve-calendar-event", text)


def test_what_never_happens_is_refused() -> None:
    assert CalendarEvent.parse("2-30").next(at("2026-11-28T10:00:00")) is None
    with pytest.raises(ValueError, match="never happens"):
        check_format("pve-calendar-event", "2-30")


EVENTS = st.sampled_from(
    ["*/7", "mon..fri 8..17:0/20", "sun 3:00", "*-1,15 4:30", "yearly", "2-29 12:00", "*:*:0/7", "hourly", "sat,sun"]
)
MOMENTS = st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2040, 1, 1))


@given(text=EVENTS, moment=MOMENTS)
def test_next_and_previous_agree(text: str, moment: datetime.datetime) -> None:
    event = CalendarEvent.parse(text)
    before, after = event.previous(moment), event.next(moment)
    assert before is not None and after is not None
    assert before <= moment < after
    assert event.previous(after) == after
    assert event.next(before) == after
    assert event.previous(after - datetime.timedelta(seconds=1)) == before


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("8-12", ["2026-11-28T08:00:00", "2026-11-28T11:59:59"], ["2026-11-28T12:00:00", "2026-11-28T07:59:59"]),
        ("8:00-15:30", ["2026-11-28T15:29:00"], ["2026-11-28T15:30:00"]),
        ("mon-fri 9:00-17:00", ["2026-11-27T09:00:00"], ["2026-11-28T09:00:00", "2026-11-27T17:00:00"]),
        ("mon..fri 9:00-17:00", ["2026-11-27T09:00:00"], ["2026-11-28T09:00:00"]),
        ("sun,tue-wed,fri 9-17", ["2026-11-29T10:00:00", "2026-12-02T10:00:00"], ["2026-11-28T10:00:00"]),
        ("0-24", ["2026-11-28T00:00:00", "2026-11-28T23:59:59"], []),
    ],
)
def test_durations(text: str, inside: list[str], outside: list[str]) -> None:
    duration = DailyDuration.parse(text)
    assert all(duration.contains(at(moment)) for moment in inside)
    assert not any(duration.contains(at(moment)) for moment in outside)


@pytest.mark.parametrize(
    "text", ["", "8", "mon", "12-8", "8-25", "8:60-9", "xyz 8-9", "8-9 mon", "8-24:30", "mon 8..9"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        DailyDuration.parse(text)
