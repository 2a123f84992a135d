"""community.proxmox against a real daemon: the playbook twice; the second run may change nothing.

The collection is taken from the wheel of the package `ansible` (54 MB), of which only community.proxmox is unpacked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support.daemon import test_daemon  # noqa: E402

CACHE = Path.home() / ".cache" / "tarmac-clients"
ANSIBLE, CORE = "ansible==12.3.0", "ansible-core~=2.19.5"


def environment() -> Path:
    """The directory with ansible-core in `venv/` and the collection beside it; made the first time."""
    place = CACHE / "ansible-12.3.0"
    if (place / "ready").exists():
        return place
    venv.create(place / "venv", with_pip=True, clear=True)
    pip = [str(place / "venv/bin/pip"), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", CORE, "proxmoxer==2.3.0", "requests"], check=True)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([*pip, "download", "--no-deps", "--dest", directory, ANSIBLE], check=True)
        with zipfile.ZipFile(next(Path(directory).glob("*.whl"))) as wheel:
            names = [n for n in wheel.namelist() if n.startswith("ansible_collections/community/proxmox/")]
            wheel.extractall(place, names)
    (place / "ready").touch()
    return place


def run(place: Path, variables: dict[str, object]) -> int:
    """Run the playbook; returns how many tasks reported a change. Ends this program when one failed."""
    argv = [str(place / "venv/bin/ansible-playbook"), "-i", "localhost,", "-c", "local", str(HERE / "playbook.yml")]
    for key, value in {**variables, "ansible_python_interpreter": place / "venv/bin/python"}.items():
        argv += ["-e", f"{key}={value}"]
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(place), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    print(done.stdout)
    recap = re.search(r"ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0", done.stdout)
    if done.returncode or recap is None:
        sys.exit(f"the playbook failed\n{done.stderr}")
    return int(recap[1])


def main() -> None:
    place = environment()
    with test_daemon() as daemon, tempfile.TemporaryDirectory() as directory:
        token = daemon.post("/access/users/root@pam/token/ansible", privsep=0)
        given = {"port": daemon.port, "token": "ansible", "secret": token["value"], "directory": directory}
        first, second = run(place, given), run(place, given)
        print(f"first run: {first} changed; second run: {second} changed")
        sys.exit(0 if first and not second else "the second run changed something")


if __name__ == "__main__":
    main()
