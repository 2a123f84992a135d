"""Images that a QEMU which was taken over writes, before and after they were looked at: no tool follows them to a file
of the host. Images from outside: `test_hostile_images.py`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.hostile_images import MIB, SECRET, folder, img, secret, storage
from tarmac.drivers.storage import image, pinned
from tarmac.drivers.storage.values import Layer, NewImage
from tarmac.model.errors import DataCorrupt, HostFailure

__all__ = ["folder", "secret"]


async def test_a_raw_disk_stays_raw_whatever_its_guest_wrote(folder: Path, secret: Path) -> None:
    """The guest writes a qcow2 header with a backing file of the host into its raw disk. Nobody may follow it."""
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "evil", "1M")
    evil = (folder / "evil").read_bytes()
    target = storage(folder)
    volume = await target.allocate(NewImage(100, "raw"), size=4 * MIB)
    with target.path(volume).open("r+b") as file:
        file.write(evil)
    contents = target.path(volume).read_bytes()
    assert (await target.info(volume)).size == 4 * MIB
    assert (await target.info(volume)).parent is None
    await target.resize(volume, 5 * MIB)
    assert target.path(volume).read_bytes() == contents + bytes(MIB)
    for foreign in (False, True):
        for format in ("raw", "qcow2"):
            made = await target.import_image(target.path(volume), "raw", NewImage(101, format), foreign=foreign)
            flat = folder / "flat"
            img("convert", "-f", format, "-O", "raw", target.path(made), flat)
            assert flat.read_bytes() == contents + bytes(MIB), "the header is data, not a reference"
            assert SECRET[:64] not in flat.read_bytes()
            assert len(await target.layers(made)) == 1
    (layer,) = await target.layers(volume)
    assert layer.format == "raw"


async def test_a_guests_own_image_that_came_to_point_at_the_host(folder: Path, secret: Path) -> None:
    """A QEMU that was taken over rewrites its qcow2 header: nothing here opens the image any more."""
    target = storage(folder)
    volume = await target.allocate(NewImage(100, "qcow2"), size=MIB)
    img("rebase", "-u", "-f", "qcow2", "-b", secret, "-F", "raw", target.path(volume))
    for attempt in (
        lambda: target.layers(volume),
        lambda: target.resize(volume, 2 * MIB),
        lambda: target.import_image(target.path(volume), "qcow2", NewImage(101, "raw"), foreign=False),
    ):
        with pytest.raises(DataCorrupt) as caught:
            await attempt()
        assert caught.value.error_code == "image-foreign-reference"
    assert [v.volid for v in await target.list()] == [volume]


class Hostile:
    """A QEMU that was taken over: what it writes into its image between our look at it and the tool's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, image: Path, write: Callable[[Path], object]) -> None:
        self.came = 0
        real = pinned.behind_walls

        async def after_it_wrote(*words: Any, **how: Any) -> Any:
            self.came += 1
            write(image)
            return await real(*words, **how)

        monkeypatch.setattr(pinned, "behind_walls", after_it_wrote)


def points_at(secret: Path) -> Callable[[Path], object]:
    return lambda place: img("rebase", "-u", "-f", "qcow2", "-b", secret, "-F", "raw", place)


