"""Uploads: whole or not there, checked, overwritten in one step; nothing is left of what went wrong."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.storage_site import Site, site, temporary_root
from tarmac.model.errors import DataCorrupt, InvalidInput, NoSpace, NotFound, TarmacError
from tarmac.model.job import JobState
from tarmac.services.transfers.uploads import UploadFields


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


async def pieces(data: bytes, size: int = 70_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def fields(content: str = "iso", filename: str = "debian.iso", **more: str) -> UploadFields:
    return UploadFields.of({"content": content, **more}, filename)


async def upload(local: Site, data: bytes, given: UploadFields) -> str:
    received = await local.uploads.receive("local", given, pieces(data), size=len(data))
    assert received.size == len(data)
    record = await local.done(await local.uploads.finish("root@pam", received))
    if record.state is not JobState.DONE:
        assert record.error is not None
        raise RuntimeError(record.error["code"])
    assert record.kind == "imgcopy"
    return str((record.result or {})["volid"])


async def test_a_file_comes_in(local: Site) -> None:
    data = bytes(range(256)) * 12_345
    digest = hashlib.sha256(data).hexdigest()
    volid = await upload(
        local, data, fields(checksum=digest.upper(), **{"checksum-algorithm": "sha256"}, filename="../../My disk.iso")
    )
    assert volid == "local:iso/My_disk.iso"
    assert (local.root / "storage/template/iso/My_disk.iso").read_bytes() == data
    (row,) = await local.views.content("local", content="iso")
    assert (row["volid"], row["size"], row["format"]) == (volid, len(data), "iso")
    assert local.files() == ["template/iso/My_disk.iso"]


async def test_an_existing_file_is_overwritten_whole(local: Site) -> None:
    await upload(local, b"old" * 1000, fields())
    await upload(local, b"new", fields())
    assert (local.root / "storage/template/iso/debian.iso").read_bytes() == b"new"


async def test_a_link_under_that_name_is_replaced_not_followed(local: Site) -> None:
    victim = local.root / "victim"
    victim.write_bytes(b"precious")
    (local.root / "storage/template/iso/debian.iso").symlink_to(victim)
    await upload(local, b"new", fields())
    assert victim.read_bytes() == b"precious"


async def test_a_wrong_checksum_leaves_nothing(local: Site) -> None:
    with pytest.raises(DataCorrupt) as caught:
        await upload(local, b"data", fields(checksum="0" * 32, **{"checksum-algorithm": "md5"}))
    assert caught.value.message.startswith("checksum mismatch: got '8d777f385d3dfec8815d20f7496026dc' != expect '000")
    assert local.files() == []


@pytest.mark.parametrize(
    ("given", "name", "problems"),
    [
        ({}, None, {"content", "filename"}),
        ({"content": "iso", "checksum": "x"}, "x.iso", {"checksum"}),
        ({"content": "iso", "checksum-algorithm": "md5"}, "x.iso", {"checksum-algorithm"}),
        ({"content": "iso", "checksum": "x", "checksum-algorithm": "crc"}, "x.iso", {"checksum-algorithm"}),
    ],
)
def test_wrong_fields(given: dict[str, str], name: str | None, problems: set[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        UploadFields.of(given, name)
    assert set(caught.value.parameters) == problems


async def test_what_is_refused_before_the_first_byte(local: Site) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    for content, name, wanted in [("iso", "x.exe", "filename"), ("backup", "x.yml", "content")]:
        with pytest.raises(InvalidInput) as caught:
            await local.uploads.receive("local", fields(content, name), never())
        assert wanted in caught.value.parameters
    with pytest.raises(NotFound, match="storage 'other' does not exist"):
        await local.uploads.receive("other", fields(), never())
    with pytest.raises(TarmacError) as full:
        await local.uploads.receive("local", fields(), never(), size=1 << 60)
    assert isinstance(full.value, NoSpace)
    assert full.value.cause and full.value.evidence and full.value.fixes


async def test_a_client_that_goes_away(local: Site) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await local.uploads.receive("local", fields(), broken())
    assert local.files() == []


async def test_a_request_that_is_cancelled(local: Site) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        started.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(local.uploads.receive("local", fields(), endless()))
        await started.wait()
        assert len(local.files()) == 1
        task.cancel()
    assert local.files() == []


async def test_a_disk_image_is_looked_at_before_it_gets_its_name(local: Site) -> None:
    good, evil = local.root / "good.qcow2", local.root / "evil.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", good, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", evil], check=True)
    assert await upload(local, good.read_bytes(), fields("import", "a.qcow2")) == "local:import/a.qcow2"
    with pytest.raises(RuntimeError, match="image-refused"):
        await upload(local, evil.read_bytes(), fields("import", "b.qcow2"))
    with pytest.raises(RuntimeError, match="image-refused"):
        await upload(local, b"not an image", fields("import", "c.vmdk"))
    assert local.files() == ["import/a.qcow2"]


@pytest.mark.parametrize("phase", ["before-intent", "before-effect", "after-effect", "after-result"])
async def test_a_crash_in_the_task_is_finished_by_the_next_daemon(phase: str) -> None:
    root = temporary_root()
    cut = asyncio.Event()

    def crash(step: str, at: str) -> None:
        if (step, at) == ("upload-finish", phase):
            cut.set()
            raise asyncio.CancelledError

    async with site(root, on_phase=crash) as first:
        received = await first.uploads.receive("local", fields(), pieces(b"contents"))
        upid = await first.uploads.finish("root@pam", received)
        await cut.wait()
    async with site(root) as second:
        assert not await second.uploads.sweep(), "what an unfinished job still needs"
        assert await second.jobs.recover() == [upid]
        record = await second.done(upid)
        assert record.exitstatus == "OK"
        assert second.files() == ["template/iso/debian.iso"]
    remove(root)


async def test_a_crash_while_bytes_come_in_leaves_what_the_next_start_removes() -> None:
    root = temporary_root()
    async with site(root) as first:
        await first.uploads.receive("local", fields(), pieces(b"contents"))  # received, but no task was started
        assert len(first.files()) == 1
    async with site(root) as second:
        assert len(await second.uploads.sweep()) == 1
        assert await second.jobs.recover() == []
        assert second.files() == []
    remove(root)


def remove(root: Path) -> None:
    import shutil

    shutil.rmtree(root)
