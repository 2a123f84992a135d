"""Images made to harm: each is refused or comes out clean, and nothing of the host gets into a guest's disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.storage_site import temporary_root
from tarmac.drivers.storage import image, pinned, walls
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail, JailLimits
from tarmac.drivers.storage.values import Layer
from tarmac.model.errors import DataCorrupt, HostFailure, InvalidInput, NoSpace, TarmacError

MIB = 1 << 20
SECRET = b"the host's secret, not for guests\n" * 64


@pytest.fixture
def folder() -> Iterator[Path]:
    made = temporary_root()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def secret(folder: Path) -> Path:
    """A file of the host that everybody may read: only the jail's own walls keep it out."""
    path = folder / "secret"
    path.write_bytes(SECRET.ljust(MIB, b"."))
    path.chmod(0o644)
    return path


def img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, timeout=60)


def storage(folder: Path, **limits: int) -> DirectoryStorage:
    return DirectoryStorage("local", folder / "store", jail=Jail(limits=JailLimits(**limits) if limits else None))


async def refused(folder: Path, image: Path, format: str, word: str = "") -> TarmacError:
    """The image can neither be looked at nor imported, and nothing is left of the attempt."""
    target = storage(folder)
    await target.activate()
    image.chmod(0o644)
    with pytest.raises(InvalidInput) as caught:
        await target.import_image(image, format, 100, format="raw")
    assert caught.value.error_code == "image-refused"
    assert word in f"{caught.value.cause} {caught.value.evidence}"
    assert caught.value.fixes and caught.value.evidence
    assert [p for p in (folder / "store").rglob("*") if p.is_file()] == []
    return caught.value


async def test_a_backing_file(folder: Path, secret: Path) -> None:
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "x.qcow2")
    problem = await refused(folder, folder / "x.qcow2", "qcow2", "backing file")
    assert str(secret) in problem.evidence


async def test_a_data_file(folder: Path, secret: Path) -> None:
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    await refused(folder, folder / "x.qcow2", "qcow2", "data")


async def test_a_data_file_hidden_from_our_own_look(folder: Path, secret: Path) -> None:
    """Were our reading of the header wrong, the tool inside the jail still could not open another file."""
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    shutil.copy(secret, folder / "data")
    (folder / "data").chmod(0o644)
    (folder / "x.qcow2").chmod(0o644)
    jail = Jail()
    jail._check_first_bytes = lambda fd, name, format: os.fstat(fd).st_size  # type: ignore[method-assign]
    with pytest.raises(InvalidInput) as caught:
        await jail.inspect(folder / "x.qcow2", "qcow2")
    assert "Permission denied" in caught.value.evidence or "data" in caught.value.cause


@pytest.mark.parametrize("method", [1, 2])
async def test_encryption(folder: Path, method: int) -> None:
    """AES and LUKS, by the header's word (making a real one measures the CPU, which fails on a busy machine)."""
    img("create", "-f", "qcow2", folder / "x.qcow2", "1M")
    await refused(folder, patched(folder / "x.qcow2", 32, ">I", method), "qcow2", "encrypted")


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
async def test_vmdk_of_several_files(folder: Path, kind: str) -> None:
    img("create", "-f", "vmdk", "-o", f"subformat={kind}", folder / "x.vmdk", "1M")
    await refused(folder, folder / "x.vmdk", "vmdk", "vmdk-descriptor")


def descriptor(extent: Path) -> str:
    lines = ["# Disk DescriptorFile", "version=1", "CID=1", "parentCID=ffffffff", 'createType="monolithicFlat"']
    return "\n".join([*lines, f'RW 2048 FLAT "{extent}" 0', ""])


async def test_vmdk_with_a_foreign_extent(folder: Path, secret: Path) -> None:
    text = descriptor(secret)
    (folder / "x.vmdk").write_text(text)
    await refused(folder, folder / "x.vmdk", "vmdk", "vmdk-descriptor")


async def test_sparse_vmdk_that_carries_such_a_descriptor(folder: Path, secret: Path) -> None:
    """QEMU reads the descriptor inside a sparse VMDK whose header says capacity 0."""
    text = descriptor(secret)
    header = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 0, 128, 8, 8)
    (folder / "x.vmdk").write_bytes(header.ljust(8 * 512, b"\0") + text.encode().ljust(8 * 512, b"\0"))
    await refused(folder, folder / "x.vmdk", "vmdk", "capacity 0")


async def test_vmdk_with_a_parent(folder: Path, secret: Path) -> None:
    img("create", "-f", "vmdk", folder / "base.vmdk", "1M")
    img("create", "-f", "vmdk", "-b", folder / "base.vmdk", "-F", "vmdk", folder / "x.vmdk")
    await refused(folder, folder / "x.vmdk", "vmdk")


