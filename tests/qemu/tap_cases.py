"""The cases of `test_tap.py`, run as root in a network and mount namespace of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarmac.drivers.network import tap
from tarmac.drivers.network.tap import Taps, bridges
from tarmac.drivers.qemu.agent import Agent
from tarmac.drivers.qemu.argv import TapNeed
from tarmac.model.errors import HostFailure, Unavailable
from tarmac.services.running.launcher import Launcher

from .conftest import GUEST_UID, Start

NET = Path("/sys/class/net")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture(scope="session", autouse=True)
def namespace() -> None:
    assert os.listdir("/proc/sys/net/ipv4/conf").count("eth0") == 0, "not in the host's own namespace"
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    ip("link", "set", "lo", "up")


@pytest.fixture(autouse=True)
def bridge() -> Iterator[str]:
    ip("link", "add", "br7", "type", "bridge")
    ip("link", "set", "br7", "mtu", "1400", "up")
    ip("addr", "add", "10.77.0.1/24", "dev", "br7")
    yield "br7"
    ip("link", "del", "br7")


def read(name: str, what: str) -> str:
    return (NET / name / what).read_text().strip()


async def test_tap_is_a_port_and_goes_with_its_descriptor(bridge: str) -> None:
    [fd] = await Taps().open("tap100i0", bridge=bridge, mac="BC:24:11:01:02:03")
    assert os.readlink(NET / "tap100i0" / "master").endswith("/br7")
    assert read("tap100i0", "mtu") == "1400"
    assert read("tap100i0", "address") == "fe:24:11:01:02:03"
    assert int(read("tap100i0", "flags"), 16) & 1
    assert Path("/proc/sys/net/ipv6/conf/tap100i0/disable_ipv6").read_text().strip() == "1"
    os.close(fd)
    assert not (NET / "tap100i0").exists()


async def test_several_queues_and_a_smaller_mtu(bridge: str) -> None:
    fds = await Taps().open("tap100i1", bridge=bridge, queues=4, mtu=1300)
    assert len(set(fds)) == 4
    assert len(list((NET / "tap100i1" / "queues").glob("rx-*"))) == 4
    assert read("tap100i1", "mtu") == "1300"
    for fd in fds:
        os.close(fd)


async def test_a_tap_with_vhost_queues(bridge: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    need = TapNeed(name="tap100i2", bridge=bridge, mac="", mtu=None, queues=2, key="net2", vhost=True)
    launcher = Launcher(runtime_root=place, instance="", cgroups=None, taps=Taps(), volumes=None, probe=None)  # type: ignore[arg-type]
    monkeypatch.setattr(tap, "VHOST", Path("/dev/null"))
    opened = await launcher.open_tap(need)
    assert list(opened) == ["net2", "net2-1", "net2-vhost", "net2-vhost-1"]
    for fd in opened.values():
        os.close(fd)
    opened = await launcher.open_tap(need, vhost=False)
    assert list(opened) == ["net2", "net2-1"]
    for fd in opened.values():
        os.close(fd)
    monkeypatch.setattr(tap, "VHOST", place / "none")
    with pytest.raises(HostFailure):
        await launcher.open_tap(need)
    assert not (NET / "tap100i2").exists()


async def test_failures_leave_no_tap(bridge: str) -> None:
    for name, code, options in (
        ("tap100i0", "bridge-missing", {"bridge": "br8"}),
        ("tap100i0", "not-a-bridge", {"bridge": "lo", "mtu": 1500}),
        ("tap100i0", "host-failure", {"bridge": bridge, "mtu": 10}),
    ):
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(HostFailure) as caught:
            await Taps().open(name, **options)  # type: ignore[arg-type]
        assert caught.value.error_code == code
        assert not (NET / name).exists()
        assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(HostFailure) as caught:
        await Taps().open("tap100i0", bridge="br8")
    assert caught.value.cause == "this host has the bridges br7"
    assert bridges() == ["br7"]


async def test_name_in_use_is_said(bridge: str) -> None:
    [fd] = await Taps().open("tap100i0", bridge=bridge)
    with pytest.raises(HostFailure) as caught:
        await Taps().open("tap100i0", bridge=bridge)
    assert caught.value.error_code == "tap-busy"
    assert (NET / "tap100i0").exists()
    os.close(fd)


async def test_leftovers_of_one_guest_are_removed_and_no_others(bridge: str) -> None:
    for name in ("tap100i0", "tap100i1", "tap1001i0", "tap10i0", "tapestry0"):
        ip("tuntap", "add", name, "mode", "tap")
    assert sorted(await Taps().remove_all(100)) == ["tap100i0", "tap100i1"]
    assert await Taps().remove_all(100) == []
    assert sorted(name for name in os.listdir(NET) if name.startswith("tap")) == ["tap1001i0", "tap10i0", "tapestry0"]
    assert await Taps("other").remove_all(1001) == []
    for name in ("tap1001i0", "tap10i0", "tapestry0"):
        ip("link", "del", name)


async def test_guest_reaches_the_bridge_and_its_tap_ends_with_it(bridge: str, start: Start, place: Path) -> None:
    overlay = place / "disk.qcow2"
    image = os.environ["TARMAC_TEST_TINY"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay], check=True)
    shutil.chown(overlay, GUEST_UID)
    [fd] = await Taps("some-instance").open("tabcd2Si0", bridge=bridge, mac="BC:24:11:01:02:03")
    guest = await start(
        "100",
        *("-accel", "tcg", "-cpu", "qemu64", "-m", "256"),
        *("-drive", f"file={overlay},format=qcow2,if=none,id=d", "-device", "virtio-blk-pci,drive=d"),
        *("-chardev", f"socket,id=qga,path={place}/100/qga.sock,server=on,wait=off", "-device", "virtio-serial-pci"),
        *("-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0"),
        *("-netdev", f"tap,id=n0,fd={fd}", "-device", "virtio-net-pci,netdev=n0,mac=BC:24:11:01:02:03"),
        machine="pc",
        more_fds=(fd,),
    )
    await guest.monitor().cont()
    agent = Agent(place / "100" / "qga.sock")
    async with asyncio.timeout(60):
        while True:
            try:
                await agent.ping(within=1)
                break
            except Unavailable:
                continue
        script = "ip link set eth0 up; ip addr add 10.77.0.2/24 dev eth0; ping -c 3 -w 10 10.77.0.1"
        done = await agent.run(["/bin/sh", "-c", script])
    agent.close()
    assert done.exit_code == 0, done
    await guest.kill()
    assert not (NET / "tabcd2Si0").exists()
