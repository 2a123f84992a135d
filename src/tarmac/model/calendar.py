"""Times as Proxmox writes them: calendar events (when something is due) and daily durations (when something applies).

    mon..fri 22:30        every working day at half past ten
    sat *-1..7 15:00      the first Saturday of each month
    */15                  every quarter of an hour
    hourly, daily, weekly, monthly, yearly, ...

    mon-fri 9:00-17:00    a daily duration: from nine until before five, on working days

An event is `[WEEKDAYS] [[YEARS-]MONTHS-DAYS] [HOURS:]MINUTES[:SECONDS]`; a part is `*`, a number, a range `a..b`, a
step `a/n`, `a..b/n` or `*/n`, or several with `,`. A weekday and a date must both fit; without a time it is midnight.
All times are local and naive. Source: proxmox-time (calendar_event, daily_duration), systemd.time(7).
"""

from __future__ import annotations

import bisect
import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tarmac.model.formats import register

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "*-*-* 00:00",
    "weekly": "mon *-*-* 00:00",
    "monthly": "*-*-1 00:00",
    "yearly": "*-1-1 00:00",
    "annually": "*-1-1 00:00",
    "quarterly": "*-1,4,7,10-1 00:00",
    "semiannually": "*-1,7-1 00:00",
    "semi-annually": "*-1,7-1 00:00",
}
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
SEARCH_DAYS = 366 * 9  # beyond every gap that the calendar itself can make (29 February across 1900, 2100)
_DAY = datetime.timedelta(days=1)
Numbers = tuple[int, ...]
"""The values that fit, sorted; empty: all."""


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """Parsed; `weekdays` from 0 for Monday."""

    weekdays: Numbers
    years: Numbers
    months: Numbers
    days: Numbers
    hours: Numbers
    minutes: Numbers
    seconds: Numbers

    @classmethod
    def parse(cls, text: str) -> CalendarEvent:
        """Raises ValueError with what cannot be understood."""
        words = _NAMES.get(text.strip().lower(), text.strip().lower()).split()
        if not words:
            raise ValueError("no calendar event")
        weekdays: Numbers = ()
        if words[0][0].isalpha():
            weekdays = _weekdays(words.pop(0))
        date, time = "", "00:00:00" if not words or "-" in words[-1] else words.pop()
        if words:
            date = words.pop(0)
        if words:
            raise ValueError(f"unable to parse calendar event: '{words[0]}' is too much")
        years, months, days = _date(date)
        return cls(weekdays, years, months, days, *_time(time))

    def next(self, after: datetime.datetime) -> datetime.datetime | None:
        """The first time after `after`; None when there is none within the next years."""
        start = after.replace(microsecond=0) + datetime.timedelta(seconds=1)
        times = self._times()
        for number in range(SEARCH_DAYS):
            day = start.date() + number * _DAY
            if self._fits(day):
                first = bisect.bisect_left(times, start.time()) if number == 0 else 0
                if first < len(times):
                    return datetime.datetime.combine(day, times[first])
        return None

    def previous(self, until: datetime.datetime) -> datetime.datetime | None:
        """The last time at or before `until`; None when there was none in the last years."""
        times = self._times()
        for number in range(SEARCH_DAYS):
            day = until.date() - number * _DAY
            if self._fits(day):
                last = bisect.bisect_right(times, until.time()) if number == 0 else len(times)
                if last:
                    return datetime.datetime.combine(day, times[last - 1])
        return None

    def _fits(self, day: datetime.date) -> bool:
        wanted = (
            (self.weekdays, day.weekday()),
            (self.years, day.year),
            (self.months, day.month),
            (self.days, day.day),
        )
        return all(not numbers or value in numbers for numbers, value in wanted)

    def _times(self) -> list[datetime.time]:
        """The times of a day, sorted; at most 86,400."""
        return [
            datetime.time(hour, minute, second)
            for hour in self.hours or range(24)
            for minute in self.minutes or range(60)
            for second in self.seconds or range(60)
        ]


