"""Templates and clones against a whole daemon: Proxmox's words, identity, data; disks that move."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clones import DISK, clone, config, contents, fill, make_template, path_of, raw_of, remove_all
from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED


@pytest.fixture(scope="module")
def site(small_image: Path) -> Iterator[TestDaemon]:
    with test_daemon() as daemon:
        daemon.add_image(small_image, "small.qcow2")
        yield daemon


@pytest.fixture(autouse=True)
def nothing_left(site: TestDaemon) -> Iterator[None]:
    """Each test begins without guests, and leaves everything whole."""
    yield
    remove_all(site)


def test_a_template_is_proxmoxs(site: TestDaemon) -> None:
    vmid = make_template(site, scsi1="local:0.001", ide2="local:cloudinit")
    made = config(site, vmid)
    assert made["template"] == 1
    assert made["scsi0"].startswith("local:9000/base-9000-disk-0.qcow2,")
    assert made["scsi1"].startswith("local:9000/base-9000-disk-1.qcow2,")
    assert made["ide2"].startswith("local:9000/vm-9000-cloudinit.qcow2,")
    with pytest.raises(ApiError, match="you can't convert a template to a template"):
        site.post(f"{site.qemu}/{vmid}/template")
    started = site.wait_task(site.post(f"{site.qemu}/{vmid}/status/start"))
    assert started["exitstatus"] == "you can't start a vm if it's a template"
    with pytest.raises(ApiError, match="cannot become an ordinary guest again"):
        site.put(f"{site.qemu}/{vmid}/config", template=0)
    with pytest.raises(ApiError, match="can't move the base volume"):
        site.post(f"{site.qemu}/{vmid}/move_disk", disk="scsi0", storage="local", format="raw")
    with pytest.raises(ApiError, match="base volume"):
        site.put(f"{site.qemu}/{vmid}/resize", disk="scsi0", size="+1M")


def test_a_linked_clone_has_its_own_identity_and_the_templates_data(site: TestDaemon) -> None:
    make_template(site, ide2="local:cloudinit", ide0="none,media=cdrom", tags="a;b")
    assert clone(site, 9000, newid=101, name="web", description="a clone") == [101]
    made, source = config(site, 101), config(site, 9000)
    assert made["scsi0"].startswith("local:9000/base-9000-disk-0.qcow2/101/vm-101-disk-0.qcow2,size=")
    assert made["ide2"].startswith("local:101/vm-101-cloudinit.qcow2,media=cdrom")
    assert (made["name"], made["description"], made["tags"]) == ("web", "a clone", "a;b")
    assert made["ide0"] == source["ide0"]
    assert "template" not in made
    for key in ("net0", "smbios1", "vmgenid"):
        assert made[key] != source[key], key
    assert contents(path_of(site, 101, "scsi0")) == contents(path_of(site, 9000, "scsi0"))
    site.task("POST", f"{site.qemu}/101/status/start")
    site.task("POST", f"{site.qemu}/101/status/stop")


def test_a_full_clone_stands_on_nothing(site: TestDaemon) -> None:
    make_template(site)
    clone(site, 9000, newid=101, full=1, format="raw")
    assert config(site, 101)["scsi0"].startswith("local:101/vm-101-disk-0.raw,size=1M")
    assert config(site, 101)["name"] == "Copy-of-VM-base"
    before = contents(path_of(site, 9000, "scsi0"))
    assert contents(path_of(site, 101, "scsi0")) == before
    site.task("DELETE", f"{site.qemu}/9000")
    assert contents(path_of(site, 101, "scsi0")) == before


def test_a_stopped_guest_is_cloned_in_full_by_default(site: TestDaemon) -> None:
    site.task("POST", site.qemu, vmid=100, scsi0=DISK, scsi1=DISK, **CPU_STOPPED)
    site.task("POST", f"{site.qemu}/100/config", delete="scsi1")
    fill(path_of(site, 100, "scsi0"))
    assert clone(site, 100) == [101]
    assert "unused0" not in config(site, 101)
    assert contents(path_of(site, 101, "scsi0")) == contents(path_of(site, 100, "scsi0"))
    with pytest.raises(ApiError) as refused:
        site.post(f"{site.qemu}/100/clone", newid=102, full=0)
    assert (refused.value.status, refused.value.reason) == (
        400,
        "Linked clone feature for 'local:100/vm-100-disk-0.qcow2' is not available",
    )


def test_a_template_with_clones_stays_and_names_them(site: TestDaemon) -> None:
    make_template(site)
    clone(site, 9000, newid=101, name="web")
    clone(site, 9000, newid=102, name="db")
    with pytest.raises(ApiError) as refused:
        site.delete(f"{site.qemu}/9000")
    assert "base volume 'local:9000/base-9000-disk-0.qcow2' is still in use by linked cloned" in refused.value.reason
    assert "guest 101 (web), guest 102 (db)" in str(refused.value.body)
    rows = site.get(f"{site.qemu}/9000/clones")
    assert [(row["vmid"], row["name"], row["linked"], row["current"]) for row in rows] == [
        (101, "web", 1, 1),
        (102, "db", 1, 1),
    ]
    site.task("POST", f"{site.qemu}/9000/config", memory=128)
    assert [row["current"] for row in site.get(f"{site.qemu}/9000/clones")] == [0, 0]


def test_two_clones_asked_for_at_once_and_ten_in_one_call(site: TestDaemon) -> None:
    make_template(site)
    both = [site.post(f"{site.qemu}/9000/clone", newid=vmid) for vmid in (101, 102)]
    assert [site.wait_task(upid)["exitstatus"] for upid in both] == ["OK", "OK"]
    upid = site.post(f"{site.qemu}/9000/clone", count=10, name="web-{n}")
    status = site.wait_task(upid)
    assert status["exitstatus"] == "OK"
    numbers = status["result"]["vmids"]
    assert [(row["vmid"], row["outcome"]) for row in status["result"]["clones"]] == [(n, "OK") for n in numbers]
    assert [config(site, number)["name"] for number in numbers] == [f"web-{n}" for n in range(1, 11)]
    assert len({config(site, number)["net0"] for number in numbers}) == 10


def test_of_several_clones_each_has_its_own_outcome(site: TestDaemon) -> None:
    make_template(site)
    blocker = site.data / "storage/images/102/vm-102-disk-0.qcow2"
    blocker.parent.mkdir(parents=True)
    blocker.mkdir()
    try:
        status = site.wait_task(site.post(f"{site.qemu}/9000/clone", newid=101, count=3))
    finally:
        blocker.rmdir()
        blocker.parent.rmdir()
    assert status["exitstatus"] == "WARNINGS: 1"
    outcomes = {row["vmid"]: row["outcome"] for row in status["result"]["clones"]}
    assert (outcomes[101], outcomes[103]) == ("OK", "OK")
    assert "already exists" in outcomes[102]
    assert sorted(row["vmid"] for row in site.get(site.qemu)) == [101, 103, 9000]


def broken_start(daemon: TestDaemon, vmid: int) -> dict[str, Any]:
    status = daemon.wait_task(daemon.post(f"{daemon.qemu}/{vmid}/status/start"))
    assert status["exitstatus"] != "OK"
    return dict(status)


def test_a_missing_or_damaged_base_is_found_at_the_start_and_named(site: TestDaemon) -> None:
    make_template(site)
    clone(site, 9000, newid=101)
    base = path_of(site, 9000, "scsi0")
    times = base.stat()
    subprocess.run(["chattr", "-i", base], check=False, stderr=subprocess.DEVNULL)
    aside = base.with_suffix(".aside")
    base.rename(aside)
    lost = broken_start(site, 101)
    assert lost["exitstatus"] == f"the image {base.name} is missing"
    assert lost["error"]["evidence"] == str(base)
    aside.rename(base)
    with base.open("r+b") as file:
        head = file.read(4)
        file.seek(0)
        file.write(b"\0\0\0\0")
    assert broken_start(site, 101)["exitstatus"] == f"the image {base.name} is damaged"
    with base.open("r+b") as file:
        file.write(head)
    changed = broken_start(site, 101)
    assert changed["exitstatus"] == f"the base image {base.name} was changed"
    os.utime(base, ns=(times.st_atime_ns, times.st_mtime_ns))
    site.task("POST", f"{site.qemu}/101/status/start")


def test_a_linked_clone_can_be_resized_and_made_whole(site: TestDaemon) -> None:
    make_template(site)
    clone(site, 9000, newid=101)
    before = contents(path_of(site, 9000, "scsi0"))
    site.task("PUT", f"{site.qemu}/101/resize", disk="scsi0", size="+1M")
    site.task("POST", f"{site.qemu}/101/status/start")
    site.task("PUT", f"{site.qemu}/101/resize", disk="scsi0", size="+1M")
    site.task("POST", f"{site.qemu}/101/move_disk", disk="scsi0", storage="local", delete=1)
    site.task("POST", f"{site.qemu}/101/status/stop")
    assert config(site, 101)["scsi0"] == "local:101/vm-101-disk-1.qcow2,size=3M"
    site.task("DELETE", f"{site.qemu}/9000")
    site.task("PUT", f"{site.qemu}/101/resize", disk="scsi0", size="4M")
    assert hashlib.sha256(raw_of(path_of(site, 101, "scsi0"))[: 1 << 20]).hexdigest() == before


def test_uefi_variables_are_cloned_too(site: TestDaemon) -> None:
    if not Path("/usr/share/OVMF/OVMF_VARS_4M.fd").exists():
        pytest.skip("the package ovmf is not installed")
    make_template(site, bios="ovmf", efidisk0="local:1,efitype=4m", machine="q35")
    for vmid, params in ((101, {}), (102, {"full": 1})):
        clone(site, 9000, newid=vmid, **params)
        assert ",efitype=4m,size=528K" in config(site, vmid)["efidisk0"]
        assert raw_of(path_of(site, vmid, "efidisk0")) == raw_of(path_of(site, 9000, "efidisk0"))
        site.task("POST", f"{site.qemu}/{vmid}/status/start")
    clone(site, 102, newid=103)  # of a running guest
    assert raw_of(path_of(site, 103, "efidisk0")) == raw_of(path_of(site, 9000, "efidisk0"))


def test_a_snapshotless_move_of_a_stopped_guest(site: TestDaemon) -> None:
    site.task("POST", site.qemu, vmid=100, scsi0=DISK, **CPU_STOPPED)
    fill(path_of(site, 100, "scsi0"))
    before = contents(path_of(site, 100, "scsi0"))
    with pytest.raises(ApiError, match="you can't move to the same storage with same format"):
        site.post(f"{site.qemu}/100/move_disk", disk="scsi0", storage="local")
    site.task("POST", f"{site.qemu}/100/move_disk", disk="scsi0", storage="local", format="raw")
    assert config(site, 100)["scsi0"] == "local:100/vm-100-disk-1.raw,size=1M"
    assert config(site, 100)["unused0"] == "local:100/vm-100-disk-0.qcow2"
    assert contents(path_of(site, 100, "scsi0")) == before
    site.task("POST", f"{site.qemu}/100/move_disk", disk="unused0", storage="local", format="raw", delete=1)
    assert config(site, 100)["unused0"] == "local:100/vm-100-disk-2.raw"


def test_a_clone_of_a_snapshot_holds_that_point_in_time(site: TestDaemon) -> None:
    site.task("POST", site.qemu, vmid=100, scsi0=DISK, **CPU_STOPPED)
    fill(path_of(site, 100, "scsi0"))
    before = contents(path_of(site, 100, "scsi0"))
    site.task("POST", f"{site.qemu}/100/snapshot", snapname="before")
    fill(path_of(site, 100, "scsi0"))
    site.task("PUT", f"{site.qemu}/100/resize", disk="scsi0", size="2M")
    site.task("POST", f"{site.qemu}/100/status/start")
    clone(site, 100, newid=101, snapname="before")  # also while it runs
    assert contents(path_of(site, 101, "scsi0")) == before
    assert config(site, 101)["scsi0"].endswith("size=1M")
    with pytest.raises(ApiError, match="unable to create template, because VM contains snapshots"):
        site.post(f"{site.qemu}/100/template")
    with pytest.raises(ApiError, match="you can't move a disk with snapshots and delete the source"):
        site.post(f"{site.qemu}/100/move_disk", disk="scsi0", storage="local", format="raw", delete=1)
    site.task("DELETE", f"{site.qemu}/100/snapshot/before")


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_cloud_init_medium_moves(site: TestDaemon, tmp_path: Path, running: bool) -> None:
    other = site.data / "other"
    site.post("/storage", storage="other", type="dir", path=str(other), content="images")
    site.task("POST", site.qemu, vmid=100, ide2="local:cloudinit", ciuser="joe", **CPU_STOPPED)
    site.task("POST", f"{site.qemu}/100/status/start")
    if not running:
        site.task("POST", f"{site.qemu}/100/status/stop")
    old = path_of(site, 100, "ide2")
    medium = raw_of(old)
    with pytest.raises(ApiError, match="same storage with same format"):
        site.post(f"{site.qemu}/100/move_disk", disk="ide2", storage="local")
    site.task("POST", f"{site.qemu}/100/move_disk", disk="ide2", storage="other", format="raw")
    assert config(site, 100)["ide2"] == "other:100/vm-100-cloudinit.raw,media=cdrom,size=4M"
    new = other / "images/100/vm-100-cloudinit.raw"
    assert new.read_bytes() == medium and not old.exists()
    if running:
        pid = site.qemu_pids()[100]
        opened = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
        assert str(new) in opened
        site.task("POST", f"{site.qemu}/100/status/stop")
    site.task("POST", f"{site.qemu}/100/status/start")
    site.task("POST", f"{site.qemu}/100/status/stop")
    site.task("POST", f"{site.qemu}/100/move_disk", disk="ide2", storage="local")
    site.task("DELETE", f"{site.qemu}/100")
    site.delete("/storage/other")
