"""Pools end to end: both forms of path, members, rights that come with membership, a guest made in a pool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import ApiError, TestDaemon
from support.walk import Somebody


@pytest.fixture(scope="module")
def image(daemon: TestDaemon, small_image: Path) -> str:
    return daemon.add_image(small_image, "small.qcow2")


@pytest.fixture
def operator(daemon: TestDaemon) -> Iterator[Somebody]:
    """Somebody who may do everything with guests, but only in pool `web`."""
    daemon.post("/pools", poolid="web", comment="front")
    daemon.post("/access/users", userid="op@pve")
    made = daemon.post("/access/users/op@pve/token/tok", privsep=0)
    daemon.put("/access/acl", path="/pool/web", users="op@pve", roles="PVEVMAdmin,PVEPoolUser,PVEDatastoreUser")
    yield Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    daemon.delete("/access/users/op@pve")
    daemon.put("/pools/web", storage="local", delete=1)
    daemon.delete("/pools", poolid="web")


def refusal(daemon: TestDaemon, method: str, path: str, **params: object) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        daemon.call(method, path, **params)
    return caught.value.status, caught.value.reason


def test_the_words_that_clients_look_for(daemon: TestDaemon) -> None:
    assert refusal(daemon, "GET", "/pools/none") == (500, "pool 'none' does not exist")
    assert refusal(daemon, "GET", "/pools", poolid="none") == (500, "pool 'none' does not exist")
    assert refusal(daemon, "DELETE", "/pools/none") == (500, "delete pool failed: pool 'none' does not exist")
    daemon.post("/pools", poolid="a")
    assert refusal(daemon, "POST", "/pools", poolid="a") == (500, "create pool failed: pool 'a' already exists")
    daemon.put("/pools/a", storage="local", comment="c")
    assert daemon.get("/pools", poolid="a")[0]["members"][0]["id"] == f"storage/{daemon.node}/local"
    status, reason = refusal(daemon, "DELETE", "/pools/a")
    assert (status, reason) == (500, "delete pool failed: pool 'a' is not empty (contains storages local)")
    assert (
        refusal(daemon, "PUT", "/pools", poolid="a", storage="local")[1] == "Storage 'local' is already a pool member"
    )
    daemon.put("/pools", poolid="a", storage="local", delete=1)
    daemon.post("/pools", poolid="a/b")
    assert "is not empty (contains pools a/b)" in refusal(daemon, "DELETE", "/pools/a")[1]
    assert daemon.get("/pools/a/b") == {"members": []}
    daemon.delete("/pools/a/b")
    daemon.delete("/pools", poolid="a")
    assert daemon.get("/pools") == []


def test_a_guest_is_made_in_a_pool_with_the_pools_rights(daemon: TestDaemon, operator: Somebody, image: str) -> None:
    qemu = daemon.qemu
    disk = {"memory": 64, "scsi0": "local:1"}
    status, reason, _ = operator.call("POST", qemu, {"vmid": 300, **disk})
    assert (status, reason) == (403, "Permission check failed (/vms/300, VM.Allocate)")
    daemon.put("/pools/web", storage="local")
    status, reason, body = operator.call("POST", qemu, {"vmid": 300, "pool": "web", **disk})
    assert status == 200, reason
    assert daemon.wait_task(body["data"])["exitstatus"] == "OK"
    assert [row["vmid"] for row in operator.call("GET", qemu)[2]["data"]] == [300]
    rows = operator.call("GET", "/cluster/resources")[2]["data"]
    assert {row["id"] for row in rows if row["type"] in ("qemu", "pool", "storage")} == {
        "qemu/300",
        "/pool/web",
        f"storage/{daemon.node}/local",
    }
    assert next(row for row in rows if row["id"] == "qemu/300")["pool"] == "web"
    members = operator.call("GET", "/pools/web")[2]["data"]["members"]
    assert [row["id"] for row in members] == ["qemu/300", f"storage/{daemon.node}/local"]
    status, reason, body = operator.call("POST", f"{qemu}/300/clone", {"newid": 310, "pool": "web", "count": 2})
    assert status == 200, reason
    assert daemon.wait_task(body["data"])["exitstatus"] == "OK"
    assert [row["vmid"] for row in daemon.get("/pools/web", type="qemu")["members"]] == [300, 310, 311]
    for vmid in (310, 311):
        daemon.task("DELETE", f"{qemu}/{vmid}")
    # Membership ends with the guest; the next one of its number inherits nothing.
    status, reason, body = operator.call("DELETE", f"{qemu}/300")
    assert daemon.wait_task(body["data"])["exitstatus"] == "OK"
    daemon.create(300, image)
    assert operator.call("GET", f"{qemu}/300/config")[0] == 403
    assert "pool" not in next(r for r in daemon.get("/cluster/resources") if r["id"] == "qemu/300")
    daemon.task("DELETE", f"{qemu}/300")


def test_a_guest_moves_only_when_asked_to(daemon: TestDaemon, image: str) -> None:
    daemon.create(301, image)
    for name in ("one", "two"):
        daemon.post("/pools", poolid=name)
    daemon.put("/pools", poolid="one", vms="301")
    words = "VM 301 belongs already to pool 'one' and 'allow-move' is not set"
    assert refusal(daemon, "PUT", "/pools", poolid="two", vms="301") == (500, words)
    daemon.put("/pools", poolid="two", vms="301", **{"allow-move": 1})
    assert daemon.get("/pools/one")["members"] == []
    assert next(r for r in daemon.get("/cluster/resources", type="vm") if r["vmid"] == 301)["pool"] == "two"
    assert refusal(daemon, "PUT", "/pools/one", vms="301", delete=1)[1] == "VM 301 is not a pool member"
    daemon.task("DELETE", f"{daemon.qemu}/301")
    for name in ("one", "two"):
        daemon.delete("/pools", poolid=name)


def test_a_guest_is_not_made_in_a_pool_that_does_not_exist(daemon: TestDaemon) -> None:
    assert refusal(daemon, "POST", daemon.qemu, vmid=302, pool="none") == (500, "pool 'none' does not exist")
    assert all(row["vmid"] != 302 for row in daemon.get(daemon.qemu))
