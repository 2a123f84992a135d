"""Freeze a real guest, run others from it: the memory is shared and sealed, nothing that was written is lost."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarmac.drivers.qemu.agent import Agent
from tarmac.drivers.qemu.cgroups import detect
from tarmac.drivers.qemu.live import freeze, memory, mirror, state_file, stream
from tarmac.drivers.qemu.live.machine import check_restorable
from tarmac.drivers.qemu.process import GuestProcess
from tarmac.model.errors import Busy, DataCorrupt, HostFailure, NoSpace, TarmacError

from .conftest import ROOT
from .live_machine import MEMORY, Frozen, answers, boot, clone, installed_node, make_frozen, overlay

needs_root = pytest.mark.skipif(not ROOT, reason="needs root: users of their own, cgroups")


@pytest.fixture(scope="module")
def frozen(tiny_image: Path) -> Iterator[Frozen]:
    """One guest, booted and frozen once for this module."""
    directory = Path(tempfile.mkdtemp(prefix="tm-live-", dir="/tmp"))
    directory.chmod(0o711)
    try:
        yield asyncio.run(make_frozen(directory, tiny_image))
    finally:
        shutil.rmtree(directory)


@pytest.fixture
async def ram(frozen: Frozen) -> int:
    """The template's memory, filled from the volume and sealed; closed by the test's end."""
    return await memory.filled_memory(frozen.volume, "template", MEMORY, None)


@pytest.fixture(autouse=True)
def _no_descriptor_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    fd = request.node.funcargs.get("ram")
    if fd is not None:
        os.close(fd)


def digest(fd: int) -> str:
    return hashlib.sha256(os.pread(fd, MEMORY, 0)).hexdigest()


async def say(agent: Agent, command: str) -> str:
    done = await agent.run(["/bin/sh", "-c", command])
    assert done.exit_code == 0, done
    return done.output.decode()


async def test_a_freeze_is_short_and_its_state_is_small(frozen: Frozen) -> None:
    """The pause is bounded by the device state, which has no RAM in it."""
    assert not frozen.notes, "the agent flushed the file systems"
    assert len(frozen.state) < 8 * 1024 * 1024
    assert frozen.volume.stat().st_blocks * 512 < MEMORY, "zero pages are skipped"


async def test_two_clones_go_on_from_the_same_moment(frozen: Frozen, ram: int) -> None:
    before = digest(ram)
    async with clone(frozen, ram, "201") as (_, one), clone(frozen, ram, "202") as (guest, two):
        for agent in (one, two):
            await answers(agent)
            await agent.fsfreeze_thaw()
            assert await say(agent, "cat /run/mark /data/mark; hostname") == "in-memory\non-disk\nsource\n"
        await say(one, "echo one >/run/mark; echo one >/data/mark; dd if=/dev/zero of=/run/fill bs=1M count=20; sync")
        assert await say(two, "cat /run/mark /data/mark") == "in-memory\non-disk\n"
        assert await guest.monitor().query_uuid() == "22222222-2222-2222-2222-000000000202"
    assert digest(ram) == before


async def test_a_clone_sees_a_new_generation(frozen: Frozen, ram: int) -> None:
    """vmgenid reseeds a kernel of 5.18 and later: the guest has the clone's, not the source's."""
    async with clone(frozen, ram, "203") as (guest, agent):
        await answers(agent)
        found = await guest.monitor().execute("query-vm-generation-id")
        assert found["guid"] == "33333333-3333-3333-3333-000000000203"


async def test_ballooning_a_clone_leaves_the_template_as_it_is(frozen: Frozen, ram: int) -> None:
    """Without the seal this punched holes into the template, and the next clone panicked."""
    before = digest(ram)
    async with clone(frozen, ram, "204") as (guest, agent):
        await answers(agent)
        await agent.fsfreeze_thaw()
        await guest.monitor().balloon(96 * 1024 * 1024)
        async with asyncio.timeout(30):
            while (await guest.monitor().execute("query-balloon"))["actual"] > 116 * 1024 * 1024:
                await asyncio.sleep(0.1)
        await agent.ping(within=60)  # it lives; it is too short of memory to do much else
    assert digest(ram) == before
    async with clone(frozen, ram, "205") as (_, agent):
        await answers(agent)
        await agent.fsfreeze_thaw()
        assert await say(agent, "cat /run/mark") == "in-memory\n"


def test_a_sealed_memory_cannot_be_changed(frozen: Frozen) -> None:
    fd = memory.create_memory("x", 8192)
    try:
        assert not memory.sealed(fd)
        memory.seal(fd)
        assert memory.sealed(fd)
        for change in (lambda: os.pwrite(fd, b"x", 0), lambda: os.ftruncate(fd, 0), lambda: os.ftruncate(fd, 16384)):
            with pytest.raises(PermissionError):
                change()
        with pytest.raises(PermissionError):
            os.posix_fallocate(fd, 0, 16384)
        with pytest.raises(PermissionError):
            again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
            try:
                os.pwrite(again, b"x", 0)
            finally:
                os.close(again)
    finally:
        os.close(fd)


@needs_root
async def test_a_clone_s_user_cannot_write_the_template_s_disk(frozen: Frozen, ram: int) -> None:
    async with clone(frozen, ram, "206") as (guest, _):
        uid = int(Path(f"/proc/{guest.pid}").stat().st_uid)
        done = subprocess.run(["sh", "-c", f": >>{frozen.disk}"], user=uid, group=uid, extra_groups=[], check=False)
        assert done.returncode != 0


@needs_root
async def test_memory_is_charged_to_the_template_s_group(frozen: Frozen) -> None:
    groups = detect()
    group = groups.open(f"live{os.getpid()}", "9000")
    fd = await memory.filled_memory(frozen.volume, "template", MEMORY, group)
    try:
        used = group.usage().memory_bytes
        assert used is not None and used >= MEMORY
        assert os.fstat(fd).st_blocks * 512 == MEMORY, "allocated in full, zero pages too"
    finally:
        os.close(fd)
        async with asyncio.timeout(10):
            while group.remove():
                await asyncio.sleep(0.01)
        groups.close(f"live{os.getpid()}")


async def test_memory_is_found_again_in_a_running_clone(frozen: Frozen, ram: int) -> None:
    async with clone(frozen, ram, "207") as (guest, _):
        found = memory.take_again(guest.pid, guest.record.argv, expected=memory.identity(ram), size=MEMORY)
        assert found is not None
        try:
            assert digest(found) == digest(ram)
        finally:
            os.close(found)
        other = memory.create_memory("other", MEMORY)
        try:
            assert (
                memory.take_again(guest.pid, guest.record.argv, expected=memory.identity(other), size=MEMORY) is None
            ), "a clone cannot pass off another memory"
        finally:
            os.close(other)


async def test_damage_anywhere_refuses_the_volume_and_names_it(frozen: Frozen, tmp_path: Path) -> None:
    """Flip one byte in the header, the manifest, the device state, the page table, the RAM; cut the file short."""
    copy = tmp_path / "vm-100-state-live.raw"
    fd = os.open(frozen.volume, os.O_RDONLY)
    manifest = state_file.read_manifest(fd)
    header = os.pread(fd, 64, 0)
    os.close(fd)
    end = int.from_bytes(header[16:24], "little")
    segment = manifest["segments"][len(manifest["segments"]) // 2]
    places = [
        0,
        9,
        40,
        70,
        4000,
        manifest["pieces"]["state"][0] + 1000,
        manifest["runs"][0],
        segment[0] + segment[1] - 1,
        end + 5,
    ]
    for place in places:
        shutil.copyfile(frozen.volume, copy)
        with copy.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 1]))
        with pytest.raises(DataCorrupt) as caught:
            await memory.read_live_state(copy)
            os.close(await memory.filled_memory(copy, "template", MEMORY, None))
        assert str(copy) in caught.value.message and caught.value.evidence, place
    for length in (0, 100, 5000, segment[0] + 1, end + 1):
        shutil.copyfile(frozen.volume, copy)
        os.truncate(copy, length)
        with pytest.raises(DataCorrupt) as caught:
            os.close(await memory.filled_memory(copy, "template", MEMORY, None))
        assert str(copy) in caught.value.message, length


def test_another_qemu_or_accelerator_is_refused_by_name(frozen: Frozen) -> None:
    node = installed_node()
    check_restorable(frozen.machine, node, what="template 100")
    for change, word in (({"qemu_version": "7.2.1"}, "QEMU"), ({"accelerator": "kvm"}, "accelerator")):
        other = dataclasses.replace(frozen.machine, **change)  # type: ignore[arg-type]
        with pytest.raises(HostFailure) as caught:
            check_restorable(other, node, what="template 100")
        assert word in caught.value.message and caught.value.error_code == "live-state-foreign"


async def test_a_source_that_goes_on(place: Path, tiny_image: Path) -> None:
    """Faults while it is held: it goes on, thawed; capabilities are as before; a later save holds RAM."""
    disk = overlay(place / "disk.qcow2", tiny_image)
    guest, agent = await boot(place, "100", disk, tiny_image)
    try:
        await _full_sink(guest, agent, place)
        await say(agent, "echo still >/data/still; sync")
        states = await guest.monitor().execute("query-migrate-capabilities")
        assert not any(entry["state"] for entry in states if entry["capability"] in ("x-ignore-shared", "events"))
        await _cancelled(guest, agent)
        await say(agent, "echo again >/data/still; sync")
        whole = bytearray()
        async with freeze.held(guest, agent, lambda text: None):
            await stream.save(guest, whole.extend, without_ram=False)
        assert len(whole) > 8 * 1024 * 1024, "a state of its own use has the RAM in it"
        await say(agent, "cat /data/still")
    finally:
        agent.close()
        await guest.kill()
        await guest.close()


async def test_a_block_job_is_in_the_way(place: Path, tiny_image: Path) -> None:
    """It is named, and the guest does not even pause."""
    disk = overlay(place / "disk.qcow2", tiny_image)
    guest, agent = await boot(place, "100", disk, tiny_image)
    try:
        qmp = guest.monitor()
        target = overlay(place / "copy.qcow2", tiny_image)
        file = {"driver": "file", "filename": str(target)}
        await qmp.blockdev_add({"driver": "qcow2", "node-name": "copy", "file": file})
        copying = {"job-id": "copying", "device": "drive-scsi0", "target": "copy", "sync": "full", "speed": 1}
        await qmp.execute("blockdev-mirror", copying)
        with pytest.raises(Busy) as caught:
            async with freeze.held(guest, agent, lambda text: None):
                pass
        assert "copying" in caught.value.cause
        assert await qmp.query_status() == "running"
    finally:
        agent.close()
        await guest.kill()
        await guest.close()


async def _full_sink(guest: GuestProcess, agent: Agent, place: Path) -> None:
    def full(data: bytes) -> None:
        raise NoSpace("cannot write the state", evidence="no space left on device")

    with pytest.raises(NoSpace):
        async with freeze.held(guest, agent, lambda text: None):
            await stream.save(guest, full, without_ram=True)
    assert await guest.monitor().query_status() == "running"
    assert await agent.call("guest-fsfreeze-status") == "thawed"


async def _cancelled(guest: GuestProcess, agent: Agent) -> None:
    """A caller whose deadline passes while the guest stands still."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            async with freeze.held(guest, agent, lambda text: None):
                assert await guest.monitor().query_status() == "paused"
                await asyncio.Event().wait()
    assert await guest.monitor().query_status() == "running"
    assert await agent.call("guest-fsfreeze-status") == "thawed"