@dataclass(frozen=True, slots=True)
class DailyDuration:
    """From `start` until before `end` (minutes of the day, up to 24:00), on `weekdays` (empty: every day)."""

    weekdays: Numbers
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> DailyDuration:
        """Raises ValueError with what cannot be understood."""
        words = text.strip().lower().split()
        weekdays = _weekdays(words.pop(0)) if words and words[0][:1].isalpha() else ()
        start, dash, end = words[0].partition("-") if len(words) == 1 else ("", "", "")
        if not dash:
            raise ValueError(f"unable to parse daily duration '{text}': it is [DAYS] HH[:MM]-HH[:MM]")
        found = cls(weekdays, _minute_of_day(start), _minute_of_day(end))
        if found.start >= found.end:
            raise ValueError(f"unable to parse daily duration '{text}': it ends before it begins")
        return found

    def contains(self, when: datetime.datetime) -> bool:
        minute = when.hour * 60 + when.minute
        return self.start <= minute < self.end and (not self.weekdays or when.weekday() in self.weekdays)


def _weekdays(text: str) -> Numbers:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.replace("..", "-").partition("-")
        low = _weekday(first)
        high = _weekday(last) if dash else low
        if low > high:
            raise ValueError(f"wrong range of weekdays '{part}'")
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def _weekday(word: str) -> int:
    for place, (short, full) in enumerate(zip(DAYS, _FULL, strict=True)):
        if len(word) >= 3 and (full.startswith(word) or word == short):
            return place
    raise ValueError(f"'{word}' is no weekday")


def _date(text: str) -> tuple[Numbers, Numbers, Numbers]:
    parts = text.split("-") if text else ["*", "*", "*"]
    if len(parts) == 2:
        parts = ["*", *parts]
    if len(parts) != 3:
        raise ValueError(f"unable to parse date '{text}': it is [YEARS-]MONTHS-DAYS")
    return _numbers(parts[0], 1970, 9999), _numbers(parts[1], 1, 12), _numbers(parts[2], 1, 31)


def _time(text: str) -> tuple[Numbers, Numbers, Numbers]:
    parts = text.split(":")
    if len(parts) == 1:
        parts = ["*", *parts]  # `*/5` is every five minutes
    if len(parts) == 2:
        parts = [*parts, "0"]
    if len(parts) != 3:
        raise ValueError(f"unable to parse time '{text}': it is [HOURS:]MINUTES[:SECONDS]")
    return _numbers(parts[0], 0, 23), _numbers(parts[1], 0, 59), _numbers(parts[2], 0, 59)


def _numbers(text: str, low: int, high: int) -> Numbers:
    if text == "*":
        return ()
    return tuple(sorted({value for part in text.split(",") for value in _part(part, low, high)}))


def _part(text: str, low: int, high: int) -> Sequence[int]:
    values, slash, step = text.partition("/")
    every = _number(step, 1, high) if slash else 1
    if values == "*":
        return range(low, high + 1, every)
    first, dots, last = values.partition("..")
    start = _number(first, low, high)
    if dots:
        end = _number(last, low, high)
        if end < start:
            raise ValueError(f"wrong range '{values}'")
        return range(start, end + 1, every)
    return range(start, high + 1, every) if slash else (start,)


def _number(text: str, low: int, high: int) -> int:
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise ValueError(f"'{text}' is no number from {low} to {high}")
    return int(text)


def _minute_of_day(text: str) -> int:
    hour, colon, minute = text.partition(":")
    found = _number(hour, 0, 24) * 60 + (_number(minute, 0, 59) if colon else 0)
    if found > 24 * 60:
        raise ValueError(f"'{text}' is no time of day")
    return found


@register("pve-calendar-event")
def _check_event(text: str) -> None:
    event = CalendarEvent.parse(text)
    if event.next(datetime.datetime(2024, 1, 1)) is None:
        raise ValueError(f"'{text}' never happens")


def coming(event: CalendarEvent, after: datetime.datetime) -> Iterator[datetime.datetime]:
    """All times after `after`, as far as they can be found."""
    found = event.next(after)
    while found is not None:
        yield found
        found = event.next(found)
