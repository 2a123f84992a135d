"""Completion, as the shells use it: a real bash completes with the script we print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.faces.cli.written.completion import SCRIPTS, candidates

CASES = [
    ("", "v", {"version", "vm", "vnet"}),
    (
        "vm",
        "s",
        {
            *("set", "showcmd", "shutdown", "start", "stop", "suspend", "ssh", "screenshot", "show", "status"),
            *("sendkey", "snapshot", "snapshots", "snapshot-config", "snapshot-describe", "snapshot-diff"),
        },
    ),
    ("--data-dir /tmp vm", "sta", {"start", "status"}),
    ("vm list --output", "", {"table", "json", "yaml"}),
    ("vm shutdown 100", "--force", {"--force-stop", "--forceStop"}),
    ("completion", "", {"bash", "fish", "zsh"}),
    ("image build", "d", {"debian-12"}),
    ("", "--ou", {"--output"}),
    ("nonsense", "", set()),
]


@pytest.mark.parametrize(("before", "typed", "wanted"), CASES)
def test_candidates(before, typed, wanted):
    assert set(candidates(before.split(), typed)) == wanted


def test_guests_are_asked_for(daemon, tarmac):
    daemon.answer("GET", "/cluster/resources", [{"vmid": 100, "name": "web"}, {"vmid": 101, "name": "db"}])
    assert tarmac("complete", "--", "vm", "start", "").out.split() == ["100", "101", "db", "web"]
    assert tarmac("complete", "--", "vm", "start", "100", "d").out.split() == ["db"]
    assert tarmac("complete", "--", "vm", "exec", "w").out.split() == ["web"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("storage content", ["fast", "local"]),
        ("vm create --storage", ["fast", "local"]),
        ("vm create --image", ["debian-12"]),
        ("vm rollback web", ["before", "now"]),
        ("user list", []),
    ],
)
def test_names_are_asked_for_where_they_are_listed(daemon, tarmac, words, wanted):
    daemon.answer("GET", "/storage", [{"storage": "local"}, {"storage": "fast"}])
    daemon.answer("GET", "/nodes/pve1/storage/local/content", [{"volid": "local:import/debian-12.qcow2"}])
    daemon.answer("GET", "/cluster/resources", [{"type": "qemu", "vmid": 100, "name": "web", "node": "pve1"}])
    daemon.answer("GET", "/nodes/pve1/qemu/100/snapshot", [{"name": "now"}, {"name": "before"}])
    assert tarmac("complete", "--", *words.split(), "").out.split() == wanted


def test_the_data_directory_that_is_typed_counts(daemon, tarmac, tmp_path, monkeypatch):
    daemon.answer("GET", "/storage", [{"storage": "local"}])
    monkeypatch.setenv("TARMAC_DATA_DIR", str(tmp_path / "none"))
    words = ("--data-dir", str(daemon.data_dir), "storage", "content", "")
    assert tarmac("complete", "--", *words).out.split() == ["local"]


def test_without_a_daemon_it_is_silent(tarmac, tmp_path, monkeypatch):
    monkeypatch.setenv("TARMAC_DATA_DIR", str(tmp_path))
    ran = tarmac("complete", "--", "vm", "start", "")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def _bash(script: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("tarmac vm sta", ["start", "status"]),
        ("tarmac vm list --output ", ["json", "table", "yaml"]),
        ("tarmac ima", ["image"]),
    ],
)
def test_in_a_real_bash(line, wanted):
    words = line.split() + ([""] if line.endswith(" ") else [])
    quoted = " ".join(f"'{word}'" for word in words)
    out = _bash(f"""
        source <(tarmac completion bash)
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _tarmac
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p tarmac >/dev/null
    """)
    assert sorted(out.split()) == wanted


def test_the_scripts_ask_and_know_nothing_themselves():
    for script in SCRIPTS.values():
        assert "complete --" in script
        assert "shutdown" not in script
