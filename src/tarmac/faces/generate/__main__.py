"""`python -m tarmac.faces.generate [--check]`: write the generated files, or say which are out of date (exit 1)."""

from __future__ import annotations

import sys

from tarmac.faces.generate.files import stale, write

if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        old = stale()
        for path in old:
            print(f"out of date: {path} (python -m tarmac.faces.generate)", file=sys.stderr)
        sys.exit(1 if old else 0)
    for path in write():
        print(path)
