"""A guest's whole life over the API, with a real QEMU."""

from __future__ import annotations

import pytest

from support.daemon import ApiError, TestDaemon, eventually
from support.qemu_accepts import installed_version


def test_life(daemon: TestDaemon, tiny: str) -> None:
    vmid = int(daemon.get("/cluster/nextid"))
    daemon.create(vmid, tiny, name="life", net0="virtio", tags="b;a")
    row = next(r for r in daemon.get("/cluster/resources", type="vm") if r["vmid"] == vmid)
    assert (row["status"], row["name"], row["template"]) == ("stopped", "life", 0)
    config = daemon.get(f"{daemon.qemu}/{vmid}/config")
    assert config["scsi0"].startswith(f"local:{vmid}/vm-{vmid}-disk-0.qcow2,size=")
    assert config["net0"].startswith("virtio=BC:24:11:") and config["memory"] == "128"
    assert "uuid=" in config["smbios1"] and config["vmgenid"]
    assert config["meta"].startswith(f"creation-qemu={installed_version()},")

    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    assert daemon.status(vmid)["status"] == "running"
    daemon.wait_agent(vmid)
    interfaces = daemon.get(f"{daemon.qemu}/{vmid}/agent/network-get-interfaces")["result"]
    assert any(i["name"] == "lo" for i in interfaces)
    assert "Linux" in daemon.run(vmid, "uname", "-a")

    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/suspend")
    assert daemon.status(vmid)["qmpstatus"] == "paused"
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/resume")
    assert daemon.status(vmid)["qmpstatus"] == "running"

    daemon.run(vmid, "sh", "-c", "echo kept > /data/file; sync")
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/reboot", timeout=60)
    daemon.wait_agent(vmid)
    assert daemon.run(vmid, "cat", "/data/file") == "kept\n"

    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/shutdown", timeout=60)
    assert daemon.status(vmid)["status"] == "stopped"
    assert vmid not in daemon.qemu_pids()
    daemon.task("DELETE", f"{daemon.qemu}/{vmid}")
    with pytest.raises(ApiError) as gone:
        daemon.status(vmid)
    assert gone.value.status == 500
    assert gone.value.reason == f"Configuration file 'nodes/n1/qemu-server/{vmid}.conf' does not exist"
    assert not (daemon.data / f"storage/images/{vmid}").exists()


