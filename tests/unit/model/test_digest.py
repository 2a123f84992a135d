"""A change is made only to what its caller has seen."""

from __future__ import annotations

import pytest

from tarmac.model.digest import OF_A_GUEST, check_digest
from tarmac.model.errors import Conflict


def test_the_same_or_none_passes() -> None:
    check_digest(None, "a")
    check_digest("a", "a")


def test_another_one_is_refused_in_five_parts() -> None:
    with pytest.raises(Conflict) as caught:
        check_digest("a", "b", words=OF_A_GUEST, read="GET .../config")
    problem = caught.value
    assert (problem.message, problem.error_code) == (OF_A_GUEST, "digest-mismatch")
    assert problem.cause and problem.evidence == "you sent a, it is b"
    assert problem.fixes[0].action == "GET .../config"
