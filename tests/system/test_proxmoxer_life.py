"""proxmoxer, an unchanged Proxmox client, drives a guest's whole life: with a password and with a token."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

from support.daemon import TestDaemon

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def api_user(daemon: TestDaemon) -> str:
    """A user of realm pve who may do everything."""
    daemon.post("/access/users", userid="ops@pve", password=PASSWORD)
    daemon.put("/access/acl?path=/", users="ops@pve", roles="Administrator")
    return "ops@pve"


@pytest.fixture(params=["password", "token"])
def client(request: pytest.FixtureRequest, daemon: TestDaemon, api_user: str) -> Iterator[Any]:
    if request.param == "password":
        login: dict[str, Any] = {"password": PASSWORD}
    else:
        token = daemon.post(f"/access/users/{api_user}/token/automation", privsep=0)
        login = {"token_name": "automation", "token_value": token["value"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the certificate is the daemon's own
        yield ProxmoxAPI("127.0.0.1", port=daemon.port, user=api_user, verify_ssl=False, **login)


def test_life(client: Any, tiny: str) -> None:
    node = client.nodes("n1")
    vmid = client.cluster.nextid.get()
    upid = node.qemu.create(
        vmid=vmid, name="driven", memory=128, scsihw="virtio-scsi-single", scsi0=f"local:0,import-from={tiny}",
        net0="virtio", serial0="socket", vga="none", agent="enabled=1",
    )  # fmt: skip
    assert Tasks.blocking_status(client, upid, timeout=60)["exitstatus"] == "OK"
    guest = node.qemu(vmid)
    assert Tasks.blocking_status(client, guest.status.start.post(), timeout=60)["exitstatus"] == "OK"
    address = _address(guest)
    assert address.startswith("10.0.2.")
    assert guest.status.current.get()["status"] == "running"
    assert guest.config.put(name="renamed") is None
    assert guest.config.get()["name"] == "renamed"
    assert Tasks.blocking_status(client, guest.status.stop.post(), timeout=60)["exitstatus"] == "OK"
    assert Tasks.blocking_status(client, guest.delete(purge=1), timeout=60)["exitstatus"] == "OK"
    with pytest.raises(ResourceException) as gone:
        guest.config.get()
    assert "does not exist" in str(gone.value)
    assert all(row["vmid"] != int(vmid) for row in client.cluster.resources.get(type="vm"))


def _address(guest: Any, seconds: float = 120) -> str:
    """The guest's own word for its address, once its agent answers and DHCP has come."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            for interface in guest.agent("network-get-interfaces").get()["result"]:
                for entry in interface.get("ip-addresses", []):
                    if interface["name"] != "lo" and entry["ip-address-type"] == "ipv4":
                        return str(entry["ip-address"])
        except ResourceException as problem:
            assert "guest agent is not running" in str(problem), problem
        assert time.monotonic() < deadline, "no address"
        time.sleep(0.5)
