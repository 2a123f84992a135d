"""`ui/src/i18n/sentences.json`: what errors, findings, refused parameters and plans say, as it stands in the sources.

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
_KINDS = ("message", "cause", "fix", "parameter", "plan", "remark")
_KEYWORDS = {"cause": "cause", "reason": "cause", "text": "fix", "message": "message"}
_SPOKEN = frozenset({"model", "services", "faces/api", "drivers/storage"})  # where people's parameters are looked at
_PLANNING = frozenset({"title", "compare", "effect", "effects", "cost", "notes", "waits", "NO_AGENT", "IN_MEMORY"})
_REFUSALS = frozenset({"MISSING", "UNKNOWN"})
_WORDING = frozenset({"pause", "words", "_pause_words", "warning", "forecast"})  # functions that answer such a line


def page_sentences() -> str:
    """The file's text: by kind (`message`, `cause`, `fix`, `parameter`, `plan`, `remark`), a sorted list."""
    found: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    for path in sorted(PACKAGE.rglob("*.py")):
        spoken = path.relative_to(PACKAGE).as_posix().startswith(tuple(_SPOKEN))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                for kind, text in _said(node):
                    found[kind].add(text)
            found["remark"].update(_of_remarks(node))
            if spoken:
                found["parameter"].update(_of_parameters(node))
                found["plan"].update(_of_plans(node))
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


def _of_parameters(node: ast.AST) -> Iterator[str]:
    """What is said of one parameter: what a value is refused with, as text or as the error of who parses it."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in _REFUSALS:
        yield from _texts(node.value)
    if not isinstance(node, ast.Call):
        return
    name = ast.unparse(node.func)
    if name == "InvalidInput.of" and len(node.args) > 1:
        yield from _texts(node.args[1])
    elif name == "_pattern" and len(node.args) > 2:
        yield from _texts(node.args[2])
    elif name == "ValueError" and node.args:
        yield from _texts(node.args[0])
    elif name in _ERRORS:
        for keyword in node.keywords:
            if keyword.arg == "parameters" and isinstance(keyword.value, ast.Dict):
                for value in keyword.value.values:
                    yield from _texts(value)


def _of_plans(node: ast.AST) -> Iterator[str]:
    """What a plan says: the titles of its steps, and its effects."""
    values: list[ast.expr] = []
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in _PLANNING:
        values.append(node.value)
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in _PLANNING:
        values += [node.value] if node.value else []
    elif isinstance(node, ast.FunctionDef) and node.name in _WORDING:
        values += [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        owner = getattr(getattr(node.func, "value", None), "id", "")
        if name in {"put_step", "file_step"} or (owner in _PLANNING and name in {"append", "insert"}):
            values += node.args[-1:]
        values += [k.value for k in node.keywords if k.arg == "effects" or (k.arg == "title" and "Step" in name)]
    for value in values:
        yield from _lines(value)


def _of_remarks(node: ast.AST) -> Iterator[str]:
    """What was changed (`what=`), why KVM is not used (`reason`), why somebody can or cannot."""
    values: list[ast.expr] = []
    if isinstance(node, ast.FunctionDef) and node.name in {"_lack", "_sentence"}:
        values = [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "reason":
        values = [node.value]
    elif isinstance(node, ast.Call):
        values = node.args[2:3] if getattr(node.func, "id", "") == "Looked" else []
        values += [k.value for k in node.keywords if k.arg in {"what", "reason"}]
    for value in values:
        yield from _texts(value)


def _lines(node: ast.expr) -> Iterator[str]:
    """The lines of a plan's tuple or list, of one made for each of something, or a single one."""
    if isinstance(node, ast.Tuple | ast.List):
        for part in node.elts:
            yield from _lines(part)
    elif isinstance(node, ast.IfExp):
        yield from _lines(node.body)
        yield from _lines(node.orelse)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.GeneratorExp):
        yield from _texts(node.args[0].elt)
    else:
        yield from _texts(node)


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
