"""The tiny guest's own scripts, run by the busybox that runs them in the guest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tarmac.drivers.images import tiny

FILES = Path(tiny.__file__).parent / "tiny_files"


def _parse(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "network-config"
    path.write_text(text)
    argv = ["busybox", "awk", "-f", FILES / "network.awk", path]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def test_network_config_as_proxmox_writes_it(tmp_path: Path) -> None:
    text = """version: 1
config:
    - type: physical
      name: eth0
      mac_address: 'BC:24:11:00:00:01'
      subnets:
      - type: static
        address: '10.0.0.5'
        netmask: '255.255.255.0'
        gateway: '10.0.0.1'
      - type: static6
        address: 'fd00::5/64'
    - type: physical
      name: eth1
      mac_address: 'bc:24:11:00:00:02'
      subnets:
      - type: dhcp4
    - type: nameserver
      address:
      - '1.1.1.1'
      - '9.9.9.9'
      search:
      - 'example.org'
"""
    assert _parse(text, tmp_path) == [
        "eth0 bc:24:11:00:00:01 static 10.0.0.5 255.255.255.0 10.0.0.1",
        "eth0 bc:24:11:00:00:01 static6 fd00::5/64 - -",
        "eth1 bc:24:11:00:00:02 dhcp4 - - -",
        "- - nameserver 1.1.1.1 - -",
        "- - nameserver 9.9.9.9 - -",
    ]


def test_other_spellings(tmp_path: Path) -> None:
    text = (
        '# by hand\r\nversion: 1\r\nconfig:\r\n- type: "physical"\r\n  name: "eth0"\r\n  subnets:\r\n'
        "  - type: dhcp   # whatever comes\r\n- type: nameserver\r\n  address: 10.0.0.1\r\n"
    )
    assert _parse(text, tmp_path) == ["eth0 - dhcp - - -", "- - nameserver 10.0.0.1 - -"]


def test_nothing_is_made_of_rubbish(tmp_path: Path) -> None:
    assert _parse("\0\1: [}\nnetwork: {version: 2}\n", tmp_path) == []


@pytest.mark.parametrize(
    "path", sorted(path for path in FILES.iterdir() if path.suffix != ".awk"), ids=lambda p: p.name
)
def test_scripts_parse(path: Path) -> None:
    assert subprocess.run(["busybox", "sh", "-n", path], capture_output=True, check=True).stderr == b""
    assert path.name in tiny._FILES
