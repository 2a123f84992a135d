"""What `./dev` does, with the environment's Python: regenerate, lock, format, lint, take pictures.

gen      write every generated file anew        lock     resolve the dependencies anew, with hashes
format   ruff's formatter and its safe fixes    lint     the linters of `./test lint`
screenshots  take the pictures of the web page in docs/screenshots anew
kernel-storages  the storage contract on NFS, CIFS and LVM, in a Debian guest that has them; words go to its pytest
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

# What pip-compile writes must not tell where it was written: no index, no links, no command line.
LOCK = ["--generate-hashes", "--strip-extras", "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"]
LOCKS = {"requirements.lock": ["build"], "requirements-dev.lock": ["build", "dev"]}


def gen(words: Sequence[str]) -> int:
    """Run every generator; `--check` only compares, and fails on a difference."""
    return subprocess.run([sys.executable, "-m", "tarmac.faces.generate", *words], cwd=ROOT, check=False).returncode


def lock(words: Sequence[str]) -> int:
    """Write both locks; `--upgrade` takes the newest versions that pyproject.toml allows."""
    for name, extras in LOCKS.items():
        command = [str(BIN / "pip-compile"), *LOCK, "--allow-unsafe", "--output-file", f"packaging/{name}", *words]
        command += [word for extra in extras for word in ("--extra", extra)]
        if subprocess.run([*command, "pyproject.toml"], cwd=ROOT, check=False).returncode:
            return 1
    return 0


def format(words: Sequence[str]) -> int:
    subprocess.run([str(BIN / "ruff"), "check", "--fix", "--quiet", *words], cwd=ROOT, check=False)
    return subprocess.run([str(BIN / "ruff"), "format", *words], cwd=ROOT, check=False).returncode


def lint(words: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "packaging/check.py", "lint", *words], cwd=ROOT, check=False).returncode


def screenshots(words: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "packaging/screenshots.py", *words], cwd=ROOT, check=False).returncode


def kernel_storages(words: Sequence[str]) -> int:
    command = [sys.executable, "-m", "support.kernel_guest", *words]
    return subprocess.run(command, cwd=ROOT / "tests", check=False).returncode


VERBS = {
    "gen": gen,
    "lock": lock,
    "format": format,
    "lint": lint,
    "screenshots": screenshots,
    "kernel-storages": kernel_storages,
}


def main(words: Sequence[str]) -> int:
    if not words or words[0] not in VERBS:
        print(f"usage: ./dev {'|'.join(VERBS)} [arguments]", file=sys.stderr)
        return 2
    return VERBS[words[0]](words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
