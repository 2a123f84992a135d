"""community.proxmox, unchanged: every module that concerns what is built, each run twice; the second run reports no
change. First everything is made, then parts are taken away, then everything: of a guest or a pool that is gone the
modules refuse to take a part away, as they do with Proxmox."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.ansible import Ansible, ansible
from support.daemon import TestDaemon

HOSTS = ["people", "guests"]


@pytest.fixture(scope="module")
def site() -> Ansible:
    try:
        return ansible()
    except (OSError, subprocess.SubprocessError) as problem:
        pytest.skip(f"Ansible cannot be fetched: {problem}")


@pytest.mark.timeout(600)
def test_the_second_run_changes_nothing(daemon: TestDaemon, site: Ansible, tmp_path: Path) -> None:
    (tmp_path / "tool.iso").write_bytes(b"tool" * 1000)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(tmp_path / "disk.qcow2"), "1M"], check=True)
    token = daemon.post("/access/users/root@pam/token/ansible", privsep=0)
    given = {"port": daemon.port, "token": "ansible", "secret": token["value"], "directory": tmp_path}
    for prefix, least in (("", 5), ("less_", 1), ("gone_", 2)):
        first = site.play(HOSTS, {**given, "prefix": prefix})
        assert min(first.changed.values()) >= least, first.output
        second = site.play(HOSTS, {**given, "prefix": prefix})
        assert set(second.changed.values()) == {0}, second.output
    assert daemon.get(daemon.qemu) == [] and daemon.get("/pools") == []
