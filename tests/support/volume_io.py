"""Bytes in and out of volumes as a guest's QEMU reaches them, whether they are files or not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.image import as_word
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import Layer
from tarmac.model.ids import VolumeId

MIB = 1 << 20
SHARES = 61400
"""The group of `means_below` to whom files without owners belong."""


def opened(layer: Layer) -> list[str]:
    """A layer as the last words of a command of QEMU's tools."""
    return [as_word(layer)] if layer.protocol else ["-f", layer.format, str(layer.path)]


def io(layer: Layer, *commands: str, read_only: bool = False) -> str:
    words = [*(["-r"] if read_only else []), *(word for command in commands for word in ("-c", command))]
    done = subprocess.run(["qemu-io", *words, *opened(layer)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verification failed" not in done.stdout, done.stdout
    return done.stdout


async def put(storage: Storage, volid: VolumeId, mark: int, at: int = 0) -> None:
    """The guest's part: 1 MiB of a byte."""
    io((await storage.layers(volid))[0], f"write -P {mark} {at}M 1M")


async def holds(storage: Storage, volid: VolumeId, *marks: int, snapshot: str | None = None) -> None:
    """The volume's megabytes, from the first one on."""
    top = (await storage.layers(volid, snapshot))[0]
    for at, mark in enumerate(marks):
        io(top, f"read -P {mark} {at}M 1M", read_only=True)
    if top.format == "qcow2":
        check = subprocess.run(["qemu-img", "check", "-f", "qcow2", top.path], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout


def id_of(storage: Storage, vmid: int, stem: str, format: str) -> VolumeId:
    """The volume id that an image has there."""
    return VolumeId(storage.id, str(storage.image_name(vmid, stem, format)))


def clone_format(storage: Storage, base: VolumeId) -> str:
    """The format of linked clones of a base image there."""
    return storage.clone_name(storage.parse(base), 100, "vm-100-disk-0").format


def needs(storage: Storage, format: str) -> str:
    """The format; skips the test where there are no such images."""
    if format not in storage.capabilities.formats:
        pytest.skip(f"no {format} images here")
    return format


def without_owners(storage: Storage) -> bool:
    """Whether its files belong to nobody but the group SHARES."""
    return getattr(getattr(storage, "mount", None), "type", "") == "cifs"


def groups_of(storage: Storage, group: int) -> frozenset[int]:
    """In which groups a process must be to read a base image that was made for the readers `group`."""
    kind = getattr(getattr(storage, "mount", None), "type", "")
    return frozenset({"nfs": set[int](), "cifs": {SHARES}}.get(kind, {group}))


def keeps_owners(storage: Storage) -> None:
    """Skips the test where the files of a storage have no owners."""
    if without_owners(storage):
        pytest.skip("files on CIFS have no owners: a group reaches them all")


def means_below(base: Path, jail: Jail) -> Means:
    """What drivers may use, in a directory."""
    return Means(jail=jail, private=base / "storage-access", scratch=base / "scratch", group=SHARES)


async def remove_all(storage: Storage) -> None:
    """Every volume, clones before what they stand on."""
    for volume in sorted(await storage.list(), key=lambda one: (one.parent is None, "base-" in str(one.volid))):
        await _remove_with_clones(storage, volume.volid)


async def _remove_with_clones(storage: Storage, volid: VolumeId) -> None:
    for volume in await storage.list():  # what stands on it goes first
        if storage.parse(volume.volid).base == (storage.parse(volid).vmid, storage.parse(volid).file):
            await _remove_with_clones(storage, volume.volid)
    await storage.free(volid)
