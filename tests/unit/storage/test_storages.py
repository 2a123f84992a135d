"""Storages and volumes as services: definitions with digests, probes that hang, steps that are undone."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.storage_site import Site, site, temporary_root
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import NewImage
from tarmac.model.digest import CHANGED
from tarmac.model.disk import ScsiDisk
from tarmac.model.errors import (
    Busy,
    Conflict,
    HostFailure,
    InvalidInput,
    NoSpace,
    NotBuilt,
    NotFound,
    TarmacError,
    WrongState,
)
from tarmac.model.job import Plan, PlannedStep
from tarmac.model.parse import parse_property_string
from tarmac.services.storage import probe as storage_probe
from tarmac.services.storage.probe import StorageProbe

MIB = 1 << 20


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


async def test_the_default_storage(local: Site) -> None:
    (row,) = local.views.rows()
    assert (row["storage"], row["type"], row["active"], row["enabled"], row["shared"]) == ("local", "dir", 1, 1, 0)
    assert row["total"] > 0 and row["avail"] > 0 and 0 <= row["used_fraction"] <= 1
    assert row["content"] == "backup,images,import,iso,rootdir,snippets,vztmpl"
    (resource,) = local.views.resources()
    assert (resource["status"], resource["plugintype"], resource["maxdisk"]) == ("available", "dir", row["total"])
    for wanted, there in (("iso", 1), ("images", 1), ("none", 0)):
        assert len(local.views.rows(content=[wanted])) == there
    assert local.views.rows(format=True)[0]["formats"] == {"supported": ["qcow2", "raw"], "default": "qcow2"}
    with pytest.raises(InvalidInput) as caught:
        local.views.status("nothing")
    assert caught.value.parameters == {"storage": "No such storage."}


async def test_definitions_from_creation_to_removal(local: Site) -> None:
    path = str(local.root / "second")
    texts = {"storage": "second", "type": "dir", "path": path, "content": "iso,images"}
    assert await local.storages.create(texts) == {"storage": "second", "type": "dir"}
    with pytest.raises(Conflict, match="storage ID 'second' already defined"):
        await local.storages.create(texts)
    shown = local.storages.definition("second")
    assert shown["content"] == "images,iso" and shown["path"] == path
    assert [d["storage"] for d in local.storages.definitions()] == ["local", "second"]
    assert Path(path, "template/iso").is_dir() and not Path(path, "dump").exists()
    with pytest.raises(Conflict) as caught:
        await local.storages.update("second", {"content": "iso"}, digest="0" * 40)
    assert caught.value.message == CHANGED
    await local.storages.update("second", {"content": "iso", "shared": "1"}, digest=shown["digest"])
    assert local.storages.definition("second")["shared"] == 1
    with pytest.raises(InvalidInput, match="storage 'second' does not support 'images' content"):
        await local.volumes.create("second", 100, "vm-100-x.raw", "1M")
    await local.storages.update("second", {"disable": "1"}, delete=["shared"])
    with pytest.raises(WrongState, match="disabled"):
        local.storages.get("second")
    assert local.views.status("second")["enabled"] == 0
    with pytest.raises(Conflict, match="in use"):
        await local.storages.delete("second", used_by=[100])
    await local.storages.delete("second")
    with pytest.raises(NotFound, match="storage 'second' does not exist"):
        local.storages.definition("second")
    assert Path(path).is_dir()


async def test_definitions_outlive_the_daemon(local: Site) -> None:
    await local.storages.create({"storage": "second", "type": "dir", "path": str(local.root / "second")})
    again = type(local.storages)(node="n1", store=local.store, build=local.storages._build, data=local.root / "storage")
    await again.start()
    assert again.definition("second")["path"] == str(local.root / "second")
    assert again.digest == local.storages.digest


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        ({"storage": "x1", "type": "esxi", "server": "a"}, NotBuilt),
        ({"storage": "x1", "type": "nfs", "server": "a"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "/tmp/x", "server": "a"}, InvalidInput),
        ({"storage": "x1", "type": "dir"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "relative"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "/a/../b"}, InvalidInput),
        ({"storage": "../x", "type": "dir", "path": "/tmp/x"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "/tmp/x", "pool": "rbd"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "/tmp/x", "content": "films"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "/tmp/x", "content-dirs": "iso=../../etc"}, InvalidInput),
        ({"storage": "x1", "type": "dir", "path": "/proc/no/such"}, TarmacError),
        ({"storage": "x1", "type": "dir", "path": "/tmp", "is_mountpoint": "/tmp/no-mount"}, TarmacError),
    ],
)
async def test_wrong_definitions_are_not_stored(local: Site, texts: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        await local.storages.create(texts)
    assert [d["storage"] for d in local.storages.definitions()] == ["local"]


async def test_a_storage_that_hangs_costs_only_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """statvfs of a dead file server never returns: its figures go stale, the other storage's do not."""
    monkeypatch.setattr(storage_probe, "PROBE_SECONDS", 0.2)
    release = threading.Event()
    root = temporary_root()

    class Dead(DirectoryStorage):
        dead = False

        def _check_there(self) -> None:
            if self.dead:
                release.wait()

    good, bad = DirectoryStorage("good", root, jail=Jail()), Dead("bad", root, jail=Jail())
    probe = StorageProbe()
    first = await probe.refresh([good, bad])
    assert first["bad"].active
    bad.dead = True
    try:
        for _ in range(3):
            async with asyncio.timeout(2):
                seen = await probe.refresh([good, bad])
            assert seen["good"].active and not seen["good"].stale
            assert seen["bad"].stale and not seen["bad"].active
            assert seen["bad"].status == first["bad"].status
            assert seen["bad"].problem is not None and seen["bad"].problem.error_code == "storage-timeout"
    finally:
        release.set()  # a thread that waits on would keep the interpreter from ending
        shutil.rmtree(root)


