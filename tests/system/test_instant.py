"""Live templates and instant clones against a whole daemon, with the tiny guest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon
from support.faults import ask_and_die, wait_idle
from support.instant import clone, config, leave_marks, remove_clones, say

TEMPLATE = 900
SOURCE = {"instant": 1, "net0": "virtio", "name": "source", "cores": 1}


@pytest.fixture(scope="module")
def site(tiny_image: Path) -> Iterator[TestDaemon]:
    """A daemon with one live template, frozen after its guest had left a mark in memory and one on disk."""
    with test_daemon() as daemon:
        image = daemon.add_image(tiny_image)
        make_live_template(daemon, image, ide2="local:cloudinit")
        yield daemon


def make_live_template(daemon: TestDaemon, image: str, vmid: int = TEMPLATE, **more: Any) -> dict[str, Any]:
    daemon.create(vmid, image, **{**SOURCE, **more})
    daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    if more.get("agent", "1") == "1":
        daemon.wait_agent(vmid)
        leave_marks(daemon, vmid)
        say(daemon, vmid, "date -s @1000000000")  # frozen with a wrong clock
    return daemon.task("POST", f"{daemon.qemu}/{vmid}/template", live=1)


@pytest.fixture(autouse=True)
def no_clones_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    site = request.node.funcargs.get("site")
    if site is None or site.process is None or site.process.poll() is not None:
        return
    remove_clones(site)


def mac(daemon: TestDaemon, vmid: int) -> str:
    return str(config(daemon, vmid)["net0"]).partition("=")[2].partition(",")[0].lower()


def state_volume(daemon: TestDaemon, vmid: int = TEMPLATE) -> Path:
    return daemon.data / "storage/images" / str(vmid) / f"vm-{vmid}-state-live.raw"


def test_a_clone_goes_on_with_an_identity_of_its_own(site: TestDaemon) -> None:
    done = clone(site, TEMPLATE, newid=901, name="one")
    assert done["result"]["vmids"] == [901]
    times = done["result"]["times"]["901"]
    steps = {"overlay", "start", "restore", "agent", "identity"}
    assert set(times) == {*steps, "answered", "done"} and all(t > 0 for t in times.values())
    assert say(site, 901, "cat /run/mark /data/mark; hostname") == "in-memory\non-disk\none\n"
    assert abs(int(say(site, 901, "date +%s")) - time.time()) < 60
    own = mac(site, 901)
    assert own != mac(site, TEMPLATE)
    eventually(lambda: own in say(site, 901, "cat /sys/class/net/eth0/address"))
    eventually(lambda: "inet " in say(site, 901, "ip -4 addr show eth0"))
    assert "one" in say(site, 901, "mkdir -p /run/c; mount -r /dev/sr0 /run/c; cat /run/c/user-data; umount /run/c")
    for key in ("smbios1", "vmgenid"):
        assert config(site, 901)[key] != config(site, TEMPLATE)[key]
    status = site.status(901)
    assert status["instant"] == {"template": TEMPLATE, "identity": "done"}
    eventually(lambda: "memory-shared" in site.status(901))
    status = site.status(901)
    assert status["memory-shared"] > 20 << 20 and status["memory-private"] > 0
    template = site.status(TEMPLATE)
    assert (template["live"], template["memory-held"], template["instant-clones"]) == (1, 128 << 20, 1)


def test_several_at_once_are_independent(site: TestDaemon) -> None:
    done = clone(site, TEMPLATE, count=3, name="c{n}")
    vmids = done["result"]["vmids"]
    assert len(vmids) == 3
    say(site, vmids[0], "echo first >/run/mark; echo first >/data/mark; sync")
    assert say(site, vmids[1], "cat /run/mark /data/mark; hostname") == "in-memory\non-disk\nc2\n"
    assert len({mac(site, vmid) for vmid in (*vmids, TEMPLATE)}) == 4


def test_clones_asked_for_at_once(site: TestDaemon) -> None:
    upids: list[str] = []

    def ask() -> None:
        upids.append(site.post(f"{site.qemu}/{TEMPLATE}/clone", instant=1))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results = [site.wait_task(upid) for upid in upids]
    assert [r["exitstatus"] for r in results] == ["OK", "OK"]
    assert len({r["result"]["vmids"][0] for r in results}) == 2


def test_a_clone_is_a_full_citizen(site: TestDaemon) -> None:
    """It stops, boots from its own disk, changes, is removed; its template cannot go before it."""
    clone(site, TEMPLATE, newid=902, name="citizen")
    say(site, 902, "echo mine >/data/mine; sync")
    with pytest.raises(ApiError) as caught:
        site.delete(f"{site.qemu}/{TEMPLATE}")
    assert "902" in json.dumps(caught.value.body)
    site.task("POST", f"{site.qemu}/902/config", net1="virtio")
    eventually(lambda: "eth1" in say(site, 902, "ls /sys/class/net"))
    site.task("POST", f"{site.qemu}/902/status/stop")
    site.task("POST", f"{site.qemu}/902/status/start")
    site.wait_agent(902)
    assert say(site, 902, "cat /data/mark /data/mine; hostname; cat /run/mark 2>&1; true").startswith(
        "on-disk\nmine\ncitizen\n"
    )
    assert "memory-shared" not in site.status(902)


def test_the_next_daemon_adopts_clones_and_their_memory(site: TestDaemon) -> None:
    clone(site, TEMPLATE, newid=903)
    pid = site.status(903)["pid"]
    inode = os.stat(f"/proc/{pid}/fd/{_ram_fd(pid)}").st_ino
    site.kill()
    site.start()
    eventually(lambda: site.status(903)["status"] == "running")
    assert site.status(903)["pid"] == pid
    assert say(site, 903, "cat /run/mark") == "in-memory\n"
    clone(site, TEMPLATE, newid=904)
    other = site.status(904)["pid"]
    assert os.stat(f"/proc/{other}/fd/{_ram_fd(other)}").st_ino == inode, "one memory for both"


def test_without_a_running_clone_the_memory_comes_from_the_volume(site: TestDaemon) -> None:
    """As after a restart of the host: nothing but the files is left."""
    site.kill()
    site.start()
    assert site.status(TEMPLATE)["memory-held"] == 0
    clone(site, TEMPLATE, newid=905)
    assert say(site, 905, "cat /run/mark") == "in-memory\n"


def _ram_fd(pid: int) -> int:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    word = next(word for word in words if word.startswith("memory-backend-file,"))
    assert "share=off" in word
    return int(word.partition("/proc/self/fd/")[2].partition(",")[0])


def test_a_damaged_state_refuses_clones_and_names_the_file(site: TestDaemon) -> None:
    path = state_volume(site)
    site.kill()
    with path.open("r+b") as file:
        file.seek(9000)
        byte = file.read(1)
        file.seek(9000)
        file.write(bytes([byte[0] ^ 0xFF]))
    try:
        site.start()
        with pytest.raises(ApiError) as caught:
            site.post(f"{site.qemu}/{TEMPLATE}/clone", instant=1)
        assert str(path) in str(caught.value.body)
        assert caught.value.body["error"]["code"] == "live-state-damaged"
        # What boots needs no saved state.
        site.task("POST", f"{site.qemu}/{TEMPLATE}/clone", newid=906)
    finally:
        with path.open("r+b") as file:
            file.seek(9000)
            file.write(byte)
    clone(site, TEMPLATE, newid=907)


def test_a_changed_base_disk_refuses_clones_and_names_the_file(site: TestDaemon) -> None:
    disk = next((site.data / f"storage/images/{TEMPLATE}").glob("base-*"))
    about = disk.stat()
    subprocess.run(["chattr", "-i", disk], check=False, capture_output=True)
    with disk.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)
        file.seek(-100, os.SEEK_END)
        file.write(bytes([byte[0] ^ 0xFF]))
    try:
        with pytest.raises(ApiError) as caught:
            site.post(f"{site.qemu}/{TEMPLATE}/clone", instant=1)
        assert str(disk) in str(caught.value.body) and caught.value.body["error"]["code"] == "live-disk-changed"
    finally:
        with disk.open("r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(byte)
        os.utime(disk, ns=(about.st_atime_ns, about.st_mtime_ns))
    clone(site, TEMPLATE, newid=908)


def test_clones_that_do_not_fit_are_refused(site: TestDaemon) -> None:
    """With five parts, and before anything is made; how carefully is counted is the node's own setting."""
    rules = f"/nodes/{site.node}/memory-rules"
    clone(site, TEMPLATE, newid=909)
    before = site.get(rules)
    assert (before["keep-free"], before["instant-reserve"]) == (128, 25) and before["promised"] >= 0
    with pytest.raises(ApiError) as caught:
        site.put(rules, **{"keep-free": (psutil.virtual_memory().total >> 20) + 1})
    assert "keep-free" in caught.value.errors
    most = psutil.virtual_memory().available >> 20
    site.put(rules, **{"keep-free": most - 300, "instant-reserve": 100})
    try:
        with pytest.raises(ApiError) as caught:
            site.post(f"{site.qemu}/{TEMPLATE}/clone", instant=1, count=5)
        error = caught.value.body["error"]
        assert error["code"] == "memory-short"
        assert error["cause"] and error["evidence"] and error["fixes"] and "100 %" in error["cause"]
        site.create(913, "local:import/tiny.qcow2", memory=1024)
        done = site.wait_task(site.post(f"{site.qemu}/913/status/start"))
        assert done["error"]["code"] == "memory-short", done
        site.restart()
        assert site.get(rules)["instant-reserve"] == 100, "it is kept"
    finally:
        site.put(rules, **{"keep-free": 128, "instant-reserve": 25})


