"""Work in guests through the agent: exec, cp, ssh. The agent is a real shell in a scratch directory: what the command
line sends is really run, so that quoting and pieces are tested by what comes out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.api_server import Asked, Daemon, Reply

GUEST = "/nodes/pve1/qemu/100"


class ShellAgent:
    """Runs what `agent/exec` asks for on this machine; answers `exec-status` as running once, then as ended."""

    def __init__(self, daemon: Daemon) -> None:
        self.done: dict[int, dict[str, Any]] = {}
        self.asked_status: dict[int, int] = {}
        self.commands: list[list[str]] = []
        daemon.answer("POST", f"{GUEST}/agent/exec", self._exec)
        daemon.answer("GET", f"{GUEST}/agent/exec-status", self._status)

    def _exec(self, asked: Asked) -> dict[str, int]:
        command = asked.params["command"]
        given = asked.params.get("input-data", [""])[0]
        self.commands.append(command)
        ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        pid = 1000 + len(self.done)
        code = {"exitcode": ran.returncode} if ran.returncode >= 0 else {"signal": -ran.returncode}
        self.done[pid] = {"exited": 1, **code, "out-data": ran.stdout, "err-data": ran.stderr}
        return {"pid": pid}

    def _status(self, asked: Asked) -> dict[str, Any]:
        pid = int(asked.params["pid"][0])
        self.asked_status[pid] = self.asked_status.get(pid, 0) + 1
        return {"exited": 0} if self.asked_status[pid] == 1 else self.done[pid]


@pytest.fixture
def agent(daemon):
    return ShellAgent(daemon)


@pytest.mark.parametrize(
    "words",
    [
        ["100", "--", "sh", "-c", "echo out; echo err >&2; exit 3", "--", "-o"],
        ["100", "sh", "-c", "echo out; echo err >&2; exit 3"],
        ["--quiet", "100", "--timeout", "20", "sh", "-c", "echo out; echo err >&2; exit 3", "--output", "json"],
    ],
)
def test_exec_hands_on_output_and_exit_code(agent, tarmac, words):
    ran = tarmac("vm", "exec", *words)
    assert (ran.code, ran.out, ran.err) == (3, "out\n", "err\n")


def test_exec_as_json(agent, tarmac):
    ran = tarmac("vm", "exec", "-o", "json", "100", "printf", "a b")
    assert ran.json == {"exitcode": 0, "out-data": "a b", "err-data": "", "out-truncated": False}
    assert agent.commands == [["printf", "a b"]]


def test_exec_of_a_killed_command(agent, tarmac):
    assert tarmac("vm", "exec", "100", "--", "sh", "-c", "kill -9 $$").code == 128 + 9


def test_exec_without_an_agent(daemon, tarmac):
    daemon.answer("POST", f"{GUEST}/agent/exec", Reply(status=500, reason="QEMU guest agent is not running"))
    ran = tarmac("vm", "exec", "100", "true")
    assert ran.code == 5
    assert "QEMU guest agent is not running" in ran.err


def test_exec_needs_a_command(daemon, tarmac):
    ran = tarmac("vm", "exec", "100")
    assert ran.code == 2
    assert not daemon.asked


@pytest.mark.parametrize("size", [0, 1, 384 * 1024, 800_000])
def test_cp_there_and_back(agent, tarmac, tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    here, there, back = tmp_path / "here's a file", tmp_path / "guest's $(dir)" / "x", tmp_path / "back"
    here.write_bytes(data[:size])
    here.chmod(0o750)
    there.parent.mkdir()
    assert tarmac("vm", "cp", str(here), f"100:{there}").code == 0
    assert there.read_bytes() == data[:size]
    assert there.stat().st_mode & 0o777 == 0o750
    assert tarmac("vm", "cp", f"100:{there}", str(back)).code == 0
    assert back.read_bytes() == data[:size]
    assert not list(tmp_path.rglob("*.part"))


def test_cp_into_a_directory(agent, tarmac, tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "d").mkdir()
    assert tarmac("vm", "cp", str(tmp_path / "a"), f"100:{tmp_path}/d/").code == 0
    assert (tmp_path / "d/a").read_text() == "x"


def test_cp_that_fails_leaves_nothing(agent, tarmac, tmp_path):
    (tmp_path / "a").write_text("x")
    ran = tarmac("vm", "cp", str(tmp_path / "a"), f"100:{tmp_path}/missing/a")
    assert ran.code == 3, ran.err
    ran = tarmac("vm", "cp", f"100:{tmp_path}/missing", str(tmp_path / "b"))
    assert ran.code == 3, ran.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a"]


def test_cp_needs_one_end_in_a_guest(daemon, tarmac):
    assert tarmac("vm", "cp", "a", "b").code == 2
    assert tarmac("vm", "cp", "100:/a", "101:/b").code == 2


def _config(daemon: Daemon, **keys: str) -> None:
    smbios = "uuid=7b0c1a3e-1f4b-4b36-9c7e-0d5a5f1c2b3a"
    daemon.answer("GET", f"{GUEST}/config", {"smbios1": smbios, **keys})


def test_ssh_by_port_forward(daemon, tarmac):
    _config(daemon, ciuser="anna", net0="virtio=BC:24:11:00:00:01,forward=udp::53:53;tcp:127.0.0.1:2230:22")
    ran = tarmac("vm", "ssh", "--print", "100", "-L", "8080:localhost:80")
    alias = "tarmac-7b0c1a3e-1f4b-4b36-9c7e-0d5a5f1c2b3a"
    assert ran.out.strip() == (
        f"ssh -p 2230 -o HostKeyAlias={alias} -o StrictHostKeyChecking=accept-new anna@127.0.0.1 -L 8080:localhost:80"
    )


def test_ssh_uses_the_key_of_up(daemon, tarmac):
    key = daemon.data_dir / "keys/id_ed25519"
    key.parent.mkdir()
    key.write_text("key")
    _config(daemon, net0="virtio,forward=tcp::2230:22")
    out = tarmac("vm", "ssh", "--print", "100").out
    assert f"-i {key} -o UserKnownHostsFile={key.parent}/known_hosts root@127.0.0.1" in out


def test_ssh_by_the_agents_address(daemon, tarmac):
    links = [
        {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}]},
        {"name": "eth0", "ip-addresses": [{"ip-address": "-oProxyCommand=evil"}, {"ip-address": "fe80::1"}]},
        {"name": "eth1", "ip-addresses": [{"ip-address": "192.0.2.7"}]},
    ]
    _config(daemon, net0="virtio,bridge=vmbr0")
    daemon.answer("GET", f"{GUEST}/agent/network-get-interfaces", {"result": links})
    assert tarmac("vm", "ssh", "--print", "100").out.endswith("root@192.0.2.7\n")


def test_ssh_without_any_address_says_what_helps(daemon, tarmac):
    _config(daemon, net0="virtio,bridge=vmbr0")
    daemon.answer("GET", f"{GUEST}/agent/network-get-interfaces", {"result": []})
    ran = tarmac("vm", "ssh", "--print", "100")
    assert ran.code == 6
    assert "tarmac vm console 100" in ran.err


def test_ssh_into_a_network_that_leads_out_only_is_not_tried(daemon, tarmac):
    _config(daemon, net0="virtio=BC:24:11:00:00:01")
    ran = tarmac("vm", "ssh", "--print", "100")
    assert ran.code == 6
    assert "--net0 'virtio=BC:24:11:00:00:01,forward=tcp:127.0.0.1:2222:22'" in ran.err


def test_screenshot(daemon, tarmac, tmp_path):
    png = b"\x89PNG\r\n\x1a\n" + b"x" * 100
    daemon.answer("GET", f"{GUEST}/screenshot", Reply(raw=png, headers={"Content-Type": "image/png"}))
    target = tmp_path / "shot.png"
    assert tarmac("vm", "screenshot", "100", str(target)).code == 0
    assert target.read_bytes() == png
    daemon.answer("GET", f"{GUEST}/screenshot", Reply(raw=b"nonsense"))
    assert tarmac("vm", "screenshot", "100", str(tmp_path / "other.png")).code == 1
    assert not Path(tmp_path / "other.png").exists()
