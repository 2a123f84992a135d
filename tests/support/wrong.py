"""Parameters that an OpenAPI document forbids: such as it allows, with one fault. One is of another type or outside its
limits, one is a stranger, or one that is needed is missing.

Our own and small. A generator that negates whole schemas has to bring what comes out into a canonical form, and that
was seen not to end: within a library that nothing can interrupt, no time limit either."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
_TEXTS = ("none of these", "\x7f", "\u00e4:@!", "..", "x" * 70, "1,2;3")
_OTHER_TYPES = ({"a": "b"}, [{"a": "b"}])
_STRANGERS = st.from_regex(r"x-[a-z]{1,8}[0-9]{0,3}", fullmatch=True)


@st.composite
def with_a_fault(draw: st.DrawFn, params: Schema, schema: Schema, *, as_text: bool) -> tuple[Schema, str]:
    """The parameters with one fault, and which one has it. as_text: they are sent as texts, not as JSON."""
    faults = {name: tuple(faults_of(one, as_text=as_text)) for name, one in schema.get("properties", {}).items()}
    ways = ["stranger"]
    ways += ["value"] * 3 * any(faults.values())
    ways += ["missing"] * bool(schema.get("required"))
    match draw(st.sampled_from(ways)):
        case "stranger":
            name = draw(_STRANGERS)
            return {**params, name: "1"}, name
        case "missing":
            name = draw(st.sampled_from(schema["required"]))
            return {key: value for key, value in params.items() if key != name}, name
    name = draw(st.sampled_from([name for name, values in faults.items() if values]))
    return {**params, name: draw(st.sampled_from(faults[name]))}, name


def faults_of(schema: Schema, *, as_text: bool) -> Iterator[Any]:
    """Values that this schema of one parameter forbids; of a schema that takes any text none."""
    if not as_text:
        yield from _OTHER_TYPES
    kind = schema.get("type")
    if kind == "boolean":
        yield from ("perhaps", 2)
    if kind in ("integer", "number"):
        yield from ("many", "1x", "9" * 30)
        yield from (schema["minimum"] - 1,) if "minimum" in schema else ()
        yield from (schema["maximum"] + 1,) if "maximum" in schema else ()
    if kind == "integer":
        yield 1.5
    if kind == "string":
        yield from (text for text in _TEXTS if _forbidden(schema, text))
        yield from ("x" * (schema["maxLength"] + 1),) if schema.get("maxLength", 10**6) < 10**6 else ()


def _forbidden(schema: Schema, text: str) -> bool:
    allowed, pattern = schema.get("enum"), schema.get("pattern")
    return (allowed is not None and text not in allowed) or (pattern is not None and not re.fullmatch(pattern, text))
