"""What may not be cloned or removed, and by whom: refused in Proxmox's words, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

from support.clones import DISK, clone, config, make_template, path_of, raw_of, remove_all
from support.daemon import ApiError, TestDaemon, test_daemon
from support.faults import CPU_STOPPED

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # the certificate is the daemon's own


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


REFUSED = [
    ({"newid": 9000}, "unable to create VM 9000: config file already exists"),
    ({"newid": 101, "storage": "local"}, "parameter 'storage' not allowed for linked clones"),
    ({"newid": 101, "format": "raw"}, "parameter 'format' not allowed for linked clones"),
    ({"newid": 101, "snapname": "no"}, "snapshot 'no' does not exist"),
    ({"newid": 101, "name": "no name"}, "valid DNS name"),
    ({"newid": 101, "target": "elsewhere"}, "can't clone VM to node 'elsewhere'"),
]


@pytest.mark.parametrize(("params", "words"), REFUSED)
def test_what_cannot_be_cloned_is_refused_in_words(site: TestDaemon, params: dict[str, Any], words: str) -> None:
    make_template(site)
    with pytest.raises(ApiError, match=words.replace("'", ".")):
        site.post(f"{site.qemu}/9000/clone", **params)
    assert [row["vmid"] for row in site.get(site.qemu)] == [9000]


def test_running_guests_and_guests_with_snapshots_do_not_become_templates(site: TestDaemon) -> None:
    site.task("POST", site.qemu, vmid=100, scsi0=DISK, **CPU_STOPPED)
    site.task("POST", f"{site.qemu}/100/status/start")
    with pytest.raises(ApiError, match="you can't convert a VM to template if VM is running"):
        site.post(f"{site.qemu}/100/template")
    plan = site.post(f"{site.qemu}/100/template", dryrun=1)
    assert plan["when"] == "stop" and plan["refusal"]["code"] == "template-running"


def test_the_disk_of_a_template_keeps_its_size(site: TestDaemon) -> None:
    make_template(site)
    before = path_of(site, 9000, "scsi0").stat().st_size
    with pytest.raises(ApiError) as refused:
        site.put(f"{site.qemu}/9000/resize", disk="scsi0", size="+1M")
    assert refused.value.body["error"]["code"] == "is-base" and refused.value.body["error"]["fixes"]
    assert path_of(site, 9000, "scsi0").stat().st_size == before


def as_user(daemon: TestDaemon, name: str, grants: dict[str, str]) -> Any:
    """A client that may do what `grants` (path: privileges) say."""
    daemon.post("/access/users", userid=f"{name}@pve", password="correct horse battery")
    for number, (path, privileges) in enumerate(grants.items()):
        daemon.post("/access/roles", roleid=f"{name}{number}", privs=privileges)
        daemon.put(f"/access/acl?path={path}", users=f"{name}@pve", roles=f"{name}{number}")
    return ProxmoxAPI(
        "127.0.0.1", port=daemon.port, user=f"{name}@pve", password="correct horse battery", verify_ssl=False
    )


MAY = {
    "/vms/9000": "VM.Clone,VM.Audit",
    "/vms": "VM.Allocate",
    "/storage/local": "Datastore.AllocateSpace",
}
LACKING = [
    ("ann", {"/vms/9000": "VM.Audit"}, "/vms/9000, VM.Clone"),
    ("ben", {"/vms": "VM.PowerMgmt"}, "/vms/101, VM.Allocate"),
    ("cat", {"/storage/local": "Datastore.Audit"}, "/storage/local, Datastore.AllocateSpace"),
]


@pytest.mark.parametrize(("name", "instead", "words"), LACKING)
def test_each_right_is_needed(site: TestDaemon, name: str, instead: dict[str, str], words: str) -> None:
    make_template(site)
    client = as_user(site, name, MAY | instead)
    with pytest.raises(ResourceException) as refused:
        client.nodes("n1").qemu(9000).clone.post(newid=101)
    assert refused.value.status_code == 403
    assert words in str(refused.value)


def test_proxmoxer_clones_with_the_rights_it_takes(site: TestDaemon) -> None:
    """The template's keys are cloned with it; only what reaches the host is asked for again."""
    make_template(site, startup="order=1", rng0="/dev/hwrng")
    client = as_user(site, "eve", MAY)
    with pytest.raises(ResourceException, match=r"\(/, Sys.Modify\)"):
        client.nodes("n1").qemu(9000).clone.post(newid=101)
    site.put(f"{site.qemu}/9000/config", delete="rng0")
    upid = client.nodes("n1").qemu(9000).clone.post(newid=101, name="cloned", full=1, target="n1", storage="local")
    assert Tasks.blocking_status(client, upid, timeout=60)["exitstatus"] == "OK"
    assert config(site, 101)["name"] == "cloned"


def test_a_base_image_with_clones_does_not_go_by_the_back_door(site: TestDaemon) -> None:
    make_template(site)
    clone(site, 9000, newid=101)
    site.task("POST", f"{site.qemu}/9000/config", delete="scsi0")
    with pytest.raises(ApiError, match="still in use by linked cloned"):
        site.put(f"{site.qemu}/9000/config", delete="unused0")
    volid = config(site, 9000)["unused0"]
    with pytest.raises(ApiError):
        site.delete(f"/nodes/n1/storage/local/content/{volid.partition(':')[2]}")
    with pytest.raises(ApiError, match="still in use by linked cloned"):
        site.delete(f"{site.qemu}/9000")
    assert raw_of(path_of(site, 101, "scsi0"))


def test_this_node_is_a_target_and_another_one_is_refused_with_what_helps(site: TestDaemon) -> None:
    make_template(site)
    site.task("POST", f"{site.qemu}/9000/clone", newid=100, target=site.node)
    with pytest.raises(ApiError) as refused:
        site.post(f"{site.qemu}/9000/clone", newid=101, target="elsewhere")
    assert refused.value.status == 400 and "target" in refused.value.errors
    error = refused.value.body["error"]
    assert error["code"] == "other-node" and "clusters are not built" in error["cause"]
    assert "elsewhere" in error["evidence"] and error["fixes"][0]["parameters"] == {"target": site.node}
