"""The table from error to exit code, and how the five parts look."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.api_server import Reply
from tarmac.faces.cli.errors import EXIT_CODES, CliError, from_record, of_tarmac, text_of
from tarmac.faces.cli.fixes import command_of
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


@pytest.mark.parametrize(
    ("action", "parameters", "command"),
    [
        ("PUT .../config", {"memory": "512"}, "tarmac vm set GUEST --memory 512"),
        ("PUT .../config", {"delete": "hostpci0"}, "tarmac vm set GUEST --delete hostpci0"),
        ("PUT .../config", {"net0": "virtio,bridge=a b"}, "tarmac vm set GUEST --net0 'virtio,bridge=a b'"),
        ("POST .../status/stop", {}, "tarmac vm stop GUEST"),
        ("POST .../qemu/100/clone", {"full": "1"}, "tarmac vm clone 100 --full 1"),
        ("DELETE .../qemu/100/snapshot/a", {}, "tarmac vm delsnapshot 100 a"),
        ("PUT /storage/local", {"reserve": "1%"}, "tarmac storage set local --reserve 1%"),
        ("GET .../tasks/{upid}/log", {}, "tarmac task log UPID"),
        ("PUT .../config", {"no-such-option": "1"}, ""),
        ("GET /no/such/call", {}, ""),
        ("apt-get install x", {}, ""),
    ],
)
def test_remedies_are_commands(action, parameters, command):
    assert command_of(action, parameters) == command


def test_a_remedy_names_the_guest_that_the_command_is_about(daemon, tarmac):
    fix = {"text": "less", "action": "PUT .../config", "parameters": {"memory": "512"}}
    record = {"message": "not enough memory", "kind": "unavailable", "fixes": [fix]}
    path = "/nodes/pve1/qemu/100/status/start"
    daemon.answer("POST", path, Reply(status=503, raw=json.dumps({"error": record}).encode()))
    assert "[tarmac vm set 100 --memory 512]" in tarmac("vm", "start", "100").err


def test_a_remedy_that_is_a_command_has_its_options_as_typed():
    fix = {"text": "choose another port", "action": "tarmac serve", "parameters": {"listen": "127.0.0.1:8007"}}
    assert from_record({"fixes": [fix]}).fixes == ("choose another port  [tarmac serve --listen 127.0.0.1:8007]",)
