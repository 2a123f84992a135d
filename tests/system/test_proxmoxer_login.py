"""A real Proxmox client logs in, reads, uploads, and understands our refusals."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.backends.https import AuthenticationError

from support.daemon import TestDaemon

PASSWORD = "a good password"


@pytest.fixture(scope="module")
def user(daemon: TestDaemon) -> str:
    daemon.post("/access/users", userid="ann@pve", password=PASSWORD)
    daemon.put("/access/acl?path=/", users="ann@pve", roles="Administrator")
    return "ann@pve"


@pytest.fixture
def quiet() -> Iterator[None]:
    """urllib3 warns of certificates that are not verified; here that is what the user asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def connect(daemon: TestDaemon, user: str, **auth: Any) -> Any:
    return ProxmoxAPI("127.0.0.1", port=daemon.port, user=user, verify_ssl=False, timeout=5, **auth)


@pytest.mark.usefixtures("quiet")
def test_password_login_reads_and_changes(daemon: TestDaemon, user: str) -> None:
    api = connect(daemon, user, password=PASSWORD)
    assert api.version.get()["version"].startswith("9.1")
    assert [n["node"] for n in api.nodes.get()] == [daemon.node]
    assert api.cluster.nextid.get().isdecimal()
    assert api.access.permissions.get()["/"]["VM.Allocate"] == 1
    api.access.groups.post(groupid="made-by-ann")
    assert "made-by-ann" in [g["groupid"] for g in api.access.groups.get()]
    api.access.groups("made-by-ann").delete()


@pytest.mark.usefixtures("quiet")
def test_a_one_time_secret_logs_root_in_once(daemon: TestDaemon) -> None:
    secret = daemon.post("/access/login-link")["password"]
    api = connect(daemon, "root@pam", password=secret)
    assert api.nodes(daemon.node).status.get()["cpuinfo"]["cpus"] >= 1


@pytest.mark.usefixtures("quiet")
def test_a_wrong_password_is_a_login_error(daemon: TestDaemon, user: str) -> None:
    with pytest.raises(AuthenticationError):
        connect(daemon, user, password="wrong")


@pytest.mark.usefixtures("quiet")
def test_token_login_and_the_words_of_refusals(daemon: TestDaemon, user: str) -> None:
    made = daemon.post(f"/access/users/{user}/token/auto", privsep=0)
    api = connect(daemon, user, token_name="auto", token_value=made["value"])
    with pytest.raises(ResourceException) as missing:
        api.nodes(daemon.node).qemu(999).config.get()
    assert missing.value.status_code == 500
    assert "Configuration file 'nodes/n1/qemu-server/999.conf' does not exist" in str(missing.value)
    with pytest.raises(ResourceException) as wrong:
        api.nodes(daemon.node).qemu.post(vmid=100, bogus=1)
    assert wrong.value.status_code == 400
    assert "bogus" in wrong.value.errors
    with pytest.raises(ResourceException) as unbuilt:
        api.cluster.ha.resources.post(sid="vm:100")
    assert (unbuilt.value.status_code, unbuilt.value.status_message) == (501, "Not Implemented")


@pytest.mark.usefixtures("quiet")
def test_uploads(daemon: TestDaemon, user: str) -> None:
    api = connect(daemon, user, password=PASSWORD)
    file = io.BytesIO(b"\0" * 700_000)
    file.name = "a b.iso"
    upid = api.nodes(daemon.node).storage("local").upload.post(content="iso", filename=file)
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    rows = api.nodes(daemon.node).storage("local").content.get(content="iso")
    volid = next(row["volid"] for row in rows if row["size"] == 700_000)
    assert api.nodes(daemon.node).storage("local").content(volid).get()["size"] == 700_000
    assert daemon.wait_task(api.nodes(daemon.node).storage("local").content(volid).delete())["exitstatus"] == "OK"


def test_wait_answers_with_the_outcome(daemon: TestDaemon) -> None:
    reply = daemon.reply("POST", f"/nodes/{daemon.node}/startall", wait=20)
    assert reply["data"].startswith("UPID:")
    assert (reply["task"]["upid"], reply["task"]["exitstatus"]) == (reply["data"], "OK")
    create = daemon.reply("POST", daemon.qemu, vmid=700, scsi0="local:1", wait=20)
    assert create["task"]["status"] == "stopped"
    failed = daemon.reply("POST", f"{daemon.qemu}/700/status/start", wait=20)
    daemon.task("POST", f"{daemon.qemu}/700/status/stop")
    assert failed["task"]["status"] == "stopped"


def test_dryrun_changes_nothing(daemon: TestDaemon) -> None:
    plan = daemon.post(daemon.qemu, vmid=701, scsi0="local:1", dryrun=1)
    assert [s["step"] for s in plan["steps"]][0] == "guest-reserve"
    assert 701 not in [row["vmid"] for row in daemon.get(daemon.qemu)]
    plan = daemon.post("/access/groups", groupid="never", dryrun=1)
    assert plan["steps"][0]["step"] == "POST /access/groups"
    assert daemon.get("/access/groups") == []


def test_long_lists_have_numbers_for_booleans(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=702, tags="x")
    for path in ("/cluster/resources", daemon.qemu):
        rows = daemon.get(path)
        assert rows
        assert not [value for row in rows for value in row.values() if isinstance(value, bool)]