async def test_qemu_killed_while_it_is_held(place: Path, tiny_image: Path) -> None:
    disk = overlay(place / "disk.qcow2", tiny_image)
    guest, agent = await boot(place, "100", disk, tiny_image)
    try:
        with pytest.raises(TarmacError):
            async with freeze.held(guest, agent, lambda text: None):
                guest.send_signal(signal.SIGKILL)
                await stream.save(guest, lambda data: None, without_ram=True)
        await guest.exited.wait()
    finally:
        agent.close()
        await guest.close()


async def test_max_goes_on_as_the_processor_it_stood_for(tiny_image: Path) -> None:
    """Every feature by name, so that clones are the same processor whatever `max` means by then."""
    place = Path(tempfile.mkdtemp(prefix="tm-live-", dir="/tmp"))
    place.chmod(0o711)
    try:
        frozen = await make_frozen(place, tiny_image, cpu="max,flags=-aes")
        text = dict(frozen.machine.options)["-cpu"]
        assert text.startswith("base,") and ",aes=off," in text and ",sse2=on," in text and "phys-bits=" in text
        ram = await memory.filled_memory(frozen.volume, "template", MEMORY, None)
        try:
            async with clone(frozen, ram, "240") as (guest, agent):
                await answers(agent)
                await agent.fsfreeze_thaw()
                assert await say(agent, "cat /run/mark") == "in-memory\n"
                words = await guest.monitor().qom_get("/machine/unattached/device[0]", "feature-words")
                assert await _words_of(place, tiny_image) == words
        finally:
            os.close(ram)
    finally:
        shutil.rmtree(place)


