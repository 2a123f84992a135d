"""How a QEMU ended, in words: what was asked for is nothing to tell, all else is."""

from __future__ import annotations

import pytest

from tarmac.services.running.ending import how_it_ended


@pytest.mark.parametrize(
    ("code", "orderly", "told"),
    [
        (0, False, ""),
        (None, True, ""),
        (None, False, "QEMU ended without a word: it was killed, or it crashed"),
        (-9, False, "QEMU was killed by signal 9 (Killed)"),
        (-9, True, "QEMU was killed by signal 9 (Killed)"),
        (1, False, "QEMU ended with code 1"),
    ],
)
def test_an_end_is_told_unless_it_was_asked_for(code: int | None, orderly: bool, told: str) -> None:
    assert how_it_ended(code, "", orderly=orderly) == told
    assert how_it_ended(code, " no disk\n", orderly=orderly) == (f"{told}: no disk" if told else "")