def test_wrong_states_are_refused_with_what_is_possible(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(200, tiny)
    for verb in ("reset", "suspend", "resume", "reboot"):
        with pytest.raises(ApiError) as refused:
            daemon.post(f"{daemon.qemu}/200/status/{verb}")
        assert refused.value.reason == "VM 200 not running"
        assert "start" in refused.value.body["error"]["fixes"][0]["text"]
    daemon.task("POST", f"{daemon.qemu}/200/status/stop")
    daemon.task("POST", f"{daemon.qemu}/200/status/start")
    again = daemon.wait_task(daemon.post(f"{daemon.qemu}/200/status/start"))
    assert again["exitstatus"] == "VM 200 already running"
    with pytest.raises(ApiError, match="VM 200 is running - destroy failed"):
        daemon.delete(f"{daemon.qemu}/200")
    plan = daemon.delete(f"{daemon.qemu}/200", dryrun=1)
    assert plan["when"] == "stop" and plan["refusal"]["message"] == "VM 200 is running - destroy failed"
    daemon.task("POST", f"{daemon.qemu}/200/status/reset")
    daemon.task("POST", f"{daemon.qemu}/200/status/stop")
    daemon.put(f"{daemon.qemu}/200/config", protection=1)
    with pytest.raises(ApiError, match="protection mode enabled"):
        daemon.delete(f"{daemon.qemu}/200")
    daemon.put(f"{daemon.qemu}/200/config", protection=0)
    daemon.task("DELETE", f"{daemon.qemu}/200")


def test_shutdown_with_force_cuts_the_power(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(210, tiny)
    daemon.task("POST", f"{daemon.qemu}/210/status/start")
    # The guest is not yet up to hear the button.
    done = daemon.wait_task(daemon.post(f"{daemon.qemu}/210/status/shutdown", timeout=0))
    assert done["exitstatus"] == "VM quit/powerdown failed - got timeout"
    assert done["error"]["fixes"]
    down = daemon.post(f"{daemon.qemu}/210/status/shutdown", timeout=1, forceStop=1)
    removed = daemon.delete(f"{daemon.qemu}/210")  # its state forbids that now, and no longer when its turn comes
    assert [daemon.wait_task(upid)["exitstatus"] for upid in (down, removed)] == ["OK", "OK"]
    assert not any(row["vmid"] == 210 for row in daemon.get(daemon.qemu))


def test_a_plan_tells_no_secret(daemon: TestDaemon) -> None:
    plan = daemon.post(daemon.qemu, vmid=219, cipassword="geheimes Wort", scsi1="local:cloudinit", dryrun=1)
    assert plan["steps"] and "geheim" not in str(plan) and "$5$" not in str(plan) and "$6$" not in str(plan)


def test_wait_answers_with_the_outcome_and_dryrun_with_the_plan(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(220, tiny)
    plan = daemon.post(f"{daemon.qemu}/220/status/start", dryrun=1)
    assert [s["step"] for s in plan["steps"]][-1] == "guest-launch"
    assert daemon.status(220)["status"] == "stopped"
    reply = daemon.reply("POST", f"{daemon.qemu}/220/status/start", wait=60)
    assert reply["data"].startswith("UPID:n1:") and reply["task"]["exitstatus"] == "OK"
    assert daemon.status(220)["status"] == "running"
    daemon.task("POST", f"{daemon.qemu}/220/status/stop")
    plan = daemon.delete(f"{daemon.qemu}/220", dryrun=1)
    assert any("is lost" in line for line in plan["effects"])
    daemon.task("DELETE", f"{daemon.qemu}/220")


def test_changes_wait_or_apply_and_digest_guards(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(230, tiny, net0="virtio", cores=1)
    daemon.task("POST", f"{daemon.qemu}/230/status/start")
    path = f"{daemon.qemu}/230/config"
    digest = daemon.get(path)["digest"]
    plan = daemon.put(path, cores=2, name="renamed", agent=0, ide1="local:1", digest=digest, dryrun=1)
    assert {row["key"]: (row["when"], "reason" in row) for row in plan["changes"]} == {
        "cores": ("reboot", True), "name": ("now", False), "agent": ("reboot", True), "ide1": ("reboot", True),
    }  # fmt: skip
    assert plan["when"] == "reboot" and "refusal" not in plan
    assert daemon.put(path, cores=2, name="renamed", digest=digest) is None
    with pytest.raises(ApiError, match="checksum mismatch"):
        daemon.put(path, cores=3, digest=digest)
    assert daemon.get(path)["cores"] == 2 and daemon.get(path, current=1)["cores"] == 1
    pending = {row["key"]: row for row in daemon.get(f"{daemon.qemu}/230/pending")}
    assert (pending["cores"]["value"], pending["cores"]["pending"]) == (1, 2)
    assert pending["name"]["value"] == "renamed" and "pending" not in pending["name"]
    daemon.task("POST", f"{daemon.qemu}/230/status/stop")
    daemon.task("POST", f"{daemon.qemu}/230/status/start")
    assert "pending" not in {k for row in daemon.get(f"{daemon.qemu}/230/pending") for k in row}
    daemon.wait_agent(230)
    assert daemon.run(230, "nproc").strip() == "2"
    daemon.task("POST", f"{daemon.qemu}/230/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/230")


def test_disks_come_grow_and_go_in_a_running_guest(daemon: TestDaemon, tiny: str) -> None:
    daemon.create(240, tiny)
    daemon.task("POST", f"{daemon.qemu}/240/status/start")
    daemon.wait_agent(240)
    path = f"{daemon.qemu}/240/config"
    daemon.put(path, scsi1="local:1,discard=on")
    assert daemon.get(path, current=1)["scsi1"] == "local:240/vm-240-disk-1.qcow2,discard=on,size=1G"
    eventually(lambda: daemon.run(240, "cat", "/sys/block/sdb/size").strip() == str(2 * 1024 * 1024))
    daemon.task("PUT", f"{daemon.qemu}/240/resize", disk="scsi1", size="+1G")
    eventually(lambda: daemon.run(240, "sh", "-c", "blockdev --getsize64 /dev/sdb").strip() == str(2 << 30))
    assert daemon.get(path)["scsi1"].endswith("size=2G")
    with pytest.raises(ApiError, match="shrinking disks is not supported"):
        daemon.put(f"{daemon.qemu}/240/resize", disk="scsi1", size="1G")
    daemon.put(path, delete="scsi1")
    assert daemon.get(path, current=1)["unused0"] == "local:240/vm-240-disk-1.qcow2"
    daemon.put(path, delete="unused0")
    assert not (daemon.data / "storage/images/240/vm-240-disk-1.qcow2").exists()
    daemon.task("POST", f"{daemon.qemu}/240/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/240")


def test_a_medium_and_limits_change_in_a_running_guest(daemon: TestDaemon, tiny: str) -> None:
    iso = daemon.data / "storage/template/iso"
    iso.mkdir(parents=True, exist_ok=True)
    (iso / "medium.iso").write_bytes(bytes(4 << 20))
    daemon.create(250, tiny, ide2="none,media=cdrom", hotplug="0")  # neither a medium nor limits need it
    daemon.task("POST", f"{daemon.qemu}/250/status/start")
    daemon.wait_agent(250)
    path = f"{daemon.qemu}/250/config"
    size = ("cat", "/sys/block/sr0/size")
    daemon.put(path, ide2="local:iso/medium.iso,media=cdrom")
    assert daemon.get(path, current=1)["ide2"] == "local:iso/medium.iso,media=cdrom,size=4M"
    eventually(
        lambda: (daemon.run(250, "sh", "-c", "head -c1 /dev/sr0 >/dev/null"), daemon.run(250, *size))[1] == "8192\n"
    )
    daemon.put(path, ide2="none,media=cdrom")
    assert daemon.get(path, current=1)["ide2"] == "none,media=cdrom"
    disk = daemon.get(path)["scsi0"]
    daemon.put(path, scsi0=f"{disk},iops=50")
    assert "iops=50" in daemon.get(path, current=1)["scsi0"]
    daemon.task("POST", f"{daemon.qemu}/250/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/250")
    assert (iso / "medium.iso").exists()
