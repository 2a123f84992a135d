"""`docs/reference/built.md`: for each method and path of Proxmox's API whether it is built, empty, or 501."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.router import known_methods

BUILT, EMPTY, MISSING = "built", "empty", "501"

_HEAD = """# How much of Proxmox's API is built

Generated from the declarations; do not edit. Of the {total} methods and paths of Proxmox VE 9.1, {built} are built,
{empty} belong to features that come later and answer as where nothing of the feature is set up, and {missing} answer
`501 Method 'GET /x' not implemented`. Parameters stand in `api.md`. `tests/unit/api/test_conformity.py` holds what is
built against Proxmox's schema.
"""


def states(endpoints: Iterable[Endpoint]) -> Mapping[tuple[str, str], str]:
    """(path, method) of Proxmox -> `built`, `empty` or `501`; `endpoints` is the complete table."""
    here = {(e.schema_path, e.method): EMPTY if e.later else BUILT for e in endpoints}
    known = [(path, method) for path, (methods, _) in known_methods().items() for method in methods]
    return {key: here.get(key, MISSING) for key in sorted(known)}


def page(endpoints: Iterable[Endpoint]) -> str:
    """The page's text."""
    table = tuple(endpoints)
    found = states(table)
    count = Counter(found.values())
    lines = [_HEAD.format(total=len(found), built=count[BUILT], empty=count[EMPTY], missing=count[MISSING])]
    lines += ["| path | built | empty | 501 |", "|---|---|---|---|"]
    rows: dict[str, dict[str, list[str]]] = {}
    for (path, method), state in found.items():
        rows.setdefault(path, {}).setdefault(state, []).append(method)
    for path, by_state in rows.items():
        cells = [" ".join(by_state.get(state, ())) for state in (BUILT, EMPTY, MISSING)]
        lines.append(f"| `{path}` | {' | '.join(cells)} |")
    ours = sorted((e.schema_path, e.method) for e in table if (e.schema_path, e.method) not in found)
    lines += ["", "## Ours beside Proxmox's", "", *(f"- `{method} {path}`" for path, method in ours), ""]
    return "\n".join(lines)
