"""Shapes of notification targets and matchers."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class TargetRow(TypedDict):
    name: str
    type: str
    origin: str
    comment: NotRequired[str]
    disable: NotRequired[int]


MatcherRow = TypedDict(
    "MatcherRow",
    {
        "name": str,
        "origin": str,
        "comment": NotRequired[str],
        "disable": NotRequired[int],
        "mode": NotRequired[str],
        "target": NotRequired[list[str]],
        "match-severity": NotRequired[list[str]],
        "match-field": NotRequired[list[str]],
        "invert-match": NotRequired[int],
    },
)
