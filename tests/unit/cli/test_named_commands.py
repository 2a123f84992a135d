"""Commands that documents and remedies name are there."""

from __future__ import annotations

import re
from pathlib import Path

import tarmac
from tarmac.faces.cli.catalog import HAND_WRITTEN, NOUNS
from tarmac.faces.cli.listing import everything

ROOT = Path(__file__).parents[3]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/format/*.md")]
SOURCES = sorted(Path(tarmac.__file__).parent.rglob("*.py"))
COMMAND = re.compile(r"(?<![\w/.-])tarmac ([a-z][a-z-]*)(?: ([a-z][a-z|-]*))?")
QUOTED = re.compile(r"`(tarmac [^`]*)`|\"(tarmac [^\"]*)\"|^ {4}(tarmac .*)$|^(tarmac .*)$", re.MULTILINE)
WORDS = {*everything(), *HAND_WRITTEN, "help"}


def _unknown(text: str) -> list[str]:
    found = []
    for quoted in QUOTED.finditer(text):
        for noun, verbs in COMMAND.findall(next(part for part in quoted.groups() if part)):
            if noun in WORDS or (noun in NOUNS and not verbs):
                continue
            found += [f"tarmac {noun} {verb}" for verb in verbs.split("|") if f"{noun} {verb}" not in WORDS]
    return found


def test_named_commands_exist() -> None:
    assert {str(path): found for path in (*DOCUMENTS, *SOURCES) if (found := _unknown(path.read_text()))} == {}


def test_this_would_find_one() -> None:
    assert _unknown("`tarmac vm list`, `tarmac realm`") == []
    assert _unknown("ask `tarmac task shown UPID`") == ["tarmac task shown"]
    assert _unknown("the one that `tarmac install` set up") == ["tarmac install "]


def test_every_noun_says_what_it_is() -> None:
    assert {words.split()[0] for words in WORDS if " " in words} <= set(NOUNS)