async def _words_of(place: Path, image: Path) -> object:
    """The features of a processor that was started as `max` itself."""
    guest, agent = await boot(place, "241", overlay(place / "other.qcow2", image), image, cpu="max,flags=-aes")
    try:
        return await guest.monitor().qom_get("/machine/unattached/device[0]", "feature-words")
    finally:
        agent.close()
        await guest.kill()
        await guest.close()


async def test_a_running_guest_s_memory_is_copied_exactly(tiny_image: Path) -> None:
    """Roughly while it runs, exactly while it stands; sealed then, and the guest goes on as the same process."""
    place = Path(tempfile.mkdtemp(prefix="tm-live-", dir="/tmp"))
    place.chmod(0o711)
    guest, agent = await boot(place, "250", overlay(place / "disk.qcow2", tiny_image), tiny_image)
    try:
        async with mirror.copied(guest, "copy", MEMORY, None) as copy:
            await say(agent, "dd if=/dev/urandom of=/run/noise bs=1M count=8 2>/dev/null; rm -f /run/other")
            await guest.monitor().stop()
            await copy.exact()
            ours = copy.take()
            theirs = memory.open_memory(guest.pid, guest.record.argv)
            assert theirs is not None
            try:
                assert memory.sealed(ours) and digest(ours) == digest(theirs)
                assert os.fstat(ours).st_blocks * 512 >= MEMORY, "allocated in full"
            finally:
                os.close(ours)
                os.close(theirs)
            await guest.monitor().cont()
        assert (await say(agent, "wc -c </run/noise")).strip() == str(8 << 20)
    finally:
        agent.close()
        await guest.kill()
        await guest.close()
        shutil.rmtree(place)


async def test_a_copy_that_is_given_up_leaves_nothing(tiny_image: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="tm-live-", dir="/tmp"))
    place.chmod(0o711)
    guest, agent = await boot(place, "251", overlay(place / "disk.qcow2", tiny_image), tiny_image)
    before = set(os.listdir("/proc/self/fd"))
    try:
        with pytest.raises(RuntimeError):
            async with mirror.copied(guest, "copy", MEMORY, None):
                raise RuntimeError
        children = [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"copy_memory.py" in _read(p)]
        assert not [p for p in children if str(MEMORY).encode() in _read(p) and _parent(p) == os.getpid()]
        assert len(set(os.listdir("/proc/self/fd")) - before) <= 1
    finally:
        agent.close()
        await guest.kill()
        await guest.close()
        shutil.rmtree(place)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _parent(path: Path) -> int:
    words = _read(path.with_name("stat")).rpartition(b")")[2].split()
    return int(words[1]) if words else 0
