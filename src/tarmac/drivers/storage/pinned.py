"""Images of ours before a tool: every layer by an open file, every format and every reference said by us.

A guest's QEMU can write to its images as long as it lives, also to those that no longer belong to its machine (unused
volumes, the layers of snapshots). One that was taken over can rewrite a header between our look at it and the tool's.
So a tool never follows what a header says: the chain that was checked is spelled out, and the tool is behind walls
(`walls.py`) in which no other file exists; as root it keeps one right, to open those files whoever owns them. A kernel
without Landlock has no such walls: the chain is spelled out there, too, and what a header may add is a data file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.walls import ROOT_WITHIN, Given, behind_walls, names_of
from tarmac.lib.process import Finished
from tarmac.model.units import GIB

Chain = Sequence[tuple[Path, str]]
"""An image of ours with what it stands on, top first, as (file, format); from `image.chain`, which checks it."""
_LIMITS = {"AS": 8 * GIB, "CORE": 0, "NOFILE": 256}


async def qemu_img_on(
    chain: Chain,
    command: Sequence[str],
    after: Sequence[str] = (),
    *,
    writable: int = 0,
    target: Path | None = None,
    fds: Sequence[int] = (),
    on_output: Callable[[bytes], None] | None = None,
) -> Finished:
    """`qemu-img COMMAND IMAGE AFTER` on an image that is given by its chain. The first `writable` layers may be
    written to; `target`, if there is one, is the last word, an image that is there. Raises HostFailure."""
    given = [Given(path=path, writable=number < writable) for number, (path, _) in enumerate(chain)]
    if target is not None:
        given.append(Given(path=target, writable=True))
    names = names_of(len(given), fds)
    words = [*command, spelled(chain, names[: len(chain)]), *after, *names[len(chain) :]]
    uid = ROOT_WITHIN if os.geteuid() == 0 else None
    return await behind_walls(words, uid=uid, limits=_LIMITS, fds=fds, given=given, ok=(0,), on_output=on_output)


def spelled(chain: Chain, names: Sequence[str]) -> str:
    """A chain as one file name for qemu-img, its files under these names: nothing in an image is followed."""
    node: dict[str, Any] | None = None
    for (_, format), name in reversed(list(zip(chain, names, strict=True))):
        below = {"backing": node} if format == "qcow2" else {}
        node = {"driver": format, "file": {"driver": "file", "filename": name}, **below}
    return "json:" + json.dumps(node)
