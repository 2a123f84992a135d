"""What documents say of the code: codes of errors, files, packages."""

from __future__ import annotations

import re
from pathlib import Path

import tarmac

ROOT = Path(__file__).parents[2]
SOURCE = Path(tarmac.__file__).parent
CODE = re.compile(r"`([a-z]+(?:-[a-z0-9]+)+)`")


def test_codes_that_help_with_troubles_exist() -> None:
    raised = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    rows = [line.split("|") for line in (ROOT / "docs/troubleshooting.md").read_text().splitlines() if "|" in line]
    named = {code for row in rows if len(row) > 3 for code in CODE.findall(row[2])}
    assert len(named) > 30
    assert {code for code in named if f'"{code}"' not in raised} == set()


def test_the_architecture_knows_every_package() -> None:
    told = (ROOT / "docs/architecture.md").read_text()
    for layer in ("drivers", "services", "faces"):
        packages = {path.parent.name for path in (SOURCE / layer).glob("*/__init__.py")}
        assert {name for name in packages if not re.search(rf"`{name}/?`", told)} == set(), layer


def test_files_that_documents_name_exist() -> None:
    named = re.compile(r"`((?:docs|src|tests|ui|benchmarks|packaging)/[\w./-]+\.\w+)(?:::\w+)?`")
    inside = re.compile(r"`((?:model|lib|drivers|services|faces|composition)/[\w./-]+)`")
    missing = set()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md"):
        text = path.read_text()
        missing |= {(path.name, n) for n in named.findall(text) if "AREA" not in n and not (ROOT / n).exists()}
        missing |= {(path.name, name) for name in inside.findall(text) if not (SOURCE / name).exists()}
    assert missing == set()


def test_every_document_can_be_found() -> None:
    told = (ROOT / "README.md").read_text()
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in told] == []


def test_no_table_is_cut_in_two() -> None:
    cut = re.compile(r"^\|[^\n]*\n\n\|(?! ?-)(?![^\n]*\n\| ?-)", re.MULTILINE)
    documents = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    assert [path.name for path in documents if cut.search(path.read_text())] == []