async def run_steps(local: Site, *steps: PlannedStep) -> str | None:
    """A job of these steps; returns its exit status."""
    kind = f"test{len(local.jobs.registry.kinds)}"

    async def plan(_: object) -> Plan:
        return Plan(steps=steps)

    local.jobs.registry.kind(kind, plan)
    return (await local.done(await local.jobs.submit(kind, id="", user="root@pam"))).exitstatus


FAILING = PlannedStep(step="volume-import", title="fail", args={"volid": "local:1/vm-1-x.raw", "template": "/none"})


def disk(text: str) -> ScsiDisk:
    return parse_property_string(ScsiDisk, text)


async def test_a_disk_key_becomes_a_volume_and_is_undone_when_the_job_fails(local: Site) -> None:
    new = await local.volumes.plan_disk(100, "scsi0", disk("local:1"))
    second = await local.volumes.plan_disk(100, "scsi1", disk("local:2,format=raw"), taken=[new.volid])
    assert (new.volid, new.size) == ("local:100/vm-100-disk-0.qcow2", 1 << 30)
    assert second.volid == "local:100/vm-100-disk-1.raw"
    assert await run_steps(local, new.step, second.step, FAILING) != "OK"
    assert local.files() == []
    assert await run_steps(local, new.step, second.step) == "OK"
    assert local.files() == ["images/100/vm-100-disk-0.qcow2", "images/100/vm-100-disk-1.raw"]
    # The same plan once more fails, because the names are taken; its undo must not take the volumes away.
    assert "already exists" in str(await run_steps(local, new.step))
    assert local.files() == ["images/100/vm-100-disk-0.qcow2", "images/100/vm-100-disk-1.raw"]


async def test_import_from(local: Site) -> None:
    source = local.root / "storage/import/x.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", source, "48M"], check=True)
    new = await local.volumes.plan_disk(100, "scsi0", disk("local:0,import-from=local:import/x.qcow2"))
    assert new.size == 48 * MIB
    assert await run_steps(local, new.step) == "OK"
    copy = await local.volumes.plan_disk(101, "scsi0", disk(f"local:0,import-from={new.volid},format=raw"))
    assert await run_steps(local, copy.step) == "OK"
    assert (local.root / "storage/images/101/vm-101-disk-0.raw").stat().st_size == 48 * MIB
    for text in ("local:1,import-from=local:import/x.qcow2", "local:0", "local:0,import-from=local:iso/x.iso"):
        with pytest.raises((InvalidInput, NotFound)):
            await local.volumes.plan_disk(100, "scsi0", disk(text))


async def test_content_calls(local: Site) -> None:
    made = await local.volumes.create("local", 9999, "vm-9999-pvc-1.raw", "1024", "raw")
    assert made == "local:9999/vm-9999-pvc-1.raw"
    assert (await local.views.volume(made))["size"] == MIB
    with pytest.raises(InvalidInput, match="Parameter"):
        await local.volumes.create("local", 9999, "vm-9999-pvc-1.raw", "1024", "qcow2")
    with pytest.raises(Conflict, match="already exists"):
        await local.volumes.create("local", 9999, "vm-9999-pvc-1.raw", "1024")
    guest = local.guest(100, f"scsi0: {made}\n")
    with pytest.raises(Conflict, match="still in use"):
        await local.volumes.delete("root@pam", made)
    assert await local.volumes.owned(guest) == []
    del local.guests[100]
    record = await local.done(await local.volumes.delete("root@pam", made))
    assert record.exitstatus == "OK" and record.kind == "imgdel"
    with pytest.raises(NotFound, match="does not exist"):
        await local.volumes.delete("root@pam", made)


async def test_owned_volumes(local: Site) -> None:
    own = await local.volumes.create("local", 100, "vm-100-disk-0.raw", "1M")
    lost = await local.volumes.create("local", 100, "vm-100-disk-9.raw", "1M")
    foreign = await local.volumes.create("local", 101, "vm-101-disk-0.raw", "1M")
    guest = local.guest(100, f"ide2: local:iso/x.iso,media=cdrom\nscsi0: {own},size=1M\nscsi1: {foreign}\n")
    assert await local.volumes.owned(guest) == [own]
    assert sorted(await local.volumes.owned(guest, unreferenced=True)) == sorted([own, lost])
    local.guest(102, f"scsi0: {own}\n")
    assert await local.volumes.owned(guest) == []


