"""A tool behind walls: `jail_child.py` locks itself in and then becomes it, with only the files that it is given.

Two kinds of callers: the jail, for images from outside, and `pinned.py`, for images of ours that a guest's QEMU may
have rewritten. What a tool makes of an image is then bounded by what lies before it, whatever the image says.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tarmac.lib.process import Finished, run, tool_missing

CHILD = Path(__file__).with_name("jail_child.py")
LIBRARIES = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf", "/nix/store")
ROOT_WITHIN = 0
"""As `uid`: stay root by name, without any right of root's but to open the files given, whoever owns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file that the child opens for the tool, by its path, which leads through directories of ours only."""

    path: Path
    writable: bool = False


async def behind_walls(
    words: Sequence[str],
    *,
    uid: int | None,
    gid: int = 0,
    limits: Mapping[str, int],
    fds: Sequence[int] = (),
    given: Sequence[Given] = (),
    ok: Collection[int] = range(-64, 256),
    on_output: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run `qemu-img WORDS` (nothing: say which protections there are) with the open files `fds` and those of `given`,
    which have the names that `names_of` says. `uid`: whom it becomes, None to stay who we are. Raises HostFailure as
    `run` does."""
    tool = shutil.which("qemu-img")
    if tool is None:
        raise tool_missing("qemu-img")
    spec = {
        "argv": [tool, *words] if words else [],
        "uid": uid,
        "gid": gid,
        "limits": dict(limits),
        "readable": [*LIBRARIES, tool],
        "fds": list(fds),
        "given": [[str(file.path), file.writable] for file in given],
        "first": _first(fds),
    }
    argv = [sys.executable, "-I", "-S", str(CHILD), json.dumps(spec)]
    # Each thread's malloc arena reserves 64 MiB of address space; a busy conversion would run into the limit.
    env = {"MALLOC_ARENA_MAX": "2"}
    return await run(argv, ok=ok, limit=256 * 1024, pass_fds=fds, on_output=on_output, cwd=Path("/"), env=env)


def names_of(given: int, fds: Sequence[int] = ()) -> list[str]:
    """The file names under which the tool finds so many given files, beside these open ones."""
    return [f"/dev/fd/{_first(fds) + number}" for number in range(given)]


def _first(fds: Sequence[int]) -> int:
    return max((19, *fds)) + 1
