"""Every property string that `model/` declares, taken apart and put together wrongly: refused in words, or understood
and then printed so that it is understood the same way again."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tarmac.model
from support.configs import bent_records_of
from support.examples import examples
from tarmac.model.parse import parse_property_string, print_property_string
from tarmac.model.settings import settings_of


def _declared() -> list[type]:
    """Every class that stands behind a property string, of every declared class of `model/`."""
    found: set[type] = set()
    for info in pkgutil.iter_modules(tarmac.model.__path__, "tarmac.model."):
        for thing in vars(importlib.import_module(info.name)).values():
            if isinstance(thing, type) and dataclasses.is_dataclass(thing):
                found |= {s.python for s in settings_of(thing) if s.kind == "property"}
    return sorted(found, key=lambda one: one.__name__)


DECLARED = _declared()


def test_all_of_them_are_found() -> None:
    assert {"Nic", "ScsiDisk", "Cpu", "Agent"} <= {one.__name__ for one in DECLARED}


@pytest.mark.parametrize("declared", DECLARED, ids=lambda one: one.__name__)
@settings(max_examples=examples(60), derandomize=True)
@given(data=st.data())
def test_a_bent_string_is_refused_in_words_or_keeps_its_meaning(declared: type, data: st.DataObject) -> None:
    text = data.draw(bent_records_of(declared))
    try:
        record = parse_property_string(declared, text)
    except ValueError as problem:
        assert str(problem)
        return
    printed = print_property_string(record)
    assert not printed or parse_property_string(declared, printed) == record
