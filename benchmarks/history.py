"""What keeping figures over time costs: one minute's rows of so many running guests, and their files.

    .venv/bin/python benchmarks/history.py [--guests 10000] [--minutes 3]

The peer is whisper (PyPI, Graphite's files), where it is importable: a file for each figure, the same levels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Row, report

from tarmac.services.figures.history import GUEST, LEVELS

START = 1_800_000_000
VALUES = dict.fromkeys(GUEST.columns, 0.25)


def measure(add: Callable[[int, float], None], directory: Path, guests: int, minutes: int) -> tuple[float, float]:
    """(milliseconds of processor for a minute's rows of all, KiB on disk a guest)."""
    for guest in range(guests):
        add(guest, START - 60)  # the files are there
    begun = time.process_time()
    for minute in range(minutes):
        for guest in range(guests):
            add(guest, START + 60 * minute)
    spent = (time.process_time() - begun) / minutes * 1000
    size = sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
    return spent, size / guests / 1024


def ours(directory: Path) -> Callable[[int, float], None]:
    return lambda guest, now: GUEST.add(directory / "qemu" / f"{guest}.rr", now, VALUES)


def whispers(directory: Path) -> Callable[[int, float], None]:
    import whisper

    def add(guest: int, now: float) -> None:
        for name, value in VALUES.items():
            path = directory / str(guest) / f"{name}.wsp"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                whisper.create(str(path), list(LEVELS), sparse=True)
            whisper.update(str(path), value, int(now), now=int(now))

    return add


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, default=10_000)
    parser.add_argument("--minutes", type=int, default=3)
    options = parser.parse_args()
    label = f"{options.guests:,} running guests"
    with tempfile.TemporaryDirectory() as name:
        spent, size = measure(ours(Path(name)), Path(name), options.guests, options.minutes)
    rows = [
        Row(f"{label}: a minute's rows", "ms of processor", [spent]),
        Row(f"{label}: on disk after a few minutes, each", "KiB", [size]),
    ]
    try:
        with tempfile.TemporaryDirectory() as name:
            few = max(1, options.guests // 20)
            spent, size = measure(whispers(Path(name)), Path(name), few, options.minutes)
        rows[0].peer = rows[1].peer = "whisper"
        rows[0].peer_values, rows[1].peer_values = [spent * options.guests / few], [size]
    except ImportError:
        pass
    report("history", rows)


if __name__ == "__main__":
    main()