async def test_a_reference_that_comes_after_our_look_is_not_followed(
    folder: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty image that came to stand on the secret reads as zeroes: what it stands on is said by us."""
    target = storage(folder)
    await target.activate()
    volume = await target.allocate(NewImage(100, "qcow2"), size=MIB)
    (top,) = await target.layers(volume)
    hostile = Hostile(monkeypatch, target.path(volume), points_at(secret))
    copied = await target.copy(top, NewImage(101, "raw"))
    assert target.path(copied).read_bytes() == bytes(MIB)
    assert await image.contents(top.chain, MIB) == bytes(MIB)
    assert hostile.came == 2


async def test_a_format_that_an_image_claims_for_what_it_stands_on_is_not_believed(folder: Path, secret: Path) -> None:
    """A raw base holds a qcow2 header that names the secret, and the overlay says that its base is qcow2."""
    target = storage(folder)
    await target.activate()
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "evil", "1M")
    made = await target.import_image(folder / "evil", "raw", NewImage(100, "raw"), foreign=False)
    base = await target.make_base(made)
    clone = await target.clone(base, NewImage(101, "qcow2"))
    reference = os.path.relpath(target.path(base), target.path(clone).parent)
    img("rebase", "-u", "-f", "qcow2", "-b", reference, "-F", "qcow2", target.path(clone))
    copied = await target.copy((await target.layers(clone))[0], NewImage(102, "raw"))
    await target.detach(clone)
    img("convert", "-O", "raw", target.path(clone), folder / "flat")
    for found in (target.path(copied).read_bytes(), (folder / "flat").read_bytes()):
        assert SECRET[:64] not in found
        assert found[:4] == b"QFI\xfb", "the base is what it holds"
    await target.unmake_base(base)


async def test_a_data_file_that_comes_after_our_look_cannot_be_opened(
    folder: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one reference that cannot be said beforehand: the tool finds no such file behind its walls."""
    target = storage(folder)
    await target.activate()
    volume = await target.allocate(NewImage(100, "qcow2"), size=MIB)
    await target.snapshot(volume, "one")
    (folder / "data").write_bytes(bytes(MIB))
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    shutil.copy(secret, folder / "data")
    evil = (folder / "x.qcow2").read_bytes()
    top = (await target.layers(volume))[0]
    Hostile(monkeypatch, target.path(volume), lambda place: place.write_bytes(evil))
    for attempt in (
        lambda: target.copy(top, NewImage(101, "raw")),
        lambda: image.commit(top.chain, size=MIB),
        lambda: image.detach(top.chain, size=MIB),
        lambda: image.resize(top.chain, 2 * MIB),
        lambda: image.contents(top.chain, MIB),
    ):
        with pytest.raises(HostFailure) as caught:
            await attempt()
        assert "Permission denied" in caught.value.evidence and "data" in caught.value.evidence
    assert (folder / "data").read_bytes() == secret.read_bytes()
    assert {v.volid for v in await target.list()} == {volume}


async def test_a_pool_gets_a_guests_image_from_behind_the_walls(
    folder: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written over the network is written outside, by a server that the tool inside has one connection to."""
    files = storage(folder)
    await files.activate()
    volume = await files.allocate(NewImage(100, "qcow2"), size=MIB)
    subprocess.run(["qemu-io", "-c", "write -q -P 7 0 64k", files.path(volume)], check=True)
    (top,) = await files.layers(volume)
    pool = folder / "pool"
    target = Layer(path=Path("pool:x"), format="raw", direct=True, protocol={"driver": "file", "filename": str(pool)})

    async def filled() -> bytes:
        pool.write_bytes(bytes(MIB))
        await image.fill_layer(top, target, size=MIB, zeroed=True)
        return pool.read_bytes()

    assert await filled() == b"\7" * 65536 + bytes(MIB - 65536)
    Hostile(monkeypatch, files.path(volume), points_at(secret))
    assert await filled() == b"\7" * 65536 + bytes(MIB - 65536)
    (folder / "data").write_bytes(bytes(MIB))
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    shutil.copy(secret, folder / "data")
    evil = (folder / "x.qcow2").read_bytes()
    monkeypatch.undo()
    hostile = Hostile(monkeypatch, files.path(volume), lambda place: place.write_bytes(evil))
    with pytest.raises(HostFailure) as caught:
        await filled()
    assert hostile.came == 1 and "Permission denied" in caught.value.evidence
    assert pool.read_bytes() == bytes(MIB)
    raw = Layer(path=folder / "disk", format="raw", direct=True)
    raw.path.write_bytes(b"\1" * MIB)
    monkeypatch.undo()
    await image.fill_layer(raw, target, size=MIB, zeroed=False)
    assert pool.read_bytes() == b"\1" * MIB
    gone = Layer(path=Path("pool:y"), format="raw", direct=True, protocol={"driver": "file", "filename": "/nowhere"})
    with pytest.raises(HostFailure, match="cannot write to pool:y"):
        await image.fill_layer(raw, gone, size=MIB, zeroed=False)
    assert str(pool) not in _words_of_all(), "no server is left"


def _words_of_all() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text("utf-8", "replace"))
    return " ".join(words for words in found if "qemu-nbd" in words)
