"""Shapes of replies: what is made of them, and that the test of real replies can fail."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from support.reply_shapes import mismatches
from tarmac.faces.generate.shape import component, json_schema, typescript

Dashed = TypedDict("Dashed", {"full-in": int})


class Row(TypedDict):
    name: str
    kind: Literal["a", "b"]
    more: NotRequired[list[Dashed]]
    either: int | None


def test_as_typescript_and_as_schema() -> None:
    assert typescript(list[Row]) == "Row[]"
    assert typescript(list[Literal["a", "b"]]) == '("a" | "b")[]'
    assert typescript(dict[str, int | None]) == "Record<string, number | null>"
    assert json_schema(list[Row]) == {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    assert component(Row)["required"] == ["name", "kind", "either"]


def test_a_reply_that_is_not_of_its_shape_is_found() -> None:
    right = {"name": "x", "kind": "a", "either": None, "unknown": 1}
    assert mismatches(list[Row], [right]) == []
    assert mismatches(Row, {**right, "name": 1}) == ["data.name is 1, no str"]
    assert mismatches(Row, {**right, "kind": "c"}) == ["data.kind is 'c', none of ('a', 'b')"]
    assert mismatches(Row, {**right, "more": [{}]}) == ["data.more[].full-in is missing"]
    assert mismatches(Row, {**right, "either": True}) == ["data.either is True"]
    assert mismatches(list[Row], {}) == ["data is no list: {}"]
