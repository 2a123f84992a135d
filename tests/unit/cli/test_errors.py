"""The table from error to exit code, and how the five parts look."""

from __future__ import annotations

from collections.abc import Iterator

from tarmac.faces.cli.errors import EXIT_CODES, CliError, of_tarmac, text_of
from tarmac.model import errors as tree
from tarmac.model.errors import Fix, TarmacError


def _all(kind: type[TarmacError]) -> Iterator[type[TarmacError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all(below)


def test_every_class_of_the_tree_has_an_exit_code():
    missing = {kind.code for kind in _all(TarmacError) if kind.__module__ == tree.__name__} - set(EXIT_CODES)
    assert not missing


def test_no_failure_looks_like_success_or_like_a_signal():
    assert all(0 < code < 126 for code in EXIT_CODES.values())


def test_the_documented_numbers_are_the_tables():
    """The docstring is what people read; it must say what the table does."""
    from tarmac.faces.cli import errors

    for words in ("2 the request is wrong", "3 it does not exist", "7 the task failed", "12 a bug"):
        assert words in str(errors.__doc__)


def test_of_tarmac_keeps_the_five_parts():
    error = tree.NoSpace("storage local is full", cause="a", evidence="b", fixes=[Fix(text="c", action="d")])
    told = of_tarmac(error)
    assert (told.kind, told.exit_code, told.cause, told.evidence, told.fixes) == ("no-space", 9, "a", "b", ("c  [d]",))


def test_text_of_many_fixes_and_lines():
    text = text_of(CliError("busy", "it is busy", evidence="one\ntwo", fixes=["wait", "cancel it"]))
    assert text == "Error: it is busy\n  Evidence: one\n            two\n  Fix:      wait\n  Or:       cancel it"
