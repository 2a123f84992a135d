"""`ui/src/i18n/sentences.json`: the sentences that errors and findings are made of, as they stand in the sources.

The page's translations of them are keyed by these very sentences, so none can say something else than the English does;
its unit tests tell which have none. `{0}`, `{1}` stand for what an f-string puts in.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

from tarmac.model import errors
from tarmac.model.vm_change import Late
from tarmac.services.attention.findings import Finding

PACKAGE = Path(__file__).resolve().parents[2]
_ERRORS = frozenset(name for name, kind in inspect.getmembers(errors, inspect.isclass) if name != errors.Fix.__name__)
_KEYWORDS = {"cause": "cause", "reason": "cause", "text": "fix", "message": "message"}


def page_sentences() -> str:
    """The file's text: `message`, `cause` and `fix`, each a sorted list."""
    found: dict[str, set[str]] = {"message": set(), "cause": set(), "fix": set()}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                for kind, text in _said(node):
                    found[kind].add(text)
    return json.dumps({kind: sorted(texts) for kind, texts in found.items()}, ensure_ascii=False, indent=1) + "\n"


def _said(call: ast.Call) -> Iterator[tuple[str, str]]:
    """What a call of an error, a finding or a fix says, by its kind."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    first = "message" if name in _ERRORS else "fix" if name == "_fix" else ""
    if first and call.args:
        yield from ((first, text) for text in _texts(call.args[0]))
    for keyword in call.keywords:
        kind = _KEYWORDS.get(keyword.arg or "")
        whose = {
            "text": (errors.Fix.__name__, Finding.__name__),
            "message": (Finding.__name__,),
            "reason": (Late.__name__,),
        }
        if kind and name in whose.get(keyword.arg or "", (name,)):
            yield from ((kind, text) for text in _texts(keyword.value))


def _texts(node: ast.expr) -> Iterator[str]:
    """The sentences that an expression may be; both of `a if b else c`."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        places = iter(range(len(node.values)))
        text = "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{next(places)}}}" for part in node.values
        )
        if any(letter.isalpha() for letter in text):
            yield text
