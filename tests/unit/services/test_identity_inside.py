"""The script that makes a clone another machine, run by real shells on files of a made-up system."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tarmac.services.instant.identity_inside import NewIdentity, make_keys, new_machine_id, script_of

OLD, NEW = "bc:24:11:00:00:01", "bc:24:11:aa:bb:cc"
SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
NOW = 1_800_000_000.25
IDENTITY = NewIdentity(
    hostname="new-name",
    machine_id=new_machine_id(),
    macs={OLD: NEW},
    names={NEW: "eth0"},
    keys=make_keys(with_rsa=True),
)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root directory as a Debian has it, in short."""
    files = {
        "etc/hostname": "old\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 old.example old\n10.0.0.1 old-friend\n",
        "etc/machine-id": "0" * 32 + "\n",
        "etc/ssh/ssh_host_ed25519_key": "old private\n",
        "etc/ssh/ssh_host_ed25519_key.pub": "old public\n",
        "etc/ssh/ssh_host_rsa_key": "old private\n",
        "etc/ssh/ssh_host_rsa_key.pub": "old public\n",
        "etc/systemd/network/10-cloud-init-eth0.network": f"[Match]\nMACAddress={OLD}\nName=eth0\n\n[Network]\n",
        "etc/netplan/50-cloud-init.yaml": f"  macaddress: '{OLD}'\n  x: {OLD} {OLD}",
        "var/lib/dhcp/dhclient.leases": "lease {}\n",
        "proc/sys/kernel/hostname": "old\n",
        "dev/urandom": "",
        "run/.keep": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(shell: list[str], system: Path, path: str = "") -> str:
    """In the made-up system, without any program but the shell itself; what it says. Its `date` is the made-up
    system's, too: busybox has one of its own, which would set this machine's clock."""
    places = r"(?<![\w.])/(etc|var|proc|run|sys|dev/urandom)(?=[/\s]|$)"
    script = re.sub(places, rf"{system}/\1", script_of(IDENTITY, NOW)).replace("date -u", f"{system}/bin/date -u")
    assert script.count("/bin/date -u") == 2 and not re.search(r"(?<![\w/])date -", script)
    binary = shutil.which(shell[0])
    assert binary is not None
    done = subprocess.run(
        [binary, *shell[1:], "-s"], input=script, text=True, capture_output=True, env={"PATH": path}, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_everything_becomes_its_own(shell: list[str], system: Path) -> None:
    run(shell, system)

    def text(name: str) -> str:
        return (system / name).read_text()

    assert text("etc/hostname") == text("proc/sys/kernel/hostname") == "new-name\n"
    assert text("etc/hosts") == "127.0.0.1 localhost\n127.0.1.1 new-name\n10.0.0.1 old-friend\n"
    assert text("etc/machine-id") == IDENTITY.machine_id + "\n"
    private, public = IDENTITY.keys["ed25519"]
    assert text("etc/ssh/ssh_host_ed25519_key") == private and text("etc/ssh/ssh_host_ed25519_key.pub") == public + "\n"
    assert text("etc/ssh/ssh_host_rsa_key") == IDENTITY.keys["rsa"][0], "made here, not in the guest"
    assert not (system / "etc/ssh/ssh_host_ecdsa_key").exists(), "no key of a type that the guest did not have"
    assert OLD not in text("etc/systemd/network/10-cloud-init-eth0.network")
    assert text("etc/netplan/50-cloud-init.yaml").count(NEW) == 3
    assert text("etc/systemd/network/05-tarmac-eth0.link") == f"[Match]\nMACAddress={NEW}\n[Link]\nName=eth0\n"
    assert text("var/lib/dhcp/dhclient.leases") == ""
    assert len(text("dev/urandom")) == 64


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("hardware", "set"),
    [
        ("", "@1800000000.250"),
        ("1800000000", "@1800000000.250"),
        ("1800000007", "@1800000007.000"),  # it waited seven seconds for its processor
        ("1800007200", "@1800000000.250"),  # another zone's
        ("junk", "@1800000000.250"),
    ],
)
def test_the_clock_is_the_host_s(shell: list[str], system: Path, hardware: str, set: str) -> None:
    """By a `date` that writes down how it was called."""
    if hardware:
        clock = system / "sys/class/rtc/rtc0/since_epoch"
        clock.parent.mkdir(parents=True)
        clock.write_text(f"{hardware}\n")
    program = system / "bin/date"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{system}/called\n')
    program.chmod(0o755)
    assert run(shell, system) == "clock\n"
    assert (system / "called").read_text() == f"-u -s {set}\n"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_without_such_a_program_it_is_left_to_the_agent(shell: list[str], system: Path) -> None:
    assert run(shell, system) == ""


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_it_can_run_twice(shell: list[str], system: Path) -> None:
    run(shell, system)
    once = {path: path.read_bytes() for path in system.rglob("*") if path.is_file() and path.name != "urandom"}
    run(shell, system)
    assert {path: path.read_bytes() for path in once} == once


def test_keys_are_openssh_s(tmp_path: Path) -> None:
    for name, (private, public) in make_keys(with_rsa=True).items():
        path = tmp_path / name
        path.write_text(private)
        path.chmod(0o600)
        done = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True)
        assert done.stdout.split()[:2] == public.split()[:2]
