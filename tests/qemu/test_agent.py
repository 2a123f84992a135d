"""The real agent in a real (tiny) guest: programs, files, addresses, and its coming and going."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tarmac.drivers.qemu.agent import NOT_RUNNING, Agent
from tarmac.model.errors import HostFailure, OutcomeUnknown, Unavailable

from .conftest import GUEST_UID, Start


async def booted(start: Start, place: Path, image: Path) -> Agent:
    overlay = place / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay], check=True)
    shutil.chown(overlay, GUEST_UID)
    guest = await start(
        "100",
        *("-accel", "tcg", "-cpu", "qemu64", "-m", "256"),
        *("-drive", f"file={overlay},format=qcow2,if=none,id=d", "-device", "virtio-blk-pci,drive=d"),
        *("-chardev", f"socket,id=qga,path={place}/100/qga.sock,server=on,wait=off", "-device", "virtio-serial-pci"),
        *("-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0", "-netdev", "user,id=n,restrict=on"),
        *("-device", "virtio-net-pci,netdev=n"),
        machine="pc",
    )
    agent = Agent(place / "100" / "qga.sock", label="VM 100")
    with pytest.raises(Unavailable, match=NOT_RUNNING):
        await agent.ping(within=0.2)
    await guest.monitor().cont()
    async with asyncio.timeout(60):
        while True:
            try:
                await agent.ping(within=1)
                return agent
            except Unavailable as error:
                assert error.message == NOT_RUNNING


async def test_real_agent(start: Start, place: Path, tiny_image: Path) -> None:
    agent = await booted(start, place, tiny_image)
    try:
        await programs(agent)
        await files(agent)
        names = {entry["name"] for entry in await agent.network_interfaces()}
        assert "lo" in names
        assert await agent.call("guest-get-osinfo")
        await hung(agent, place)
        await power_off(agent, place)
    finally:
        agent.close()


async def programs(agent: Agent) -> None:
    done = await agent.run(["/bin/sh", "-c", "cat; echo err >&2; exit 3"], input=b"\x00\xffbytes")
    assert (done.exit_code, done.output, done.error) == (3, b"\x00\xffbytes", b"err\n")
    done = await agent.run(["/bin/sh", "-c", "kill -9 $$"])
    assert (done.exit_code, done.signal) == (None, 9)
    with pytest.raises(HostFailure) as caught:
        await agent.run(["/nowhere"])
    assert caught.value.message.startswith("Agent error: ")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(agent.run(["/bin/echo", str(number)])) for number in range(5)]
    assert [task.result().output for task in tasks] == [b"%d\n" % number for number in range(5)]


async def files(agent: Agent) -> None:
    data = os.urandom(700_000)
    await agent.file_write("/tmp/file", data)
    assert await agent.file_read("/tmp/file") == (data, False)
    assert await agent.file_read("/tmp/file", limit=300_000) == (data[:300_000], True)
    await agent.file_write("/tmp/file", b"")
    assert await agent.file_read("/tmp/file") == (b"", False)
    with pytest.raises(HostFailure, match="No such file"):
        await agent.file_read("/nowhere")


async def hung(agent: Agent, place: Path) -> None:
    """A guest that stands still costs its caller the time it gave, and answers again when it goes on."""
    pid = int(subprocess.run(["pgrep", "-f", f"{place}/100/qga.sock"], capture_output=True, check=True).stdout)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises((OutcomeUnknown, Unavailable)):
        await agent.exec(["/bin/true"], within=0.3)
    with pytest.raises(Unavailable, match=NOT_RUNNING):
        await agent.ping(within=0.3)
    os.kill(pid, signal.SIGCONT)
    await agent.ping(within=10)
    assert (await agent.run(["/bin/echo", "again"])).output == b"again\n"


async def power_off(agent: Agent, place: Path) -> None:
    await agent.shutdown()
    async with asyncio.timeout(30):
        while subprocess.run(["pgrep", "-f", f"{place}/100/qga.sock"], capture_output=True).returncode == 0:
            await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match=NOT_RUNNING):
        await agent.ping(within=1)
