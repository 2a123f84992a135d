"""Snapshots' layers that a frozen state stands on, beside their guest: they have a name in the directories of both.

    100/snap-before-vm-100-disk-0.qcow2    a layer of guest 100, one file ...
    900/snap-before-vm-100-disk-0.qcow2    ... with this second name, on which 900/base-900-disk-0.qcow2 stands

So what a base image says of the layer below it holds in either directory, and the layers outlive their guest. While a
state stands on them nothing is merged into them, and nobody writes to them. All block.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from tarmac.drivers.storage.directory import layers as layering
from tarmac.drivers.storage.volume_names import is_base
from tarmac.lib.files import fsync_directory
from tarmac.model.errors import Fix, HostFailure

MODE = 0o440


def hold(layers: Iterable[Path], folder: Path) -> None:
    """Give layers a second name in the directory of a frozen state, durably. Repeatable. Raises OSError where files
    have one name only."""
    for layer in layers:
        name = folder / layer.name
        if not (name.exists() and name.samefile(layer)):
            os.link(layer, name, follow_symlinks=False)
    fsync_directory(folder)


def names_not_counted(layers: Sequence[Path]) -> HostFailure:
    """Where a file does not tell that it has two names, nobody would know that a state stands on a layer."""
    return HostFailure(
        "the file system does not say which snapshots other guests stand on",
        code="names-not-counted",
        cause="instant clones of a guest with snapshots stand on these, and here they could be removed beneath them",
        evidence=f"layers of snapshots: {', '.join(layer.name for layer in layers)}",
        fixes=[
            Fix(text="remove the snapshots"),
            Fix(text="move the disk to a storage that counts names: a directory of this node, or NFS"),
        ],
    )


def guard(layers: Iterable[Path], gid: int | None) -> None:
    """Nobody writes to held layers; group `gid` may read them, unless an older state's may already."""
    for layer in layers:
        if os.geteuid() == 0 and not is_guarded(layer):
            os.chown(layer, 0, -1 if gid is None else gid)
        layer.chmod(MODE)
        layering.seal(layer)


def is_guarded(layer: Path) -> bool:
    """Whether root keeps a layer for the members of a group."""
    status = layer.stat()
    return status.st_uid == 0 and status.st_gid != 0 and stat.S_IMODE(status.st_mode) == MODE


def readers_group(image: Path) -> int | None:
    """The group whose members may read a base image or a held layer, None where it has none of its own."""
    status = image.stat()
    named = status.st_gid and status.st_mode & stat.S_IRGRP and (is_base(image) or is_guarded(image))
    return status.st_gid if named else None


def let_go(folder: Path) -> None:
    """Take away the second names of layers on which no base image of this directory stands any more; they are their
    guest's alone again, or the next state's. Repeatable."""
    if not folder.is_dir():
        return
    files = [path for path in folder.iterdir() if path.suffix == ".qcow2" and path.is_file()]
    needed = {layer for base in files if is_base(base) for layer in layering.below(base)}
    for layer in files:
        if layering.layer_of(layer.name)[0] is not None and layering.of_another(layer) and layer not in needed:
            _give_back(layer)
            layer.unlink()
            fsync_directory(folder)


def _give_back(layer: Path) -> None:
    """Owner and rights for the names that are left: those of another state's base, else of the layer's volume."""
    images, volume = layer.parent.parent, layering.layer_of(layer.name)[1]
    names = [path for path in images.glob(f"[1-9]*/{layer.name}") if path != layer and path.samefile(layer)]
    for name in names:
        if layering.of_another(name):
            if os.geteuid() == 0:
                group = next(base.stat().st_gid for base in name.parent.iterdir() if is_base(base))
                os.chown(layer, 0, group)
            return
    layering.unseal(layer)
    for name in names:
        if (own := name.with_name(volume)).exists():
            status = own.stat()
            if os.geteuid() == 0:
                os.chown(layer, status.st_uid, status.st_gid)
            layer.chmod(stat.S_IMODE(status.st_mode))
