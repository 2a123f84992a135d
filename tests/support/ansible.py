"""Ansible with the collection community.proxmox, unchanged: an environment of its own, made once and kept.

The collection comes out of the wheel of the package `ansible` (54 MB), of which only community.proxmox is unpacked. All
versions are pinned: `tests/clients/requirements.txt`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "clients"
CACHE = Path.home() / ".cache" / "tarmac-clients"
COLLECTION = "ansible==12.3.0"
SECONDS = 600


@dataclass(frozen=True)
class Played:
    """`changed`: how many tasks of each host reported a change; `output` is what Ansible printed."""

    changed: dict[str, int]
    output: str


@dataclass(frozen=True)
class Ansible:
    """The environment below `place`: `venv/` with ansible-core, and the collection beside it."""

    place: Path

    def play(self, hosts: list[str], variables: dict[str, object]) -> Played:
        """Run the playbook. Fails the test when a task failed."""
        python = self.place / "venv/bin/python"
        argv = [str(self.place / "venv/bin/ansible-playbook"), "-i", "".join(f"{host}," for host in hosts)]
        argv += ["-c", "local", str(HERE / "site.yml")]
        for key, value in {**variables, "ansible_python_interpreter": python}.items():
            argv += ["-e", f"{key}={value}"]
        settings = {"COLLECTIONS_PATH": str(self.place), "NOCOLOR": "1", "PIPELINING": "1", "LOCALHOST_WARNING": "0"}
        env = {**os.environ, **{f"ANSIBLE_{k}": v for k, v in settings.items()}, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=SECONDS)
        recap = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0", done.stdout, re.MULTILINE)
        assert done.returncode == 0 and len(recap) == len(hosts), f"{done.stdout}\n{done.stderr}"
        return Played({host: int(count) for host, count in recap}, done.stdout)


def ansible() -> Ansible:
    """The environment, made the first time. Raises OSError or CalledProcessError where it cannot be fetched."""
    wanted = (HERE / "requirements.txt").read_text() + COLLECTION
    CACHE.mkdir(parents=True, exist_ok=True)
    place = CACHE / "ansible"
    with (CACHE / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        stamp = place / "ready"
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(place, ignore_errors=True)
            _make(place)
            stamp.write_text(wanted)
    return Ansible(place)


def _make(place: Path) -> None:
    venv.create(place / "venv", with_pip=True)
    pip = [str(place / "venv/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]

    def run(*words: str) -> None:
        subprocess.run([*pip, *words], check=True, capture_output=True, timeout=SECONDS)

    run("install", "--no-deps", "--only-binary", ":all:", "-r", str(HERE / "requirements.txt"))
    with tempfile.TemporaryDirectory() as directory:
        run("download", "--no-deps", "--dest", directory, COLLECTION)
        with zipfile.ZipFile(next(Path(directory).glob("*.whl"))) as wheel:
            names = [n for n in wheel.namelist() if n.startswith("ansible_collections/community/proxmox/")]
            wheel.extractall(place, names)