@pytest.mark.parametrize("format", ["vmdk", "vhdx", "vdi", "vpc", "qcow2"])
async def test_another_format_than_its_name_says(folder: Path, secret: Path, format: str) -> None:
    other = "qcow2" if format != "qcow2" else "vmdk"
    img("create", "-f", other, folder / "x", "1M")
    await refused(folder, folder / "x", format, "its first bytes do not")


def patched(path: Path, offset: int, layout: str, value: int) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(layout, value))
    return path


@pytest.mark.parametrize(
    ("offset", "layout", "value", "word"),
    [
        (24, ">Q", 1 << 62, "larger than"),
        (36, ">I", 1 << 31, "first-level table"),
        (56, ">I", 1 << 24, "reference count table"),
        (20, ">I", 40, "cluster size"),
        (4, ">I", 9, "version"),
        (96, ">I", 60, "refcount"),
        (72, ">Q", 1 << 40, "not known"),
    ],
)
async def test_implausible_headers(folder: Path, offset: int, layout: str, value: int, word: str) -> None:
    img("create", "-f", "qcow2", folder / "x.qcow2", "64M")
    await refused(folder, patched(folder / "x.qcow2", offset, layout, value), "qcow2", word)


@pytest.mark.parametrize("keep", [0, 3, 50, 100, 70_000])
async def test_cut_off_images(folder: Path, keep: int) -> None:
    img("create", "-f", "qcow2", folder / "x.qcow2", "1G")
    with (folder / "x.qcow2").open("r+b") as file:
        file.truncate(keep)
    if keep == 70_000:  # its tables are gone: what can be read is zeroes, or an error, but never a hang
        target = storage(folder)
        try:
            await target.import_image(folder / "x.qcow2", "qcow2", 100, format="qcow2")
        except (InvalidInput, HostFailure):
            assert await target.list() == []
        return
    await refused(folder, folder / "x.qcow2", "qcow2")


async def test_noise(folder: Path) -> None:
    (folder / "x.qcow2").write_bytes(b"QFI\xfb\0\0\0\3" + os.urandom(100_000))
    await refused(folder, folder / "x.qcow2", "qcow2")


async def test_a_raw_disk_stays_raw_whatever_its_guest_wrote(folder: Path, secret: Path) -> None:
    """The guest writes a qcow2 header with a backing file of the host into its raw disk. Nobody may follow it."""
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "evil", "1M")
    evil = (folder / "evil").read_bytes()
    target = storage(folder)
    volume = await target.allocate(100, size=4 * MIB, format="raw")
    with target.path(volume).open("r+b") as file:
        file.write(evil)
    contents = target.path(volume).read_bytes()
    assert (await target.info(volume)).size == 4 * MIB
    assert (await target.info(volume)).parent is None
    await target.resize(volume, 5 * MIB)
    assert target.path(volume).read_bytes() == contents + bytes(MIB)
    for foreign in (False, True):
        for format in ("raw", "qcow2"):
            made = await target.import_image(target.path(volume), "raw", 101, format=format, foreign=foreign)
            flat = folder / "flat"
            img("convert", "-f", format, "-O", "raw", target.path(made), flat)
            assert flat.read_bytes() == contents + bytes(MIB), "the header is data, not a reference"
            assert SECRET[:64] not in flat.read_bytes()
            assert len(await target.layers(made)) == 1
    (layer,) = await target.layers(volume)
    assert layer.format == "raw"


async def test_an_uploaded_raw_image_with_a_qcow2_header(folder: Path, secret: Path) -> None:
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "x.raw", "1M")
    (folder / "x.raw").chmod(0o644)
    target = storage(folder)
    made = await target.import_image(folder / "x.raw", "raw", 100, format="raw")
    contents = (folder / "x.raw").read_bytes()
    assert target.path(made).read_bytes() == contents + bytes(-len(contents) % 512)


async def test_a_guests_own_image_that_came_to_point_at_the_host(folder: Path, secret: Path) -> None:
    """A QEMU that was taken over rewrites its qcow2 header: nothing here opens the image any more."""
    target = storage(folder)
    volume = await target.allocate(100, size=MIB, format="qcow2")
    img("rebase", "-u", "-f", "qcow2", "-b", secret, "-F", "raw", target.path(volume))
    for attempt in (
        lambda: target.layers(volume),
        lambda: target.resize(volume, 2 * MIB),
        lambda: target.import_image(target.path(volume), "qcow2", 101, format="raw", foreign=False),
    ):
        with pytest.raises(DataCorrupt) as caught:
            await attempt()
        assert caught.value.error_code == "image-foreign-reference"
    assert [v.volid for v in await target.list()] == [volume]


