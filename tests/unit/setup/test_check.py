"""What the words after `./test` choose."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("check", ROOT / "packaging/check.py")
assert _spec is not None and _spec.loader is not None
check = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check)

QUICK = ["--hypothesis-profile=quick"]
SPREAD = 7
"""Words that let two or more files run at a time."""


@pytest.mark.parametrize(
    ("rings", "words", "given"),
    [
        (["unit"], ["-k", "nosuch"], [*QUICK, "tests/unit", "-k", "nosuch"]),
        (["unit"], ["-k", "tests"], [*QUICK, "tests/unit", "-k", "tests"]),
        (["unit"], ["-x", "tests/unit/api"], [*QUICK, "-x", "tests/unit/api"]),
        (["unit"], [f"{__name__}.py"], [*QUICK, "tests/unit", f"{__name__}.py"]),  # pytest says that there is none
        (["system"], ["tests/system/test_page.py"], ["tests/system/test_page.py"]),
        (["system"], ["tests/system/test_page.py::test_x", "-s"], ["tests/system/test_page.py::test_x", "-s"]),
        (["qemu", "system"], ["--lf"], ["tests/qemu", "tests/system", "--lf"]),
    ],
)
def test_a_place_stands_for_the_ring_and_other_words_run_alone(
    rings: list[str], words: list[str], given: list[str]
) -> None:
    assert check.pytest_words(rings, words) == given


@pytest.mark.parametrize(
    ("rings", "words", "given"),
    [
        (["unit"], [], [*QUICK, "tests/unit"]),
        (["unit"], ["tests/unit/api"], [*QUICK, "tests/unit/api"]),
        (["qemu", "system"], [], ["tests/qemu", "tests/system"]),
        (["system"], ["tests/system/test_page.py", "tests/qemu"], ["tests/system/test_page.py", "tests/qemu"]),
    ],
)
def test_whole_rings_and_several_files_run_beside_each_other(
    rings: list[str], words: list[str], given: list[str]
) -> None:
    found = check.pytest_words(rings, words)
    assert found[0] == "-n" and "loadfile" in found[:SPREAD]
    assert found[SPREAD:] == given


@pytest.mark.parametrize(("processors", "files"), [(1, "1"), (2, "3"), (4, "6"), (64, "6")])
def test_more_files_run_at_a_time_than_there_are_processors(
    monkeypatch: pytest.MonkeyPatch, processors: int, files: str
) -> None:
    monkeypatch.setattr(check.os, "cpu_count", lambda: processors)
    assert check.pytest_words(["unit", "system"], [])[:2] == ["-n", files]


def test_bytecode_is_kept_for_the_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def run(command: list[str], *, env: dict[str, str], **_: object) -> object:
        seen.update(env)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(check.subprocess, "run", run)
    assert check.tests(["unit"], []) == 0
    assert "PATH" in seen and "PYTHONDONTWRITEBYTECODE" not in seen
