"""Options of the datacenter and the node, and what a caller needs on storages, in a running daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon
from support.walk import Somebody

OPTIONS, NODE = "/cluster/options", "/nodes/n1/config"


@pytest.fixture
def operator(daemon: TestDaemon) -> Iterator[Somebody]:
    """Somebody who may do everything with guests, and nothing with storages."""
    daemon.post("/access/users", userid="op@pve")
    made = daemon.post("/access/users/op@pve/token/tok", privsep=0)
    daemon.put("/access/acl", path="/vms", users="op@pve", roles="PVEVMAdmin")
    yield Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    daemon.delete("/access/users/op@pve")


def test_options_govern_new_guests(daemon: TestDaemon) -> None:
    assert daemon.get(OPTIONS)["mac_prefix"] == "BC:24:11"
    plan = daemon.put(OPTIONS, dryrun=1, fencing="hardware", **{"next-id": "lower=700,upper=702"})
    assert "fencing is kept and has no effect: high availability is not built yet" in plan["effects"]
    assert "next-id" not in daemon.get(OPTIONS)
    daemon.put(OPTIONS, mac_prefix="02:AB", keyboard="de", **{"next-id": "lower=700,upper=702"})
    shown = daemon.get(OPTIONS)
    assert shown["next-id"] == {"lower": 700, "upper": 702}
    assert daemon.get("/cluster/nextid") == "700"
    daemon.task("POST", daemon.qemu, memory=32, net0="virtio")
    assert "virtio=02:AB:" in daemon.get(f"{daemon.qemu}/701/config")["net0"]
    assert "-k de" in daemon.get(f"{daemon.qemu}/701/showcmd")["command"]
    daemon.put(f"{daemon.qemu}/701/config", keyboard="fr")
    assert "-k fr" in daemon.get(f"{daemon.qemu}/701/showcmd")["command"]
    with pytest.raises(ApiError, match=r"unable to get any free VMID in range \[700, 702\]"):
        daemon.get("/cluster/nextid")
    with pytest.raises(ApiError) as caught:
        daemon.put(OPTIONS, **{"next-id": "lower=9,upper=3"})
    assert caught.value.status == 400 and "next-id" in caught.value.errors
    daemon.restart()
    assert daemon.get(OPTIONS) == {**shown, "allowed-tags": []}
    daemon.put(OPTIONS, delete="next-id,mac_prefix,keyboard")
    assert daemon.get("/cluster/nextid") == "100"
    (change, *_) = daemon.get("/cluster/history", kind="options")
    for call in change["inverse"]:
        daemon.call(call["method"], call["path"], **call["parameters"])
    assert daemon.get(OPTIONS)["next-id"] == {"lower": 700, "upper": 702}
    daemon.put(OPTIONS, delete="next-id,mac_prefix,keyboard")
    daemon.task("DELETE", f"{daemon.qemu}/701")


def test_the_node_has_its_own(daemon: TestDaemon) -> None:
    daemon.put(NODE, description="rack 3", **{"startall-onboot-delay": 1, "acmedomain0": "node.example"})
    assert daemon.get(NODE, property="description") == {"description": "rack 3"}
    shown = daemon.get(NODE)
    assert shown["startall-onboot-delay"] == 1 and shown["acmedomain0"] == "node.example"
    with pytest.raises(ApiError, match="file changed by other user"):
        daemon.put(NODE, description="x", digest="0" * 40)
    daemon.put(NODE, delete="description,acmedomain0", digest=shown["digest"])
    assert set(daemon.get(NODE)) == {"startall-onboot-delay", "digest"}
    daemon.task("POST", daemon.qemu, vmid=710, memory=32, freeze=1, onboot=1)
    plan = daemon.post("/nodes/n1/startall", dryrun=1)
    assert [step["title"] for step in plan["steps"]] == ["wait 1 s", "start guest 710"]
    daemon.put(NODE, delete="startall-onboot-delay")
    daemon.task("DELETE", f"{daemon.qemu}/710")


def test_tags_are_who_may_set_them(daemon: TestDaemon, operator: Somebody) -> None:
    daemon.put(OPTIONS, **{"registered-tags": "prod", "user-tag-access": "user-allow=list,user-allow-list=web"})
    status, reason, _ = operator.call("POST", daemon.qemu, {"vmid": 720, "memory": 32, "tags": "prod"})
    assert (status, reason) == (403, "Permission check failed (/, Sys.Modify for modifying tag 'prod')")
    status, _, body = operator.call("POST", daemon.qemu, {"vmid": 720, "memory": 32, "tags": "web"})
    assert status == 200 and daemon.wait_task(body["data"])["exitstatus"] == "OK"
    daemon.put(f"{daemon.qemu}/720/config", tags="web;prod")
    for change in ({"tags": "web"}, {"delete": "tags"}, {"tags": "web;prod;other"}):
        assert operator.call("PUT", f"{daemon.qemu}/720/config", change)[0] == 403
    assert operator.call("PUT", f"{daemon.qemu}/720/config", {"tags": "prod"})[0] == 200
    seen = operator.call("GET", OPTIONS)[2]["data"]
    assert seen["allowed-tags"] == ["web"] and "mac_prefix" not in seen and seen["registered-tags"] == ["prod"]
    assert operator.call("PUT", OPTIONS, {"keyboard": "de"})[0] == 403
    daemon.put(OPTIONS, delete="registered-tags,user-tag-access")
    daemon.task("DELETE", f"{daemon.qemu}/720")


def test_space_is_asked_for_where_it_is_taken(daemon: TestDaemon, operator: Somebody, small_image: Path) -> None:
    image = daemon.add_image(small_image, "small.qcow2")
    daemon.create(730, image)
    space = "Permission check failed (/storage/local, Datastore.AllocateSpace)"
    seen = "Permission check failed (/storage/local, Datastore.AllocateSpace|Datastore.Audit)"

    def made(**texts: Any) -> tuple[int, str]:
        return operator.call("POST", daemon.qemu, {"vmid": 731, "memory": 32, **texts})[:2]

    assert made(scsi0="local:1") == (403, space)
    assert made(scsi0="1", storage="local")[0] != 200
    assert made(ide2="local:cloudinit") == (403, space)
    assert made(efidisk0="local:1", bios="ovmf") == (403, space)
    assert made(vmstatestorage="local") == (403, space)
    assert made(scsi0=f"local:0,import-from={image}") == (403, space)
    host = (403, "Permission check failed (/, Sys.Modify)")
    assert made(startup="order=1") == made(serial0="/dev/ttyS0") == made(rng0="/dev/hwrng") == host
    assert made(net0="virtio,bridge=vmbr9")[1] == "Permission check failed (/sdn/zones/localnetwork/vmbr9, SDN.Use)"
    assert made(ide2="cdrom,media=cdrom")[1] == "Permission check failed (/, Sys.Console)"
    (daemon.data / "storage" / "template" / "iso").mkdir(parents=True, exist_ok=True)
    (daemon.data / "storage" / "template" / "iso" / "x.iso").write_bytes(bytes(2048))
    assert made(ide2="local:iso/x.iso,media=cdrom") == (403, seen)
    change = operator.call("PUT", f"{daemon.qemu}/730/config", {"scsi1": "local:1"})
    assert change[:2] == (403, space)
    clone = operator.call("POST", f"{daemon.qemu}/730/clone", {"newid": 731})
    assert clone[:2] == (403, space)
    # Its own disks are not asked about: an option of one may be changed.
    own = daemon.get(f"{daemon.qemu}/730/config")["scsi0"]
    assert operator.call("PUT", f"{daemon.qemu}/730/config", {"scsi0": f"{own},discard=on"})[0] == 200
    assert daemon.get(f"{daemon.qemu}") and all(row["vmid"] != 731 for row in daemon.get(daemon.qemu))

    daemon.put("/access/acl", path="/storage/local", users="op@pve", roles="PVEDatastoreUser")
    status, _, body = operator.call(
        "POST", daemon.qemu, {"vmid": 731, "memory": 32, "scsi0": "local:1", "ide2": "local:iso/x.iso,media=cdrom"}
    )
    assert status == 200 and daemon.wait_task(body["data"])["exitstatus"] == "OK"
    # A guest's disk is copied with VM.Clone on that guest only.
    daemon.put("/access/acl", path="/vms/730", users="op@pve", roles="PVEAuditor")
    copy = {"scsi1": "local:0,import-from=local:730/vm-730-disk-0.qcow2"}
    refused = operator.call("PUT", f"{daemon.qemu}/731/config", copy)
    assert refused[:2] == (403, "Permission check failed (/vms/730, VM.Clone)")
    daemon.put("/access/acl", path="/vms/730", users="op@pve", roles="PVEAuditor", delete=1)
    assert operator.call("PUT", f"{daemon.qemu}/731/config", copy)[0] == 200
    for vmid in (730, 731):
        daemon.task("DELETE", f"{daemon.qemu}/{vmid}")


def test_a_medium_takes_another_right_than_a_disk(daemon: TestDaemon) -> None:
    """As in Proxmox: who may only change CD-ROMs puts ISO images in and out, and touches no disk."""
    (daemon.data / "storage" / "template" / "iso").mkdir(parents=True, exist_ok=True)
    (daemon.data / "storage" / "template" / "iso" / "y.iso").write_bytes(bytes(2048))
    daemon.task("POST", daemon.qemu, vmid=740, memory=32, scsi0="local:1")
    daemon.post("/access/users", userid="cd@pve")
    made = daemon.post("/access/users/cd@pve/token/tok", privsep=0)
    daemon.put("/access/acl", path="/vms/740", users="cd@pve", roles="PVEVMUser")
    daemon.put("/access/acl", path="/storage/local", users="cd@pve", roles="PVEDatastoreUser")
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])

    def change(**texts: Any) -> tuple[int, str]:
        return somebody.call("PUT", f"{daemon.qemu}/740/config", texts)[:2]

    refused = (403, "Permission check failed (/vms/740, VM.Config.Disk)")
    assert change(ide2="local:iso/y.iso,media=cdrom")[0] == 200
    assert change(scsi0="local:iso/y.iso,media=cdrom") == refused  # a disk would go
    assert change(ide2="local:1") == refused
    assert change(delete="scsi0") == refused
    assert change(delete="ide2")[0] == 200
    assert change(memory="64") == (403, "Permission check failed (/vms/740, VM.Config.Memory)")
    daemon.task("DELETE", f"{daemon.qemu}/740")
    daemon.delete("/access/users/cd@pve")