async def test_a_small_image_that_unfolds(folder: Path) -> None:
    """32 GiB in a file of 200 KiB stay sparse; an image that would fill the disk ends at the reserve."""
    img("create", "-f", "qcow2", folder / "x.qcow2", "32G")
    target = storage(folder)
    made = await target.import_image(folder / "x.qcow2", "qcow2", 100, format="raw")
    info = await target.info(made)
    assert info.size == 32 << 30
    assert info.used is not None and info.used < MIB
    await target.free(made)

    img("create", "-f", "raw", folder / "full.raw", "256M")
    with (folder / "full.raw").open("r+b") as file:
        for _ in range(256):
            file.write(b"x" * MIB)
    img("convert", "-c", "-O", "qcow2", folder / "full.raw", folder / "bomb.qcow2")
    assert (folder / "bomb.qcow2").stat().st_size < 2 * MIB
    total = (await target.status()).total
    greedy = DirectoryStorage("local", folder / "store", jail=Jail(limits=JailLimits(reserve=total, reserve_share=1.0)))
    with pytest.raises(NoSpace) as caught:
        await greedy.import_image(folder / "bomb.qcow2", "qcow2", 100, format="raw")
    assert caught.value.evidence and caught.value.fixes and caught.value.cause
    assert await target.list() == []


async def test_limits_of_memory_and_time_end_the_tool(folder: Path) -> None:
    img("create", "-f", "qcow2", folder / "x.qcow2", "1G")
    (folder / "x.qcow2").chmod(0o644)
    with pytest.raises(InvalidInput):
        await Jail(limits=JailLimits(memory=8 * MIB)).inspect(folder / "x.qcow2", "qcow2")
    with pytest.raises(InvalidInput) as caught:
        await Jail(limits=JailLimits(virtual_size=MIB)).inspect(folder / "x.qcow2", "qcow2")
    assert "larger than 1.00 MiB" in caught.value.cause


async def test_special_files_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "x.qcow2")
    with pytest.raises(HostFailure):
        await Jail().inspect(folder / "x.qcow2", "qcow2")


PYTHON = "/usr/bin/python3"  # other users may run it, which is not said of the one that runs the tests
needs_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs an interpreter that other users may run")

PROBE = """
import os, socket, sys
def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "done"
print(os.getuid(), tried(lambda: open("/etc/passwd").read()), tried(lambda: socket.socket()),
      tried(lambda: open("/tmp/tarmac-jail-test", "w")), tried(lambda: os.listdir("/proc/1/fd")),
      tried(lambda: os.symlink("/etc", "/tmp/tarmac-jail-link")))
"""


@needs_python
async def test_the_jail_has_walls() -> None:
    """What a taken-over tool could do: nothing but its open files."""
    jail = Jail()
    protections = await jail.protections()
    assert protections == {"namespaces": True, "landlock": True, "seccomp": True}
    child = str(walls.CHILD)
    spec = {
        "argv": [PYTHON, "-I", "-S", "-c", PROBE],
        "uid": 65534 if os.geteuid() == 0 else None,
        "gid": 65534,
        "limits": {"NOFILE": 64},
        "readable": walls.LIBRARIES,
        "fds": [],
        "given": [],
        "first": 20,
    }
    import json

    done = subprocess.run(
        [sys.executable, "-I", "-S", child, json.dumps(spec)], capture_output=True, text=True, check=True
    )
    uid, *outcomes = done.stdout.split()
    assert outcomes == ["PermissionError"] * 5
    if os.geteuid() == 0:
        assert uid == "65534"


@needs_python
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
async def test_the_jail_works_without_root(folder: Path) -> None:
    """The same walls for a daemon that is not root."""
    paths = ":".join(p for p in sys.path if p)

    def as_somebody(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, "-c", script], user=61500, group=61500, extra_groups=[], capture_output=True, text=True,
            cwd="/", env={**os.environ, "PYTHONPATH": paths}, timeout=60, check=False,
        )  # fmt: skip

    if as_somebody("import tarmac").returncode:
        pytest.skip("an ordinary user cannot reach this checkout")
    img("create", "-f", "qcow2", folder / "x.qcow2", "1M")
    work = folder / "work"
    work.mkdir()
    for path in (folder / "x.qcow2", work):
        os.chown(path, 61500, 61500)
    source, target = str(folder / "x.qcow2"), str(work / "y.raw")
    script = (
        "import asyncio, pathlib\n"
        "from tarmac.drivers.storage.jail import Jail\n"
        "async def main():\n"
        "    jail = Jail()\n"
        "    print(await jail.protections())\n"
        f"    await jail.convert(pathlib.Path({source!r}), 'qcow2', pathlib.Path({target!r}), 'raw')\n"
        "asyncio.run(main())\n"
    )
    done = as_somebody(script)
    assert done.returncode == 0, done.stderr
    assert "'seccomp': True" in done.stdout
    assert (work / "y.raw").stat().st_size == MIB


