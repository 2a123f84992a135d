"""From errors to replies: the table is complete, the forms are those that clients parse."""

from __future__ import annotations

import inspect
import json

import pytest

from tarmac.faces.api.errors import STATUS, body_of, reason_of, status_of
from tarmac.faces.api.replies import envelope, error_reply, plain
from tarmac.model import errors as tree
from tarmac.model.errors import Conflict, Fix, InvalidInput, LoginFailed, NotFound, TarmacError, Unauthenticated

CLASSES = [c for _, c in inspect.getmembers(tree, inspect.isclass) if issubclass(c, TarmacError)]


def test_every_error_class_has_its_status() -> None:
    assert set(STATUS) == set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
async def test_every_error_class_becomes_a_whole_reply(kind: type[TarmacError]) -> None:
    response = await error_reply(kind("Something\nand more", cause="why", evidence="what", fixes=[Fix(text="do")]))
    assert response.status == STATUS[kind]
    assert response.reason == "Something"
    if kind is Unauthenticated:
        assert not response.body
        return
    body = json.loads(response.body)  # type: ignore[arg-type]
    assert body["data"] is None
    assert body["message"] == "Something\nand more\n"
    assert "errors" not in body
    assert body["error"]["cause"] == "why"
    assert body["error"]["fixes"] == [{"text": "do", "action": "", "parameters": {}}]


def test_a_subclass_has_the_status_of_its_parent() -> None:
    class Special(NotFound):
        code = "special"

    assert status_of(Special("x")) == 500


async def test_a_failed_login_has_a_body() -> None:
    response = await error_reply(LoginFailed("authentication failure", code="authentication-failure"))
    assert (response.status, response.reason) == (401, "authentication failure")
    assert json.loads(response.body)["message"] == "authentication failure\n"  # type: ignore[arg-type]


def test_parameters_are_texts_by_name() -> None:
    assert body_of(InvalidInput.of("vmid", "VM 100 already exists"))["errors"] == {"vmid": "VM 100 already exists"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("plain", "plain"),
        ("\n\nsecond line first", "second line first"),
        ("a\r\nSet-Cookie: x", "a"),
        ("tab\there \N{LATIN SMALL LETTER O WITH DIAERESIS} \N{SNOWMAN}", "tab?here ? ?"),
        ("", ""),
        ("x" * 1000, "x" * 400),
        ("a\x0bb\x85c\u2028d", "a"),
    ],
)
def test_reason_phrases_are_one_clean_line(message: str, reason: str) -> None:
    assert reason_of(message) == reason


async def test_extjs_errors_are_answered_with_200() -> None:
    response = await error_reply(Conflict("taken"), extjs=True)
    body = json.loads(response.body)  # type: ignore[arg-type]
    assert (response.status, body["success"], body["status"]) == (200, 0, 500)


def test_the_envelope_has_numbers_for_booleans() -> None:
    assert envelope({"a": True, "b": [False, None], "c": 1.5}) == b'{"data":{"a":1,"b":[0,null],"c":1.5}}'
    assert envelope(None) == b'{"data":null}'
    assert envelope([]) == b'{"data":[]}'


def test_plain_keeps_texts_and_numbers() -> None:
    class Word(str):
        pass

    assert plain({1: Word("x")}) == {"1": "x"}
