"""Reads RAM from a live state volume into a memory file: `python -I fill.py STATE_FD RAM_FD`.

A process of its own, so that the kernel charges the pages to the control group it was put into (the template's) and
not to the daemon's, nor to whichever clone touches them first. It waits for a line on its standard input: by then it is
in its group. Exit codes: 0 done; 3 the volume is damaged; 4 the system refused; the last line on stderr says what.
Standard library only: it is no part of the daemon's process.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

DAMAGED, REFUSED = 3, 4


def _state_file() -> ModuleType:
    """The module beside this file, without the package around it (which would bring half the daemon along)."""
    spec = importlib.util.spec_from_file_location("state_file", Path(__file__).with_name("state_file.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(state: int, ram: int) -> int:
    """See the module. The memory file is allocated in full first: a page that is missing later would kill a clone."""
    if not sys.stdin.buffer.readline():
        return REFUSED
    state_file = _state_file()
    try:
        manifest = state_file.read_manifest(state)
        os.posix_fallocate(ram, 0, manifest["ram_size"])
        state_file.read_ram(state, manifest, ram)
    except state_file.Damaged as problem:
        print(problem, file=sys.stderr)
        return DAMAGED
    except (OSError, MemoryError) as problem:
        print(problem, file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
