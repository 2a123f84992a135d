"""Our own disk images and `qemu-img`: create, grow, copy. Foreign images are the jail's business.

Every call names the format, so nothing is ever probed: a raw disk whose guest wrote a qcow2 header stays raw.
Before a tool opens a qcow2 image here, the headers of its chain are checked: a QEMU that a guest took over could have
written one that points at a file of the host; and then none is followed (`pinned.py`). Images are touched only while no
guest runs on them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tarmac.drivers.storage.headers import Qcow2Header, read_qcow2, vmdk_size
from tarmac.drivers.storage.pinned import Chain, qemu_img_on, spelled
from tarmac.drivers.storage.served import option_words, served
from tarmac.drivers.storage.values import Advance, Layer
from tarmac.lib.process import Finished, run
from tarmac.model.errors import DataCorrupt, Fix, HostFailure, NoSpace, TarmacError

_PERCENT = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")
_PREALLOCATION = {"off": "off", "metadata": "metadata", "falloc": "falloc", "full": "full"}
_CHAIN_MAX = 64


async def create(
    path: Path, format: str, size: int, *, preallocation: str = "off", backing: tuple[str, str] | None = None
) -> None:
    """A new image at `path`, which must not exist. `backing` is (reference relative to `path`, its format); it is not
    opened, because a guest may have it open for writing just now.

    `preallocation` is Proxmox's word; raw knows no metadata, and a clone on a backing file none at all. Raises
    NoSpace or HostFailure; what was written by then is the caller's to remove."""
    options = []
    if backing is None:
        word = "off" if format == "raw" and preallocation == "metadata" else _PREALLOCATION[preallocation]
        options = ["-o", f"preallocation={word}"]
    argv = ["qemu-img", "create", "-q", "-f", format, *options]
    if backing is not None:
        argv += ["-u", "-b", backing[0], "-F", backing[1]]
    await qemu_img([*argv, str(path), str(size)], f"cannot create {path.name}", path)


async def resize(chain: Chain, size: int, *, preallocation: str = "off") -> None:
    """Set an image's size in bytes; never shrinks (the tool refuses)."""
    path, format = chain[0]
    word = "off" if preallocation == "metadata" and format == "raw" else preallocation
    command = ["resize", "-q", f"--preallocation={word}"]
    with _told(f"cannot resize {path.name}", path):
        await qemu_img_on(chain, command, [str(size)], writable=1)


async def commit(chain: Chain, *, size: int, advance: Advance | None = None) -> None:
    """Write what a qcow2 layer holds (about `size` bytes) into the image that it stands on. The layer stays as it
    is: its contents are whole at every moment, and a repetition is fine."""
    path, feed = chain[0][0], percent_of(size, advance)
    with _told(f"cannot merge {path.name} into what it stands on", path):
        await qemu_img_on(chain, ["commit", "-p", "-d"], writable=2, on_output=feed)


async def detach(chain: Chain, *, size: int, speed: int = 0, advance: Advance | None = None) -> None:
    """Let a qcow2 image of `size` bytes stand on nothing: what it has of the image below is copied into it, and then
    its reference goes. Broken off it is what it was, and a repetition skips what is there. `speed`: qemu-img knows no
    limit here, so nothing is promised."""
    path, feed = chain[0][0], percent_of(size, advance)
    with _told(f"cannot copy into {path.name} what it stands on", path):
        await qemu_img_on(chain, ["rebase", "-p", "-b", ""], writable=1, on_output=feed)


async def give_back(path: Path) -> None:
    """Free what nothing in a qcow2 image refers to: a QEMU that was killed while it wrote may leave such clusters."""
    with _told(f"cannot check {path.name}", path):
        await qemu_img_on([(path, "qcow2")], ["check", "-q", "-r", "leaks"], writable=1)


async def copy(
    chain: Chain, target: Path, target_format: str, *, size: int, speed: int = 0, advance: Advance | None = None
) -> None:
    """A new flat image `target` with the contents of an image of ours of `size` bytes, at most `speed` bytes a second
    (0: no limit)."""
    await create(target, target_format, size)
    command = ["convert", "-p", "-n", "--target-is-zero", *_limit(speed), "-O", target_format]
    with _told(f"cannot copy {chain[0][0].name}", target):
        await qemu_img_on(chain, command, target=target, on_output=percent_of(size, advance))