def test_it_is_a_privilege_of_its_own(site: TestDaemon) -> None:
    site.post("/access/users", userid="ann@pve", password="anns-password")
    site.put("/access/acl", path="/", roles="PVEAdmin", users="ann@pve")
    roles = {row["roleid"]: row["privs"] for row in site.get("/access/roles")}
    assert "VM.Clone.Live" in roles["Administrator"] and "VM.Clone.Live" not in roles["PVEAdmin"]
    token = site.post("/access/users/ann@pve/token/tok", privsep=0)
    for path in (f"{site.qemu}/{TEMPLATE}/clone", f"{site.qemu}/{TEMPLATE}/template"):
        answer = _as(site, token, path, "instant=1" if path.endswith("clone") else "live=1")
        assert "VM.Clone.Live" in answer, answer


def _as(daemon: TestDaemon, token: dict[str, Any], path: str, body: str) -> str:
    """A call over HTTPS with a token; the reply's status line and body."""
    done = subprocess.run(
        ["curl", "-sk", "-i", "-X", "POST", "-d", body]
        + ["-H", f"Authorization: PVEAPIToken={token['full-tokenid']}={token['value']}"]
        + [f"https://127.0.0.1:{daemon.port}/api2/json{path}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def _cards(daemon: TestDaemon, vmid: int) -> str:
    return str(daemon.post(f"{daemon.qemu}/{vmid}/monitor", command="info network"))


def test_without_an_agent_it_is_said_what_is_not_done(site: TestDaemon) -> None:
    image = "local:import/tiny.qcow2"
    make_live_template(site, image, 920, agent="0")
    try:
        upid = site.post(f"{site.qemu}/920/clone", instant=1, newid=921)
        done = site.wait_task(upid)
        assert done["exitstatus"] == "WARNINGS: 1"
        assert "host name" in site.task_log(upid)
        assert site.status(921)["instant"]["identity"] == "pending"
        # A guest that lets go of its card only after we had given up leaves a back end of the name.
        site.post(f"{site.qemu}/921/monitor", command="device_del net0")
        eventually(lambda: "net0: index=0,type=user" in _cards(site, 921) and "virtio-net" not in _cards(site, 921))
        site.wait_task(site.post(f"{site.qemu}/921/identity"))
        assert "virtio-net" in _cards(site, 921), "the card that was missing is in"
        site.task("POST", f"{site.qemu}/921/identity", declare=1)
        assert site.status(921)["instant"]["identity"] == "done"
        site.task("POST", f"{site.qemu}/921/status/stop")
        site.task("DELETE", f"{site.qemu}/921")
    finally:
        site.task("DELETE", f"{site.qemu}/920")


def test_a_cold_boot_finishes_a_pending_identity(site: TestDaemon) -> None:
    """Daemon and clone die after it went on and before it was told who it is; then it boots from its disk."""
    image = "local:import/tiny.qcow2"
    make_live_template(site, image, 930)
    try:
        site.crash_at("instant-identity:before-effect")
        ask_and_die(site, lambda: site.post(f"{site.qemu}/930/clone", instant=1, newid=931, name="late"))
        os.kill(site.qemu_pids()[931], signal.SIGKILL)
        site.start()
        wait_idle(site, 60)
        assert site.status(931)["instant"]["identity"] == "pending"
        site.task("POST", f"{site.qemu}/931/status/start")
        eventually(lambda: site.status(931)["instant"]["identity"] == "done", 120)
        assert say(site, 931, "hostname") == "late\n"
        assert say(site, 931, "cat /sys/class/net/eth0/carrier") == "1\n"
        site.task("POST", f"{site.qemu}/931/status/stop")
        site.task("DELETE", f"{site.qemu}/931")
    finally:
        if site.process is None or site.process.poll() is not None:
            site.start()
        site.task("DELETE", f"{site.qemu}/930")
