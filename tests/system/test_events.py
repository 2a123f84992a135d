"""The event stream of a whole daemon: a guest's life, figures, a restart; the examples of its documentation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.daemon import TestDaemon, eventually
from support.event_client import follow
from tarmac.lib import places

ROOT = Path(__file__).resolve().parents[2]
FROZEN = {"memory": 64, "freeze": 1, "vga": "none", "serial0": "socket"}


def unix(daemon: TestDaemon) -> str:
    return str(places.api_socket(daemon.data))


async def test_a_guests_life_and_its_figures(daemon: TestDaemon) -> None:
    async with follow(unix=unix(daemon)) as client:
        await client.ready()
        upid = daemon.post(daemon.qemu, vmid=100, name="alive", **FROZEN)
        await client.until_true(lambda: client.tasks.get(upid, {}).get("status") == "OK")
        assert client.rows["qemu/100"]["status"] == "stopped"
        upid = daemon.post(f"{daemon.qemu}/100/status/start")
        await client.until_true(lambda: client.rows["qemu/100"]["status"] == "running")
        await client.until_true(lambda: client.tasks.get(upid, {}).get("status") == "OK")
        await client.send(watch=["qemu/100"])
        times = [(await client.until(_metrics_of("qemu/100")))["time"] for _ in range(6)]
        # Taken in each round, not only in its turn: some 5 s for 6 of them, where each tenth round would take 50.
        assert times[-1] - times[0] < 30
        os.kill(daemon.qemu_pids()[100], 9)
        await client.until_true(lambda: client.rows["qemu/100"]["status"] == "stopped")
        daemon.task("DELETE", f"{daemon.qemu}/100")
        await client.until_true(lambda: "qemu/100" not in client.rows)


async def test_storages_come_and_go(daemon: TestDaemon, tmp_path: Path) -> None:
    async with follow(unix=unix(daemon)) as client:
        await client.ready()
        assert client.rows["storage/n1/local"]["status"] == "available"
        daemon.post("/storage", storage="more", type="dir", path=str(tmp_path / "more"), content="images")
        await client.until_true(lambda: client.rows.get("storage/n1/more", {}).get("status") == "available")
        daemon.delete("/storage/more")
        await client.until_true(lambda: "storage/n1/more" not in client.rows)


def _metrics_of(id: str) -> Any:
    return lambda m: m["type"] == "metrics" and id in [row[0] for row in m["rows"]]


@contextmanager
def program(words: list[str], **environment: str) -> Iterator[list[str]]:
    """A program that runs meanwhile; the list holds the lines that it has printed so far."""
    env = {**os.environ, **environment}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True)
    lines: list[str] = []
    assert process.stdout is not None
    read = process.stdout.readline
    reader = threading.Thread(target=lambda: lines.extend(iter(read, "")), daemon=True)
    reader.start()
    try:
        yield lines
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)
        reader.join(20)
        process.stdout.close()


def example(language: str) -> str:
    text = (ROOT / "docs/format/events.md").read_text("utf-8")
    return text.split(f"```{language}\n")[1].split("```\n")[0]


@pytest.fixture(scope="module")
def login(daemon: TestDaemon) -> dict[str, str]:
    made = daemon.post("/access/users/root@pam/token/events", privsep=0)
    token = f"{made['full-tokenid']}={made['value']}"
    certificate = str(daemon.data / "pki" / "node.pem")
    return {"ADDRESS": f"localhost:{daemon.port}", "TOKEN": token, "CERTIFICATE": certificate}


def test_the_shell_example_of_the_documentation(daemon: TestDaemon, login: dict[str, str]) -> None:
    with program(["sh", "-c", example("sh")], **login) as lines:
        eventually(lambda: any(json.loads(line)["type"] == "snapshot" for line in lines))
        daemon.task("POST", daemon.qemu, vmid=110, **FROZEN)
        eventually(lambda: any('"qemu/110"' in line for line in lines))
        eventually(lambda: any(json.loads(line)["type"] == "metrics" for line in lines))


def test_the_python_example_of_the_documentation(tmp_path: Path, login: dict[str, str], daemon: TestDaemon) -> None:
    script = tmp_path / "follow.py"
    script.write_text(example("python"))
    with program([sys.executable, str(script)], **login) as lines:
        # Nothing says when it follows: its line comes from a guest made after that.
        numbers = iter(range(120, 300))
        eventually(lambda: daemon.task("POST", daemon.qemu, vmid=next(numbers), **FROZEN) and lines)
        assert lines[0].startswith("qemu/1") and lines[0].endswith(" stopped\n")
        before = len(lines)
        daemon.end()
        daemon.start(port=daemon.port)
        eventually(lambda: daemon.task("POST", daemon.qemu, vmid=next(numbers), **FROZEN) and len(lines) > before)


def test_the_command(daemon: TestDaemon) -> None:
    words = [sys.executable, "-m", "tarmac", "--data-dir", str(daemon.data), "events"]
    with program(words) as people, program([*words, "--output", "json", "--watch", "node/n1"]) as machine:
        eventually(lambda: machine and json.loads(machine[0])["type"] == "snapshot")
        numbers = iter(range(300, 480))
        eventually(lambda: daemon.task("POST", daemon.qemu, vmid=next(numbers), name="new", **FROZEN) and people)
        eventually(lambda: any("stopped  new" in line for line in people))
        eventually(lambda: any(json.loads(line)["type"] == "metrics" for line in machine))


async def test_another_run_of_the_daemon_is_told(daemon: TestDaemon) -> None:
    async with follow(unix=unix(daemon)) as client:
        await client.ready()
        epoch, seq = client.epoch, client.seq
        daemon.stop()
        end = await client.until(lambda m: m["type"] == "end")
        assert "stops" in end["reason"] and await client.next() is None
    daemon.start()
    async with follow(unix=unix(daemon), query=f"?epoch={epoch}&since={seq}") as client:
        await client.ready()
        assert client.messages[0]["type"] == "resync" and client.epoch != epoch