async def contents(chain: Chain, size: int) -> bytes:
    """All bytes of a small image of `size` bytes, which a guest may have open for reading. Raises HostFailure."""
    fd = os.memfd_create("contents", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size)
        command = ["convert", "-U", "-n", "--target-is-zero", "-O", "raw"]
        with _told(f"cannot read {chain[0][0].name}", chain[0][0]):
            await qemu_img_on(chain, command, [f"/dev/fd/{fd}"], fds=[fd])
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


async def copy_layer(
    source: Layer, target: Path, target_format: str, *, size: int, speed: int = 0, advance: Advance | None = None
) -> None:
    """`copy`, of a chain that need not lie in files: given by its top layer, `size` bytes long."""
    if not source.protocol:
        await copy(source.chain, target, target_format, size=size, speed=speed, advance=advance)
        return
    argv = ["qemu-img", "convert", "-p", *_limit(speed), "-O", target_format, as_word(source), str(target)]
    await qemu_img(argv, f"cannot copy {source.path}", target, percent_of(size, advance))


async def fill_layer(
    source: Layer, target: Layer, *, size: int, zeroed: bool, speed: int = 0, advance: Advance | None = None
) -> None:
    """Write the contents of a chain of `size` bytes into a raw volume that is there and that need not be a file;
    `zeroed`: nothing was written to it yet. What lies in files is read behind walls (`pinned.py`): a target that takes
    the network is served to them."""
    command = ["convert", "-p", "-n", *_limit(speed), *(["--target-is-zero"] if zeroed else [])]
    feed = percent_of(size, advance)
    with _told(f"cannot write to {target.path}", target.path):
        if source.protocol:
            to = ["--target-image-opts"] if target.protocol else ["-O", target.format]
            where = as_options(target) if target.protocol else str(target.path)
            await run(["qemu-img", *command, *to, as_word(source), where], limit=256 * 1024, on_output=feed)
        elif target.protocol:
            async with served(as_options(target)) as fd:
                words = [*command, "-t", "writeback", "--target-image-opts"]
                await qemu_img_on(source.chain, words, [option_words(fd)], fds=[fd], on_output=feed)
        else:
            command += ["-O", target.format]
            await qemu_img_on(source.chain, command, target=target.path, on_output=feed)


def _limit(speed: int) -> list[str]:
    return ["-r", str(speed)] if speed else []


async def layer_size(layer: Layer) -> int:
    """What a guest sees of a layer that is no file, in bytes. Raises HostFailure."""
    done = await qemu_img(["qemu-img", "info", "--output", "json", as_word(layer)], "cannot read it", layer.path)
    return int(json.loads(done.text)["virtual-size"])


def as_word(layer: Layer) -> str:
    """A layer, with what it stands on, as a file name for qemu-img: everything is said, so nothing is probed."""
    if not layer.protocol:
        return spelled(layer.chain, [str(path) for path, _ in layer.chain])
    return "json:" + json.dumps({"driver": layer.format, "file": dict(layer.protocol)}, sort_keys=True)


def as_options(layer: Layer) -> str:
    """The same as `--image-opts` wants it: `driver=raw,file.driver=rbd,...`."""
    words = [f"driver={layer.format}", *(f"file.{key}={value}" for key, value in _flat(layer.protocol))]
    return ",".join(word.replace(",", ",,") for word in words)


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, one in sorted(value.items()):
        if isinstance(one, Mapping):
            yield from ((f"{key}.{below}", text) for below, text in _flat(one))
        elif isinstance(one, bool):
            yield key, "on" if one else "off"
        else:
            yield key, str(one)


def percent_of(size: int, advance: Advance | None) -> Callable[[bytes], None]:
    """Turns `qemu-img -p`'s output into bytes done."""

    def feed(chunk: bytes) -> None:
        found = _PERCENT.findall(chunk)
        if found and advance is not None:
            advance(int(size * float(found[-1]) / 100), size)

    return feed


async def qemu_img(
    argv: list[str], message: str, where: Path, on_output: Callable[[bytes], None] | None = None
) -> Finished:
    """Run it and translate its failure; `where` is the file that grows."""
    with _told(message, where):
        return await run(argv, limit=256 * 1024, on_output=on_output)


@contextlib.contextmanager
def _told(message: str, where: Path) -> Iterator[None]:
    try:
        yield
    except HostFailure as problem:
        raise image_failure(problem, message, where) from problem


