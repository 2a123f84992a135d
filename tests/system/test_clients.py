"""Clients that people use, unchanged, against a real daemon; `tests/clients/` says what they are told to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks
from pve_exporter.collector import CollectorsOptions, collect_pve

from support.daemon import TestDaemon

EVERY = CollectorsOptions(**dict.fromkeys(CollectorsOptions._fields, True))


def _certificate(daemon: TestDaemon) -> str:
    return next(str(path) for path in (daemon.data / "pki").glob("*.pem") if "KEY" not in path.read_text())


def test_the_prometheus_exporter_collects_everything(daemon: TestDaemon, small_image: Path) -> None:
    """Every collector, as a user with the role that its documentation asks for, with the certificate verified."""
    daemon.create(100, daemon.add_image(small_image, "small.qcow2"), name="exported", onboot=1, tags="x")
    daemon.post("/access/users", userid="prometheus@pve")
    token = daemon.post("/access/users/prometheus@pve/token/scrape", privsep=0)
    daemon.put("/access/acl", path="/", users="prometheus@pve", roles="PVEAuditor")
    config = {
        "user": "prometheus@pve",
        "token_name": "scrape",
        "token_value": token["value"],
        "verify_ssl": _certificate(daemon),
    }
    text = collect_pve(config, f"127.0.0.1:{daemon.port}", True, True, EVERY).decode()
    values = dict(re.findall(r"^(\w+\{[^}]*\}) ([-\d.e+]+)$", text, re.MULTILINE))
    n = daemon.node
    assert values['pve_up{id="qemu/100"}'] == "0.0"
    assert values[f'pve_up{{id="node/{n}"}}'] == values[f'pve_up{{id="storage/{n}/local"}}'] == "1.0"
    assert values[f'pve_onboot_status{{id="qemu/100",node="{n}",type="qemu"}}'] == "1.0"
    assert [values[key] for key in values if key.startswith("pve_not_backed_up_total")] == ["1.0"]
    for name in ("pve_guest_info", "pve_node_info", "pve_version_info", "pve_storage_info", "pve_subscription_info"):
        assert re.search(rf"^{name}\{{", text, re.MULTILINE), name


@pytest.fixture(scope="module")
def npm_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which npm's proxmox-api is installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    place = tmp_path_factory.mktemp("npm")
    argv = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(place),
        "proxmox-api@1.1.1",
    ]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot fetch proxmox-api: no answer within 120 s")
    if done.returncode:
        pytest.skip(f"npm cannot fetch proxmox-api: {done.stderr.strip()[-300:]}")
    return place


def test_the_client_of_npm(daemon: TestDaemon, npm_client: Path) -> None:
    daemon.post("/access/users", userid="node@pve", password="for node only")
    daemon.put("/access/acl", path="/", users="node@pve", roles="Administrator")
    script = Path(__file__).parents[1] / "clients" / "npm.mjs"
    argv = ["node", str(script), str(npm_client), str(daemon.port), "node@pve", "for node only"]
    done = subprocess.run(
        argv,
        env={**os.environ, "NODE_TLS_REJECT_UNAUTHORIZED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["version"]["release"] == "9.1" and told["nodes"][0]["node"] == daemon.node
    assert (told["task"], told["config"]["name"]) == ("OK", "by-npm")
    assert f"Configuration file 'nodes/{daemon.node}/qemu-server/999.conf' does not exist" in told["error"]
    assert "VM 300 already exists" in told["taken"]
    assert "Parameter verification failed." in told["unknown"] and "nonsense" in told["unknown"]
    assert told["lives"] == [["OK", "OK", "running", "OK", "OK"]] * 10


def test_proxmoxer_ten_at_a_time_without_a_retry(daemon: TestDaemon) -> None:
    """Each of ten threads makes its guests, reads what it wrote, and is refused in Proxmox's words."""
    token = daemon.post("/access/users/root@pam/token/ten", privsep=0)
    given = {"token_name": "ten", "token_value": token["value"], "verify_ssl": _certificate(daemon)}
    api = ProxmoxAPI("127.0.0.1", port=daemon.port, user="root@pam", **given)

    def life(number: int) -> list[str]:
        vmid, told = 500 + number, []
        node = api.nodes(daemon.node)
        told.append(Tasks.blocking_status(api, node.qemu.post(vmid=vmid, memory=32, vga="none", freeze=1), 60, 0.1))
        for turn in range(5):
            digest = node.qemu(vmid).config.get()["digest"]
            node.qemu(vmid).config.put(name=f"turn-{turn}", digest=digest)
            assert node.qemu(vmid).config.get()["name"] == f"turn-{turn}"
            with pytest.raises(ResourceException, match="checksum mismatch"):
                node.qemu(vmid).config.put(name="lost", digest=digest)
        told.append(Tasks.blocking_status(api, node.qemu(vmid).status.start.post(), 60, 0.1))
        assert node.qemu(vmid).status.current.get()["status"] == "running"
        again = Tasks.blocking_status(api, node.qemu(vmid).status.start.post(), 60, 0.1)
        assert again["exitstatus"] == f"VM {vmid} already running"
        told.append(Tasks.blocking_status(api, node.qemu(vmid).status.stop.post(), 60, 0.1))
        told.append(Tasks.blocking_status(api, node.qemu(vmid).delete(), 60, 0.1))
        with pytest.raises(ResourceException, match="does not exist"):
            node.qemu(vmid).config.get()
        return [status["exitstatus"] for status in told]

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(life, range(10))) == [["OK"] * 4] * 10
