"""Figures over time in a file of fixed size: fine ones of the last day, coarser ones of a month and of a year.

    header   1024 bytes: a line of JSON (`format`, `columns`, `levels` as [seconds, rows]), zeros
    levels   one after another; level i has so many rows of one size
    row      u32 start (seconds since 1970), u32 count, f32 average of each column, f32 maximum of each column

The row of a moment lies at (start / seconds) modulo rows and says itself which moment it is of, so an old round, a
hole or a half-written file is no row. Every sample goes into its row of each level at once; nothing is kept in
memory or caught up later, so a process that is killed loses at most what it had not written. NaN is "unknown". The file
is sparse: what never was takes no space. All functions block.

Why not a library: whisper has a file for each figure (10,000 guests: 100,000 files) and one way of consolidating;
rrdtool is a C library outside PyPI with one process-wide lock and some 1.3 MB an object.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HEADER = 1024
FORMAT = 1
_HEAD = struct.Struct("<II")
Levels = tuple[tuple[int, int], ...]
"""(seconds of a row, number of rows), fine ones first."""


class RoundRobin:
    """The form of one kind of file: its columns and levels."""

    def __init__(self, columns: Sequence[str], levels: Levels) -> None:
        self.columns = tuple(columns)
        self.levels = levels
        self._row = struct.Struct(f"<II{len(columns)}f{len(columns)}f")
        self._width = len(columns)

    def add(self, path: Path, now: float, values: Mapping[str, float]) -> None:
        """Take a sample into every level. The file is made when there is none, and made anew with what it holds when
        its form is another one. Raises OSError."""
        sample = [float(values.get(column, math.nan)) for column in self.columns]
        with self._open(path) as file:
            for level, (seconds, _) in enumerate(self.levels):
                start = int(now) // seconds * seconds
                place = self._place(level, start)
                row = self._merged(os.pread(file, self._row.size, place), start, sample)
                os.pwrite(file, row, place)

    def read(self, path: Path, seconds: int, count: int, now: float, *, maximum: bool = False) -> list[list[float]]:
        """The last `count` rows of the level whose rows last `seconds`, oldest first: start, then the columns. Rows
        that are not there hold NaN; a file that is not there gives such rows only. Raises OSError."""
        level = next(i for i, (width, _) in enumerate(self.levels) if width == seconds)
        last = int(now) // seconds * seconds
        try:
            rows = self._rows(path, level)
        except FileNotFoundError:
            rows = {}
        unknown = [math.nan] * self._width
        starts = range(last - (count - 1) * seconds, last + seconds, seconds)
        return [[start, *(rows[start][maximum] if start in rows else unknown)] for start in starts]

    # -- rows ---------------------------------------------------------------------------------------------------

    def _place(self, level: int, start: int) -> int:
        before = sum(rows for _, rows in self.levels[:level])
        seconds, rows = self.levels[level]
        return HEADER + (before + start // seconds % rows) * self._row.size

    def _merged(self, old: bytes, start: int, sample: Sequence[float]) -> bytes:
        found, count, *figures = self._row.unpack(old) if len(old) == self._row.size else (0, 0)
        if found != start or not count:
            return self._row.pack(start, 1, *sample, *sample)
        averages = [_average(a, count, v) for a, v in zip(figures[: self._width], sample, strict=True)]
        maxima = [_maximum(m, v) for m, v in zip(figures[self._width :], sample, strict=True)]
        return self._row.pack(start, count + 1, *averages, *maxima)

    def _rows(self, path: Path, level: int) -> dict[int, tuple[tuple[float, ...], tuple[float, ...]]]:
        """Start -> averages and maxima of every row of a level."""
        with path.open("rb") as file:
            if _header(file.read(HEADER)) != self._described():
                return {}
            seconds, rows = self.levels[level]
            file.seek(self._place(level, 0))
            data = file.read(rows * self._row.size)
        found = {}
        for start, count, *figures in self._row.iter_unpack(data[: len(data) // self._row.size * self._row.size]):
            if count and start % seconds == 0:
                found[start] = (tuple(figures[: self._width]), tuple(figures[self._width :]))
        return found

    # -- files --------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self, path: Path) -> Iterator[int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(path, flags, 0o600)
        try:
            described = _header(os.pread(file, HEADER, 0))
            if described != self._described():
                rows = self._taken_over(path, described)
                os.ftruncate(file, 0)
                for place, row in rows:
                    os.pwrite(file, row, place)
                # The header last: without it this is no file of ours, and begins anew.
                os.pwrite(file, json.dumps(self._described()).encode().ljust(HEADER, b"\0"), 0)
            yield file
        finally:
            os.close(file)

    def _taken_over(self, path: Path, described: Mapping[str, object]) -> list[tuple[int, bytes]]:
        """The rows of a file of other columns, as this form has them."""
        columns, levels = described.get("columns"), described.get("levels")
        if described.get("format") != FORMAT or not isinstance(columns, list) or levels != self._described()["levels"]:
            return []
        old = RoundRobin(columns, self.levels)
        order = [columns.index(c) if c in columns else -1 for c in self.columns]
        found = []
        for level in range(len(self.levels)):
            for start, parts in old._rows(path, level).items():
                figures = [part[i] if i >= 0 else math.nan for part in parts for i in order]
                found.append((self._place(level, start), self._row.pack(start, 1, *figures)))
        return found

    def _described(self) -> dict[str, object]:
        return {"format": FORMAT, "columns": list(self.columns), "levels": [list(level) for level in self.levels]}


def _header(raw: bytes) -> dict[str, object]:
    try:
        found = json.loads(raw.rstrip(b"\0"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _average(average: float, count: int, value: float) -> float:
    if math.isnan(value):
        return average
    return value if math.isnan(average) else average + (value - average) / (count + 1)


def _maximum(maximum: float, value: float) -> float:
    return value if math.isnan(maximum) or value > maximum else maximum
