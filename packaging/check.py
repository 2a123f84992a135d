"""What `./test` does once the environment is there: the linters, then pytest on the rings asked for.

all (the default)   the linters and every ring
lint                ruff, formatting, mypy, import contract, shellcheck, generated files up to date
unit | golden | contract | qemu | system   that ring of tests/; further words go to pytest, and a path among them is
                    all that is run. `unit` alone tries less in its property tests than the run of everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
RINGS = ("unit", "golden", "contract", "qemu", "system")
SCRIPTS = ("run", "test", "dev", ".ci/run", "packaging/python.sh")
GENERATOR = ROOT / "src/tarmac/faces/generate/__main__.py"
NO_TESTS_COLLECTED = 5


def linters() -> dict[str, list[str]]:
    """Each linter by its name, as the command to run from the root."""
    python = sys.executable
    found = {
        "ruff": [str(BIN / "ruff"), "check", "--quiet"],
        "format": [str(BIN / "ruff"), "format", "--check", "--quiet"],
        "mypy": [python, "-m", "mypy", "--no-error-summary"],
        "imports": [str(BIN / "lint-imports"), "--no-logo"],
        "shellcheck": ["shellcheck", "-x", *SCRIPTS],
    }
    if GENERATOR.exists():
        found["generated"] = [python, "-m", "tarmac.faces.generate", "--check"]
    return found


def lint() -> int:
    """Run all linters, also after one has failed; the number of those that failed."""
    failed = 0
    for name, command in linters().items():
        started = time.monotonic()
        if shutil.which(command[0]) is None:
            print(f"lint: {name:11} cannot run: {command[0]} is not installed", flush=True)
            failed += 1
            continue
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"lint: {name:11} {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
        if done.returncode:
            failed += 1
            print((done.stdout + done.stderr).rstrip(), flush=True)
    return failed


def pytest_words(rings: Sequence[str], words: Sequence[str]) -> list[str]:
    """Pytest's command line for these rings, narrowed by what somebody wrote after them."""
    named = _places(words)
    where = [] if named else [f"tests/{ring}" for ring in rings if (ROOT / "tests" / ring).is_dir()]
    # Half of a test is waiting, for a guest or for time to pass: half as many again as there are processors run at a
    # time, files whole, because tests of a file share a daemon. What somebody chose by other words than places (`-k`,
    # `-x`, `-s`, `--pdb`) or in one file runs alone. Long files begin first (`tests/conftest.py`).
    alone = [word for word in words if word not in named] or (len(named) == 1 and (ROOT / _file(named[0])).is_file())
    workers = str(min(6, (os.cpu_count() or 1) * 3 // 2))
    # A worker that had to be ended is replaced once: the test that ended it is given to the new one again.
    spread = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder", "--durations=25", "--max-worker-restart=1"]
    quick = ["--hypothesis-profile=quick"] if tuple(rings) == ("unit",) else []
    return [*([] if alone else spread), *quick, *where, *words]


def _places(words: Sequence[str]) -> list[str]:
    """The words that are files, folders or tests in them (`tests/unit/x.py::test_y`), and no option's value."""
    after = ["", *words]
    return [
        word
        for before, word in zip(after, words, strict=False)
        if not word.startswith("-") and not _takes_a_value(before) and (ROOT / _file(word)).exists()
    ]


def _takes_a_value(word: str) -> bool:
    """`-k`, `-m` and so on take the next word; of those that stand alone only these are used here."""
    return len(word) == 2 and word[0] == "-" and word not in ("-q", "-v", "-x", "-s", "-l")


def _file(word: str) -> str:
    return word.partition("::")[0]


def tests(rings: Sequence[str], words: Sequence[str]) -> int:
    """Run pytest; its exit code, where "nothing collected" counts as failure too."""
    if not any((ROOT / "tests" / ring).is_dir() for ring in rings):
        print(f"no tests in {', '.join(rings)}", file=sys.stderr)
        return NO_TESTS_COLLECTED
    # A run starts hundreds of daemons: each would compile all of Tarmac again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", *pytest_words(rings, words)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main(words: Sequence[str]) -> int:
    what, rest = ("all", words) if not words or words[0].startswith("-") else (words[0], words[1:])
    verbs: dict[str, Callable[[], int]] = {
        "lint": lambda: min(lint(), 1),
        "all": lambda: max(min(lint(), 1), tests(RINGS, rest)),
        **{ring: lambda ring=ring: tests([ring], rest) for ring in RINGS},  # type: ignore[misc]
    }
    if what not in verbs:
        print(f"usage: ./test [{'|'.join([*RINGS, 'lint', 'all'])}] [pytest arguments]", file=sys.stderr)
        return 2
    return verbs[what]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
