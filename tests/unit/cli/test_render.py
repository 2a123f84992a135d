"""What people see: units, columns, and nothing that could command their terminal."""

from __future__ import annotations

import io
import os

import pytest

from tarmac.faces.cli.progress import Progress
from tarmac.faces.cli.render import cell, clean, duration, rows, size, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1 << 30, "1 GiB"),
        (123 << 30, "123 GiB"),
        (1 << 41, "2.0 TiB"),
    ],
)
def test_size(value, text):
    assert size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m 1s"), (3600, "1h 0m"), (93784, "1d 2h")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b31m", "\r", "\x08", "\u202e", "\x07", "\x7f"])
def test_control_characters_are_taken_out(evil):
    assert clean(f"a{evil}b").startswith("a")
    assert evil not in clean(f"a{evil}b")
    assert evil not in table([{"name": f"a{evil}b"}])
    assert evil not in table({"name": f"a{evil}b", evil: 1})
    assert evil not in table(f"a{evil}b") or evil == "\n"
    assert evil not in cell("x", {"y": evil, evil: "z"})
    assert evil not in cell("x", [evil])


def test_rows_leave_empty_columns_out_and_align():
    data = [{"vmid": 9, "name": "a", "lock": None}, {"vmid": 100, "name": "bb", "lock": ""}]
    assert rows(data, ["vmid", "name", "lock"]) == "VMID  NAME\n   9  a\n 100  bb"


def test_a_list_inside_an_object_is_a_table_of_its_own():
    steps = [{"title": "grow", "state": "done"}, {"title": "write", "state": "planned"}]
    told = table({"upid": "U", "steps": steps, "can": ["stop", "reset"], "effects": ["it stands still", "so does b"]})
    assert told.splitlines() == [
        *("upid     U", "steps", "  TITLE  STATE", "  grow   done", "  write  planned"),
        *("can      stop, reset", "effects", "  it stands still", "  so does b"),
    ]


def test_what_to_look_at_names_the_guest_in_its_remedies():
    fix = {"text": "try again", "action": "POST .../status/start", "parameters": {}}
    row = {"severity": "error", "object": "qemu/103", "message": "it ended", "fixes": [fix]}
    assert table([row], "node attention").endswith("try again  [tarmac vm start 103]")


def test_an_error_inside_an_object_is_told_as_errors_are():
    told = table(
        {"state": "failed", "error": {"message": "no room", "cause": "it is full", "evidence": "", "fixes": []}}
    )
    assert told.splitlines() == ["state  failed", "error", "  Error: no room", "    Cause:    it is full"]


def test_a_time_that_is_none():
    assert (cell("expire", 0), cell("endtime", 0)) == ("never", "")


def test_what_to_look_at_has_its_cause_and_its_remedies():
    fix = {"text": "see what nobody needs", "action": "tarmac storage orphans local", "parameters": {}}
    row = {"severity": "warning", "object": "storage/n/local", "message": "runs low", "cause": "why", "fixes": [fix]}
    assert table([row], "node attention").splitlines() == [
        "Warning (storage/n/local): runs low",
        "  Cause:    why",
        "  Fix:      see what nobody needs  [tarmac storage orphans local]",
    ]


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_cleans_up(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = _Screen()
    shown = Progress("copying", patience=0, stream=screen)
    shown.update(1 << 20, 2 << 20, "bytes", note="half\x1b[2J")
    shown.end()
    assert "50%" in screen.getvalue() and "1 MiB of 2 MiB" in screen.getvalue()
    assert "[2J" not in screen.getvalue() or "\x1b[2J" not in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


def test_progress_elsewhere_is_plain_lines_and_few():
    out = io.StringIO()
    shown = Progress("copying", patience=0, stream=out)
    for done in range(50):
        shown.update(done, 50, "steps")
    shown.end()
    assert out.getvalue() == "copying  0%  0s\n"


def test_quiet_is_quiet():
    out = io.StringIO()
    shown = Progress("copying", patience=0, quiet=True, stream=out)
    shown.update(1, 2)
    shown.line("x")
    shown.end()
    assert out.getvalue() == ""


def test_a_table_that_is_too_wide_goes_on_below(monkeypatch):
    data = [{"vmid": 100, "name": "a" * 30, "status": "running", "tags": "b" * 30}]
    assert len(rows(data, ("vmid", "name", "status", "tags")).splitlines()) == 2, "no terminal: lines are kept whole"
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((50, 20)))
    monkeypatch.setattr("sys.stdout", os.fdopen(os.dup(1), "w"))
    text = rows(data, ("vmid", "name", "status", "tags"))
    assert text.splitlines() == [
        f"VMID  {'NAME':30}  STATUS", "    TAGS", f" 100  {'a' * 30}  running", f"    {'b' * 30}"
    ]  # fmt: skip
    assert max(map(len, text.splitlines())) <= 50