async def test_a_base_with_linked_clones_stays(local: Site) -> None:
    base = await local.volumes.create("local", 900, "base-900-disk-0.qcow2", "1M")
    images = local.root / "storage/images"
    (images / "100").mkdir()
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "../900/base-900-disk-0.qcow2", "-F", "qcow2",
         images / "100/vm-100-disk-0.qcow2"], check=True,
    )  # fmt: skip
    clone = "local:900/base-900-disk-0.qcow2/100/vm-100-disk-0.qcow2"
    rows = await local.views.content("local", content="images")
    assert [(r["volid"], r.get("parent")) for r in rows] == [
        (base, None), (clone, "../900/base-900-disk-0.qcow2"),
    ]  # fmt: skip
    with pytest.raises(Busy, match="in use by linked clone"):
        await local.volumes.delete("root@pam", base)
    config = local.guest(100, f"scsi0: {clone},size=1M\n").config
    facts = (await local.volumes.facts(config))[clone]
    assert facts.path.endswith("100/vm-100-disk-0.qcow2") and not facts.read_only
    assert (
        facts.backing is not None and facts.backing.read_only and facts.backing.path.endswith("base-900-disk-0.qcow2")
    )
    if os.geteuid() == 0:
        await local.volumes.own(config, 61777)
        for path, flag in ((facts.path, os.O_RDWR), (facts.backing.path, os.O_RDONLY)):
            opens = f"import os; os.open({path!r}, {flag})"
            subprocess.run(["/usr/bin/python3", "-c", opens], user=61777, group=61777, extra_groups=[], check=True)
        other = f"import os; os.open({facts.backing.path!r}, 0)"
        done = subprocess.run(["/usr/bin/python3", "-c", other], user=61778, group=61778, extra_groups=[],
                              capture_output=True, check=False)  # fmt: skip
        assert b"PermissionError" in done.stderr


@pytest.fixture
def small() -> Iterator[Path]:
    """A file system of 8 MiB."""
    root = temporary_root()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", root], check=False).returncode:
        root.rmdir()
        pytest.skip("needs the right to mount")
    yield root
    subprocess.run(["umount", root], check=True)
    root.rmdir()


async def test_a_full_disk_is_said_and_nothing_is_left(small: Path) -> None:
    storage = DirectoryStorage("local", small, jail=Jail(), preallocation="full")
    await storage.activate()
    first = await storage.allocate(NewImage(100, "raw"), size=4 * MIB)
    before = storage.path(first).read_bytes()
    source = temporary_root() / "x.raw"
    source.write_bytes(os.urandom(16 * MIB))
    source.chmod(0o644)
    for attempt in (
        lambda: storage.allocate(NewImage(100, "raw"), size=64 * MIB),
        lambda: storage.allocate(NewImage(100, "qcow2"), size=64 * MIB),
        lambda: storage.import_image(source, "raw", NewImage(100, "qcow2")),
        lambda: storage.import_image(source, "raw", NewImage(100, "raw"), foreign=False),
    ):
        with pytest.raises(NoSpace) as caught:
            await attempt()
        problem = caught.value
        assert problem.message and problem.cause and problem.evidence and problem.fixes
        assert problem.error_code == "no-space"
        assert [p.name for p in small.rglob("*") if p.is_file()] == ["vm-100-disk-0.raw"]
    assert storage.path(first).read_bytes() == before
    shutil.rmtree(source.parent)


async def test_what_nobody_has_run_yet_must_be_asked_for() -> None:
    async with site() as here:
        texts = {"storage": "pool", "type": "zfspool", "pool": "tank"}
        with pytest.raises(NotBuilt, match="not yet run against a real kernel") as refused:
            await here.storages.create(texts)
        assert refused.value.error_code == "storage-untested"
        assert refused.value.fixes[0].parameters == {"allow-untested": "1"}
        with pytest.raises(HostFailure):  # switched on it is tried: here is no such pool
            await here.storages.create({**texts, "allow-untested": "1"})
        for more in ({"type": "lvm"}, {"type": "lvmthin", "thinpool": "data"}):
            with pytest.raises(HostFailure):  # tried at once: here is no such group
                await here.storages.create({"storage": "pool", "vgname": "tarmac-none", **more})
        assert [row["storage"] for row in here.storages.definitions()] == ["local"]
        with pytest.raises(InvalidInput, match="Parameter verification failed"):
            await here.storages.create({"storage": "pool", "type": "dir", "path": "/tmp/x", "allow-untested": "1"})


@pytest.mark.parametrize("format", ["raw", "qcow2"])
async def test_a_disk_longer_than_the_file_systems_files_is_refused_before_it_is_written(
    tmp_path: Path, format: str
) -> None:
    storage = DirectoryStorage("local", tmp_path, jail=Jail(), preallocation="metadata")
    await storage.activate()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, limits[1]))  # ext4 has 16 TiB
    try:
        with pytest.raises(HostFailure) as refused:
            await storage.allocate(NewImage(100, format), size=1 << 41)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refused.value.error_code == "image-too-long"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