async def test_a_full_disk_comes_out_as_itself_whatever_fails_beside_it(folder: Path) -> None:
    jail = Jail(limits=JailLimits(reserve=1 << 60, reserve_share=1.0))
    with pytest.raises(NoSpace):
        async with jail._space_watched(folder / "target"):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                raise HostFailure("the tool failed, too") from None


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
    volume = await target.allocate(100, size=MIB, format="qcow2")
    (top,) = await target.layers(volume)
    hostile = Hostile(monkeypatch, target.path(volume), points_at(secret))
    copied = await target.copy(top, 101, format="raw")
    assert target.path(copied).read_bytes() == bytes(MIB)
    assert await image.contents(top.chain, MIB) == bytes(MIB)
    assert hostile.came == 2


async def test_a_format_that_an_image_claims_for_what_it_stands_on_is_not_believed(folder: Path, secret: Path) -> None:
    """A raw base holds a qcow2 header that names the secret, and the overlay says that its base is qcow2."""
    target = storage(folder)
    await target.activate()
    img("create", "-f", "qcow2", "-b", secret, "-F", "raw", folder / "evil", "1M")
    made = await target.import_image(folder / "evil", "raw", 100, format="raw", foreign=False)
    base = await target.make_base(made)
    clone = await target.clone(base, 101)
    reference = os.path.relpath(target.path(base), target.path(clone).parent)
    img("rebase", "-u", "-f", "qcow2", "-b", reference, "-F", "qcow2", target.path(clone))
    copied = await target.copy((await target.layers(clone))[0], 102, format="raw")
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
    volume = await target.allocate(100, size=MIB, format="qcow2")
    await target.snapshot(volume, "one")
    (folder / "data").write_bytes(bytes(MIB))
    img("create", "-f", "qcow2", "-o", f"data_file={folder}/data,data_file_raw=on", folder / "x.qcow2", "1M")
    shutil.copy(secret, folder / "data")
    evil = (folder / "x.qcow2").read_bytes()
    top = (await target.layers(volume))[0]
    Hostile(monkeypatch, target.path(volume), lambda place: place.write_bytes(evil))
    for attempt in (
        lambda: target.copy(top, 101, format="raw"),
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
    volume = await files.allocate(100, size=MIB, format="qcow2")
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


OWNED = """
import os, sys
def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "done"
others = sys.argv[1]
print(tried(lambda: open("/dev/fd/20").read()), tried(lambda: open("/dev/fd/20", "r+")),
      tried(lambda: open("/dev/fd/21", "r+")), tried(lambda: open("/etc/shadow")), tried(lambda: open(others)),
      tried(lambda: os.kill(int(sys.argv[2]), 0)), tried(lambda: os.fchown(20, 0, 0)))
"""


async def test_walls_that_cannot_be_put_up_are_not_the_images_fault(folder: Path) -> None:
    with pytest.raises(HostFailure) as caught:
        await walls.behind_walls(["info", "x"], uid=None, limits={}, given=[walls.Given(path=folder)])
    assert caught.value.error_code == "jail-failed"
    assert "no regular file" in caught.value.evidence and "Traceback" not in caught.value.evidence


@needs_python
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which keeps one right")
async def test_root_behind_walls_opens_what_it_is_given_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a guest's user, one to read and one to write; not its others, nobody's processes."""
    for name in ("read", "write", "other"):
        (folder / name).write_bytes(b"x")
        (folder / name).chmod(0o600)
        os.chown(folder / name, 61500, 61500)
    given = [walls.Given(path=folder / "read"), walls.Given(path=folder / "write", writable=True)]
    monkeypatch.setattr(shutil, "which", lambda _: PYTHON)
    words = ["-I", "-S", "-c", OWNED, str(folder / "other"), str(os.getpid())]
    done = await walls.behind_walls(words, uid=walls.ROOT_WITHIN, limits={}, given=given)
    refusals = [
        "PermissionError",
        "done",
        "PermissionError",
        "PermissionError",
        "ProcessLookupError",
        "PermissionError",
    ]
    assert done.text.split() == ["done", *refusals], done.error_text
