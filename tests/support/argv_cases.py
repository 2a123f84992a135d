"""The table of argv cases in tests/golden/argv/cases: a configuration, the node's facts, the expected command line.

`NAME.conf` is read with `node.json`, over which `NAME.facts.json` is laid where it exists; `NAME.argv` holds the
expected words, one a line, then the notes and set-up commands. `python tests/support/argv_cases.py` writes the
expected files anew: look at the difference before you keep it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.qemu.argv import Launch, show
from tarmac.drivers.qemu.facts import NodeFacts

GOLDEN = Path(__file__).parent.parent / "golden" / "argv"
CASES = GOLDEN / "cases"


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    node: NodeFacts

    @property
    def expected(self) -> str:
        return (CASES / f"{self.name}.argv").read_text("utf-8")


def all_cases() -> list[Case]:
    base = json.loads((GOLDEN / "node.json").read_text())
    cases = []
    for path in sorted(CASES.glob("*.conf")):
        facts = path.with_suffix(".facts.json")
        changes = json.loads(facts.read_text()) if facts.exists() else {}
        node = NodeFacts.parse(json.dumps({**base, **changes}))
        cases.append(Case(path.stem, path.read_text("utf-8"), node))
    return cases


def rendered(launch: Launch) -> str:
    """A launch as the text of a `.argv` file: an option and its value share a line."""
    lines: list[str] = []
    for word in launch.argv:
        if lines and lines[-1].startswith("-") and " " not in lines[-1] and not word.startswith("-"):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    lines += [f"# tap {tap.name} on {tap.bridge}, {tap.queues} queue(s), {tap.mac}, {tap.key}" for tap in launch.taps]
    lines += [f"# then {s.command} {json.dumps(dict(s.arguments))}" for s in launch.setup]
    lines += [f"# note {note}" for note in launch.notes]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for case in all_cases():
        (CASES / f"{case.name}.argv").write_text(rendered(show(case.text, case.node)), "utf-8")