def image_failure(problem: HostFailure, message: str, where: Path) -> TarmacError:
    """A tool's failure as NoSpace when it says that the storage is full, else as HostFailure with its words."""
    words = problem.evidence
    if re.search(
        r"No space left on device|Disk quota exceeded|File too large|ENOSPC|[Ii]nsufficient (free|suitable)", words
    ):
        return NoSpace(
            message,
            cause="the storage has no space left for it",
            evidence=words.splitlines()[-1][-500:],
            fixes=[
                Fix(text=f"free some space on the file system of {where.parent}"),
                Fix(text="use another storage, or a smaller size"),
            ],
        )
    if problem.error_code != "tool-failed":
        return problem
    return HostFailure(message, code=problem.error_code, cause=problem.cause, evidence=words[-2000:])


def virtual_size(path: Path, format: str) -> int:
    """What a guest sees, in bytes, read from the image's header. Blocks. Raises OSError, DataCorrupt."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _size_of(fd, format)
    finally:
        os.close(fd)


def _size_of(fd: int, format: str) -> int:
    if format == "qcow2":
        return read_qcow2(fd).size
    if format == "vmdk" and (size := vmdk_size(fd)) is not None:
        return size
    return os.fstat(fd).st_size


def describe(path: Path, format: str) -> tuple[int, str | None]:
    """(size in bytes, the backing reference as it stands in the image). Blocks. Raises OSError, DataCorrupt."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if format == "qcow2":
            header = read_qcow2(fd)
            return header.size, header.backing_file
        return _size_of(fd, format), None
    finally:
        os.close(fd)


def chain(path: Path, format: str, allowed: Callable[[PurePosixPath], bool]) -> list[tuple[Path, str]]:
    """An image and what lies below it, top first, as (path, format); refuses what no image of ours has.

    `allowed(reference)` decides on each backing reference, which is relative to the images' directory (`100/vm-...`).
    Blocks. Raises OSError, and DataCorrupt for a data file, for an absolute reference or a protocol (`json:`, `nbd:`),
    for one that is not allowed, for more than 64 layers, and, naming the file, for a layer that is missing or
    damaged."""
    images, layers = path.parent.parent, [(path, format)]
    while format == "qcow2":
        header = _header(path)
        if header.data_file:
            raise _foreign(path, "its data lies in another file, which no image made here does", "data file")
        if header.backing_file is None:
            break
        relative = _resolve(path, images, header.backing_file)
        if relative is None or not allowed(relative):
            raise _foreign(path, "its backing file is none that was made here", header.backing_file[:200])
        above, path, format = path, images / relative, relative.suffix.removeprefix(".")
        if not path.exists():
            raise _lost(path, above)
        layers.append((path, format))
        if len(layers) > _CHAIN_MAX:
            raise _foreign(path, f"its chain of backing files is longer than {_CHAIN_MAX}", str(path))
    return layers


def _header(path: Path) -> Qcow2Header:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read_qcow2(fd)
    except DataCorrupt as problem:
        raise DataCorrupt(
            f"the image {path.name} is damaged",
            code=problem.error_code,
            cause=problem.cause,
            evidence=f"{path}: {problem.evidence}",
            fixes=[Fix(text="bring the file back from a backup; every guest that stands on it needs it")],
        ) from problem
    finally:
        os.close(fd)


def _lost(path: Path, above: Path) -> DataCorrupt:
    return DataCorrupt(
        f"the image {path.name} is missing",
        code="image-layer-missing",
        cause=f"{above.name} stores only what differs from it",
        evidence=str(path),
        fixes=[Fix(text=f"bring {path} back from a backup, under the same name")],
    )


def _resolve(path: Path, images: Path, reference: str) -> PurePosixPath | None:
    if reference.startswith("/") or ":" in reference:
        return None
    target = Path(os.path.normpath(path.parent / reference))
    return PurePosixPath(target.relative_to(images)) if target.is_relative_to(images) else None


def _foreign(path: Path, cause: str, evidence: str) -> DataCorrupt:
    return DataCorrupt(
        f"the image {path.name} refers to a foreign file",
        code="image-foreign-reference",
        cause=cause,
        evidence=evidence.encode(errors="backslashreplace").decode(),
        fixes=[Fix(text="look at the guest before anything else: only its own QEMU can have written this")],
    )
