"""SPEC.md and the documents with promises name only tests that exist."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("SPEC.md", "docs/instant-clones.md")
TEXT = "\n".join((ROOT / name).read_text("utf-8") for name in DOCUMENTS)
NAMED = re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", TEXT)


def test_there_are_promises() -> None:
    assert len(NAMED) > 20


@functools.cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_named_test_exists(file: str, name: str) -> None:
    tests = functions_of(file)
    assert any(t.startswith("test_") for t in tests)
    assert not name or name in tests
