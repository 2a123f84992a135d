"""Figures over time in a file of fixed size."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.lib.round_robin import HEADER, RoundRobin

LEVELS = ((60, 10), (600, 6))
FORM = RoundRobin(("cpu", "mem"), LEVELS)
START = 1_800_000_000 // 600 * 600


def known(rows: list[list[float]]) -> dict[int, float]:
    """Time -> the first figure, of the rows that have one."""
    return {int(row[0]) - START: row[1] for row in rows if not math.isnan(row[1])}


def test_each_sample_is_a_row_and_part_of_the_coarser_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.rr"
    for minute in range(4):
        FORM.add(path, START + 60 * minute + 7, {"cpu": minute, "mem": 100})
    now = START + 200
    assert known(FORM.read(path, 60, 10, now)) == {0: 0, 60: 1, 120: 2, 180: 3}
    assert known(FORM.read(path, 600, 6, now)) == {0: 1.5}
    assert known(FORM.read(path, 600, 6, now, maximum=True)) == {0: 3}
    rows = FORM.read(path, 60, 5, now)
    assert [row[0] - START for row in rows] == [-60, 0, 60, 120, 180]


def test_the_oldest_go_and_the_file_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "a.rr"
    sizes = set()
    for minute in range(100):
        FORM.add(path, START + 60 * minute, {"cpu": minute})
        if minute > 60:
            sizes.add(path.stat().st_size)
    assert known(FORM.read(path, 60, 10, START + 60 * 99)) == {60 * n: n for n in range(90, 100)}
    assert len(known(FORM.read(path, 600, 6, START + 60 * 99))) == 6
    assert len(sizes) == 1


def test_a_gap_is_a_gap_also_a_round_later(tmp_path: Path) -> None:
    path = tmp_path / "a.rr"
    FORM.add(path, START, {"cpu": 1})
    FORM.add(path, START + 60 * 13, {"cpu": 2})
    assert known(FORM.read(path, 60, 10, START + 60 * 13)) == {60 * 13: 2}


def test_what_is_unknown_spoils_no_average(tmp_path: Path) -> None:
    path = tmp_path / "a.rr"
    for minute, values in enumerate([{}, {"cpu": 4}, {}, {"cpu": 8}]):
        FORM.add(path, START + 60 * minute, values)
    assert known(FORM.read(path, 60, 10, START + 200)) == {60: 4, 180: 8}
    assert known(FORM.read(path, 600, 1, START + 200, maximum=True)) == {0: 8}
    assert 4 <= known(FORM.read(path, 600, 1, START + 200))[0] <= 8


def test_a_file_that_is_not_there_has_no_figures(tmp_path: Path) -> None:
    assert known(FORM.read(tmp_path / "none.rr", 60, 10, START)) == {}


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 5000, b"{}" + b"\0" * 2000, b'{"format": 99}'])
def test_what_is_no_file_of_ours_begins_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.rr"
    path.write_bytes(content)
    assert known(FORM.read(path, 60, 10, START)) == {}
    FORM.add(path, START, {"cpu": 1})
    assert known(FORM.read(path, 60, 10, START)) == {0: 1}


def test_rows_of_rubbish_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.rr"
    FORM.add(path, START, {"cpu": 1})
    data = bytearray(path.read_bytes())
    data[HEADER:] = os.urandom(len(data) - HEADER)
    path.write_bytes(data)
    FORM.add(path, START + 60, {"cpu": 2})
    found = known(FORM.read(path, 60, 10, START + 60))
    assert found[60] == 2 and len(found) <= 2


def test_other_columns_keep_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.rr"
    FORM.add(path, START, {"cpu": 1, "mem": 5})
    wider = RoundRobin(("disk", "mem", "cpu"), LEVELS)
    wider.add(path, START + 60, {"disk": 9, "mem": 6, "cpu": 2})
    rows = wider.read(path, 60, 2, START + 60)
    assert math.isnan(rows[0][1]) and rows[0][2:] == [5, 1] and rows[1][1:] == [9, 6, 2]


def test_kill_9_at_any_moment_leaves_a_file_that_is_read_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "a.rr"
    script = (
        "import sys; from pathlib import Path; from tarmac.lib.round_robin import RoundRobin\n"
        f"form, now = RoundRobin(('cpu', 'mem'), {LEVELS!r}), {START}\n"
        "while True:\n"
        "    form.add(Path(sys.argv[1]), now, {'cpu': now % 1000, 'mem': 1}); now += 60; print(now, flush=True)\n"
    )
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(50):
                last = int(process.stdout.readline()) - 60
            process.send_signal(signal.SIGKILL)
            written = [int(line) - 60 for line in process.stdout.read().split() if len(line) == 10]
        now = max([last, *written])
        found = known(FORM.read(path, 60, 10, now))
        assert found[now - START] == now % 1000 and len(found) >= 9
        assert all(value == (START + at) % 1000 for at, value in found.items())
        FORM.add(path, now + 120, {"cpu": 1})  # the one between may have been written and not yet told
        assert known(FORM.read(path, 60, 1, now + 120)) == {now + 120 - START: 1}
        path.unlink()
