"""Shapes that several nouns share."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Fix(TypedDict):
    """One thing that would help. `action` is `METHOD /path` or a command; `...` in a path is the object's own."""

    text: str
    action: NotRequired[str]
    parameters: NotRequired[dict[str, str]]


class ErrorParts(TypedDict):
    """An error's five parts."""

    code: str
    message: str
    cause: NotRequired[str]
    evidence: NotRequired[str]
    fixes: NotRequired[list[Fix]]
