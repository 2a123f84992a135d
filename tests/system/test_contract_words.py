"""The sentences of Proxmox that clients look for, and the forms they take apart: one daemon, real calls.

The letters are those of the contract that the clients' sources gave: C3 texts, C4 tasks, C5 configuration, C6 types,
C7 version, C9 groups. C1 (HTTP) and C2 (logins) are in tests/unit/api/test_server.py, test_server_logins.py,
test_params.py and test_proxmoxer_login.py, C8 in test_uploads.py, C10 in test_consoles.py, C11 in
tests/unit/api/test_tls.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.daemon import ApiError, TestDaemon
from support.faults import CPU_STOPPED
from support.walk import Somebody

MAC = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")


@pytest.fixture(scope="module")
def guest(daemon: TestDaemon) -> Iterator[str]:
    """A stopped guest 100 with a disk of 1 MiB."""
    daemon.task("POST", daemon.qemu, vmid=100, scsi0="local:0.001", net0="virtio,bridge=vmbr0", **CPU_STOPPED)
    yield f"{daemon.qemu}/100"
    daemon.task("DELETE", f"{daemon.qemu}/100")


@pytest.fixture(scope="module")
def running(daemon: TestDaemon) -> Iterator[str]:
    daemon.task("POST", daemon.qemu, vmid=101, scsi0="local:0.001", agent=1, **CPU_STOPPED)
    daemon.task("POST", f"{daemon.qemu}/101/status/start")
    yield f"{daemon.qemu}/101"
    daemon.task("POST", f"{daemon.qemu}/101/status/stop")
    daemon.task("DELETE", f"{daemon.qemu}/101")


def refusal(daemon: TestDaemon, method: str, path: str, **params: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        daemon.call(method, path.format(n=daemon.node), **params)
    problem = caught.value
    # C1: the reason phrase carries the first line of the body's message.
    assert problem.body["message"].splitlines()[0] == problem.reason
    assert problem.body["data"] is None
    return problem


def failure(daemon: TestDaemon, method: str, path: str) -> str:
    """What the call or its task says: Proxmox refuses some at once and some in the task."""
    try:
        return str(daemon.wait_task(daemon.call(method, path))["exitstatus"])
    except ApiError as problem:
        return problem.reason


# -- C3 -----------------------------------------------------------------------------------------------------------

PLAIN = [
    ("GET", "/nodes/{n}/qemu/999/config", 500, "Configuration file 'nodes/{n}/qemu-server/999.conf' does not exist"),
    ("GET", "/nodes/{n}/qemu/999/status/current", 500, "Configuration file 'nodes/{n}/qemu-server/999.conf' does not"),
    ("GET", "/nodes/{n}/lxc/999/config", 500, "Configuration file 'nodes/{n}/lxc/999.conf' does not exist"),
    ("GET", "/access/users/x@pve", 500, "no such user ('x@pve')"),
    ("GET", "/access/users/root@pam/token/none", 500, "no such token 'none'"),
    ("GET", "/access/groups/none", 500, "group 'none' does not exist"),
    ("DELETE", "/access/groups/none", 500, "delete group failed: group 'none' does not exist"),
    ("GET", "/access/domains/none", 500, "domain 'none' does not exist"),
    ("GET", "/pools/none", 500, "pool 'none' does not exist"),
    ("DELETE", "/pools/none", 500, "delete pool failed: pool 'none' does not exist"),
    ("GET", "/cluster/ha/resources/vm:100", 500, "no such resource 'vm:100'"),
    ("GET", "/cluster/ha/resources/100", 500, "no such resource 'vm:100'"),
    ("GET", "/cluster/ha/rules/r", 500, "no such ha rule 'r'"),
    ("GET", "/cluster/firewall/ipset/s", 500, "no such IPSet"),
    ("GET", "/cluster/firewall/ipset/s/10.0.0.0%2F24", 500, "no such IPSet"),
    ("GET", "/cluster/firewall/ipset/s/10.0.0.0/24", 500, "no such IPSet"),
    ("GET", "/cluster/firewall/groups/g", 500, "no such security group"),
    ("GET", "/nodes/{n}/qemu/999/firewall/rules/0", 500, "no rule at position 0"),
    ("GET", "/cluster/replication/100-0", 500, "no such job"),
    ("GET", "/cluster/sdn/zones/zz", 500, "sdn 'zz' does not exist"),
    ("GET", "/nodes/{n}/network/vmbr99", 500, "interface does not exist"),
    ("GET", "/nodes/other/qemu", 500, "hostname lookup 'other' failed"),
    ("GET", "/no/such/path", 501, "Method 'GET /no/such/path' not implemented"),
    ("PUT", "/cluster/sdn/dns/d", 501, "Method 'PUT /cluster/sdn/dns/d' not implemented"),
    ("POST", "/cluster/ha/resources", 501, "Method 'POST /cluster/ha/resources' not implemented"),
    ("DELETE", "/cluster/ha/groups/g", 500, "cannot delete group: ha groups have been migrated to rules"),
]


@pytest.mark.parametrize(("method", "path", "status", "words"), PLAIN)
def test_missing_things_are_told_in_proxmoxs_words(
    daemon: TestDaemon, method: str, path: str, status: int, words: str
) -> None:
    problem = refusal(daemon, method, path)
    assert (problem.status, problem.reason[: len(words.format(n=daemon.node))]) == (status, words.format(n=daemon.node))


BY_PARAMETER = [
    ("GET", "/cluster/nextid", {"vmid": 100}, {"vmid": "VM 100 already exists"}),
    ("GET", "/nodes/{n}/storage/none/status", {}, {"storage": "No such storage."}),
    ("GET", "/cluster/firewall/aliases/a", {}, {"name": "no such alias"}),
    (
        "GET",
        "/nodes/{n}/tasks/UPID:n1:00000001:00000002:6740F00D:qmstart:1:root@pam:/status",
        {},
        {"upid": "no such task"},
    ),
    ("POST", "/nodes/{n}/qemu", {"vmid": 99}, {"vmid": "value must have a minimum value of 100"}),
    (
        "POST",
        "/nodes/{n}/qemu",
        {"vmid": 150, "onboot": "True"},
        {"onboot": "type check ('boolean') failed - got 'True'"},
    ),
    ("PUT", "/nodes/{n}/qemu/100/resize", {"disk": "scsi0"}, {"size": "property is missing and it is not optional"}),
]


@pytest.mark.parametrize(("method", "path", "params", "errors"), BY_PARAMETER)
def test_wrong_parameters_are_400_with_a_text_each(
    daemon: TestDaemon, guest: str, method: str, path: str, params: dict[str, Any], errors: dict[str, str]
) -> None:
    problem = refusal(daemon, method, path, **params)
    assert (problem.status, problem.reason, problem.errors) == (400, "Parameter verification failed.", errors)


def test_the_states_of_a_guest_are_told_in_proxmoxs_words(daemon: TestDaemon, guest: str, running: str) -> None:
    assert refusal(daemon, "POST", daemon.qemu, vmid=100).errors == {"vmid": "VM 100 already exists"}
    assert refusal(daemon, "POST", f"{guest}/agent/ping").reason == "VM 100 is not running"
    assert refusal(daemon, "POST", f"{running}/agent/ping").reason == "QEMU guest agent is not running"
    # Starting what runs fails the task and not the call: two clients take that for success.
    task = daemon.wait_task(daemon.post(f"{running}/status/start"))
    assert task["exitstatus"] == "VM 101 already running"
    for verb in ("reset", "suspend", "resume"):
        assert "VM 100 not running" in failure(daemon, "POST", f"{guest}/status/{verb}")
    assert failure(daemon, "DELETE", running) == "VM 101 is running - destroy failed"
    assert refusal(daemon, "PUT", f"{guest}/resize", disk="scsi0", size="1K").reason.startswith(
        "shrinking disks is not supported"
    )


# -- C4 -----------------------------------------------------------------------------------------------------------


def test_a_task_is_what_every_parser_expects(daemon: TestDaemon) -> None:
    upid = daemon.post(daemon.qemu, vmid=130, memory=64)
    assert re.fullmatch(r"UPID:n1:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:qmcreate:130:root@pam:", upid)
    assert len(upid.split(":")) == 9
    status = daemon.wait_task(upid)
    assert {"upid", "node", "pid", "pstart", "starttime", "type", "id", "user", "status", "exitstatus"} <= set(status)
    assert (status["status"], status["exitstatus"], status["id"], status["node"]) == ("stopped", "OK", "130", "n1")
    # The state can be read the moment the task has stopped.
    assert daemon.get(f"{daemon.qemu}/130/config")["memory"] == "64"
    whole = daemon.reply("GET", f"/nodes/n1/tasks/{quote(upid, safe='')}/log", limit=0)
    assert whole["data"][-1]["t"] == "TASK OK" and whole["total"] == len(whole["data"])
    assert [row["n"] for row in whole["data"]] == list(range(1, len(whole["data"]) + 1))
    rows = daemon.get("/nodes/n1/tasks", vmid=130)
    assert rows[0]["upid"] == upid and rows[0]["endtime"] >= rows[0]["starttime"]
    assert daemon.get("/nodes/n1/tasks", typefilter="vzdump", limit=1) == []
    daemon.task("DELETE", f"{daemon.qemu}/130", purge=1, **{"destroy-unreferenced-disks": 1})


def test_a_tokens_task_names_the_token(daemon: TestDaemon) -> None:
    made = daemon.post("/access/users/root@pam/token/tasks", privsep=0)
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    upid = somebody.call("POST", daemon.qemu, {"vmid": 131, "memory": 64})[2]["data"]
    assert upid.endswith(":root@pam!tasks:")
    status, _, body = somebody.call("GET", f"/nodes/n1/tasks/{quote(upid, safe='')}/status")
    assert status == 200 and body["data"]["tokenid"] == "tasks" and body["data"]["user"] == "root@pam"
    daemon.wait_task(upid)
    daemon.task("DELETE", f"{daemon.qemu}/131")


# -- C5 and C6 ----------------------------------------------------------------------------------------------------


def test_a_configuration_reads_back_as_clients_expect(daemon: TestDaemon) -> None:
    keys = quote("ssh-ed25519 AAAA a b@c\n", safe="")
    daemon.task(
        "POST", daemon.qemu, vmid=140, memory=64, cores=2, onboot=1, cpulimit="1.5", scsi0="local:0.001,discard=on",
        net0="virtio,bridge=vmbr0", sshkeys=keys, cipassword="secret one", tags="Web,b;c d",
    )  # fmt: skip
    config = daemon.get(f"{daemon.qemu}/140/config")
    assert (config["cores"], config["onboot"], config["memory"], config["cpulimit"]) == (2, 1, "64", "1.5")
    assert config["scsi0"].startswith("local:140/vm-140-disk-0.") and "size=" in config["scsi0"]
    assert MAC.search(config["net0"])
    assert (config["sshkeys"], config["cipassword"]) == (keys, "**********")
    assert config["tags"] == "b;c;d;web"
    assert re.search(r"uuid=[0-9a-f-]{36}", config["smbios1"]) and config["vmgenid"]
    assert re.fullmatch(r"creation-qemu=[\d.]+,ctime=\d+", config["meta"])
    assert re.fullmatch(r"[0-9a-f]{40}", config["digest"])
    row = next(r for r in daemon.get(daemon.qemu) if r["vmid"] == 140)
    assert "template" not in row and row["name"] == "VM 140"
    assert next(r for r in daemon.get("/cluster/resources", type="vm") if r["vmid"] == 140)["template"] == 0
    daemon.task("DELETE", f"{daemon.qemu}/140")


def test_changes_of_a_configuration(daemon: TestDaemon) -> None:
    daemon.task("POST", daemon.qemu, vmid=141, scsi0="local:0.001", scsi1="local:0.001", **CPU_STOPPED)
    at = f"{daemon.qemu}/141"
    config = daemon.get(f"{at}/config")
    assert daemon.put(f"{at}/config", name="new", digest=config["digest"]) is None
    problem = refusal(daemon, "PUT", f"{at}/config", name="newer", digest=config["digest"])
    assert problem.reason == "checksum mismatch (file change by other user?)"
    assert refusal(daemon, "PUT", f"{at}/config").reason == "no options specified"
    assert "delete" in refusal(daemon, "PUT", f"{at}/config", delete="no_such_key").errors
    assert refusal(daemon, "PUT", f"{at}/config", name="x", delete="name").status == 400
    # A list may be separated by space; what is taken away becomes unused, and unused goes with its volume.
    daemon.put(f"{at}/config", delete="scsi1 name")
    config = daemon.get(f"{at}/config")
    assert "scsi1" not in config and "name" not in config and "vm-141-disk-1" in config["unused0"]
    daemon.put(f"{at}/config", delete="unused0")
    assert [v for v in daemon.get("/nodes/n1/storage/local/content", vmid=141) if "disk-1" in v["volid"]] == []
    # What cannot change in a running guest waits; `current` shows what is in force.
    daemon.task("POST", f"{at}/status/start")
    daemon.put(f"{at}/config", cores=3)
    assert daemon.get(f"{at}/config")["cores"] == 3
    assert daemon.get(f"{at}/config", current=1).get("cores", 1) == 1
    waiting = [r for r in daemon.get(f"{at}/pending") if "pending" in r or "delete" in r]
    assert [(r["key"], r["pending"]) for r in waiting] in ([("cores", 3)], [("cores", "3")])
    daemon.put(f"{at}/config", revert="cores")
    assert not [r for r in daemon.get(f"{at}/pending") if "pending" in r or "delete" in r]
    daemon.task("POST", f"{at}/status/stop")
    daemon.task("DELETE", at)


def test_volumes_are_allocated_as_a_csi_driver_does(daemon: TestDaemon) -> None:
    made = daemon.post("/nodes/n1/storage/local/content", vmid=9999, filename="vm-9999-pvc-1.raw", size="1M")
    assert made == "local:9999/vm-9999-pvc-1.raw"
    row = next(r for r in daemon.get("/nodes/n1/storage/local/content", vmid=9999) if r["volid"] == made)
    assert (row["vmid"], row["size"], row["format"], row["content"]) == (9999, 1 << 20, "raw", "images")
    # Both spellings of the path.
    for path in (quote(made, safe=""), quote(made, safe="/:")):
        assert daemon.get(f"/nodes/n1/storage/local/content/{path}")["size"] == 1 << 20
    upid = daemon.delete(f"/nodes/n1/storage/local/content/{quote(made, safe='')}")
    assert daemon.wait_task(upid)["exitstatus"] == "OK"


def test_nodes_and_cluster_have_the_asserted_types(daemon: TestDaemon) -> None:
    assert re.fullmatch(r"\d+", daemon.get("/cluster/nextid")) and isinstance(daemon.get("/cluster/nextid"), str)
    (own,) = daemon.get("/cluster/status")
    shown = {k: own[k] for k in ("type", "id", "name", "local", "nodeid", "online", "level")}
    assert shown == {"type": "node", "id": "node/n1", "name": "n1", "local": 1, "nodeid": 0, "online": 1, "level": ""}
    status = daemon.get("/nodes/n1/status")
    assert all(isinstance(load, str) for load in status["loadavg"])
    assert isinstance(status["cpuinfo"]["mhz"], str) and isinstance(status["cpuinfo"]["hvm"], str)
    assert all(isinstance(status["cpuinfo"][k], int) for k in ("cpus", "cores", "sockets"))
    assert re.fullmatch(r"pve-manager/9\.1\.\d+/[0-9a-f]{16}", status["pveversion"])
    assert daemon.get("/access/permissions", path="/")["/"]["VM.Audit"] == 1
    version = daemon.get("/version")
    assert re.fullmatch(r"9\.1\.\d{1,3}", version["version"]) and version["release"] == "9.1"
    assert re.fullmatch(r"[0-9a-f]{16}", version["repoid"])


# -- the host's pages ---------------------------------------------------------------------------------------------


def test_the_host_is_shown_as_it_is(daemon: TestDaemon) -> None:
    hosts = daemon.get("/nodes/n1/hosts")
    assert hosts["data"] == Path("/etc/hosts").read_text()
    assert hosts["digest"] == hashlib.sha1(hosts["data"].encode()).hexdigest()
    (certificate,) = daemon.get("/nodes/n1/certificates/info")
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", certificate["fingerprint"])
    assert "localhost" in certificate["san"] and certificate["notafter"] > certificate["notbefore"]
    assert daemon.get("/nodes/n1/subscription")["status"] == "notfound"
    clock = daemon.get("/nodes/n1/time")
    assert abs(clock["localtime"] - clock["time"]) <= 14 * 3600 and clock["timezone"]
    servers = [
        w for line in Path("/etc/resolv.conf").read_text().splitlines() if (w := line.split())[:1] == ["nameserver"]
    ]
    assert daemon.get("/nodes/n1/dns").get("dns1") == (servers[0][1] if servers else None)
    for row in daemon.get("/nodes/n1/network"):
        one = daemon.get(f"/nodes/n1/network/{quote(row['iface'], safe='')}")
        assert (one["iface"], one["type"]) == (row["iface"], row["type"])
    machines = daemon.get("/nodes/n1/capabilities/qemu/machines")
    assert {"q35", "i440fx"} == {row["type"] for row in machines}
    assert "x86-64-v2-AES" in {row["name"] for row in daemon.get("/nodes/n1/capabilities/qemu/cpu")}


def test_what_can_be_done_with_a_guest(daemon: TestDaemon, guest: str) -> None:
    assert daemon.get(f"{guest}/feature", feature="copy") == {"hasFeature": 1, "nodes": ["n1"]}
    assert daemon.get(f"{guest}/feature", feature="clone") == {"hasFeature": 0, "nodes": []}
    snapshot = daemon.get(f"{guest}/feature", feature="snapshot")
    assert snapshot["hasFeature"] == 1  # a qcow2 image
    daemon.put(f"{guest}/config", scsi5="local:0.001,format=raw")
    assert daemon.get(f"{guest}/feature", feature="snapshot")["hasFeature"] == 0
    daemon.put(f"{guest}/config", delete="scsi5")
    daemon.put(f"{guest}/config", delete="unused0")
