"""For setup scripts and tests: `python -m tarmac.drivers.images packages`, `... build RECIPE DESTINATION WORK`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tarmac.drivers.images.recipes import RECIPES, host_packages
from tarmac.model.errors import TarmacError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tarmac.drivers.images", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("packages", help="print the Debian packages that the recipes need on this machine")
    build = verbs.add_parser("build", help="build one image")
    build.add_argument("recipe", choices=sorted(RECIPES))
    build.add_argument("destination", type=Path)
    build.add_argument("work", type=Path, help="directory for caches and temporary files")
    chosen = parser.parse_args()
    if chosen.verb == "packages":
        print("\n".join(host_packages()))
        return 0
    try:
        built = asyncio.run(RECIPES[chosen.recipe].build(chosen.destination, chosen.work, _report))
    except TarmacError as error:
        print(json.dumps(error.as_record(), indent=2), file=sys.stderr)
        return 1
    print(f"{built.path}: {built.file_size} bytes, sha256 {built.sha256}")
    return 0


def _report(line: str, fraction: float | None) -> None:
    print(line if fraction is None else f"[{fraction:4.0%}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
