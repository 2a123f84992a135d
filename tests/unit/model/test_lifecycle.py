"""The table of states and verbs is total, and every refusal names what is possible."""

from __future__ import annotations

import itertools

import pytest

from tarmac.model.errors import WrongState
from tarmac.model.lifecycle import TABLE, State, Verb, after, allowed


def test_every_pair_is_decided() -> None:
    assert set(TABLE) == set(itertools.product(State, Verb))


@pytest.mark.parametrize(("state", "verb"), [pair for pair, out in TABLE.items() if not isinstance(out, State)])
def test_a_refusal_names_the_guest_and_what_is_possible(state: State, verb: Verb) -> None:
    with pytest.raises(WrongState) as caught:
        after(state, verb, 4711)
    assert "VM 4711" in caught.value.message
    assert caught.value.fixes and all(v in caught.value.fixes[0].text for v in allowed(state))


def test_every_running_state_has_a_way_down() -> None:
    for state in State:
        assert after(state, Verb.STOP, 1) is State.STOPPED


def test_clients_match_these_texts() -> None:
    texts = {pair: str(out).format(vmid=100) for pair, out in TABLE.items()}
    assert texts[State.RUNNING, Verb.START] == "VM 100 already running"
    assert texts[State.STOPPED, Verb.RESET] == "VM 100 not running"
    assert texts[State.RUNNING, Verb.DELETE] == "VM 100 is running - destroy failed"
