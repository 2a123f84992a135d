"""The walls around the tools that open images: what stands behind them, taken over, can do nothing but its work."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.hostile_images import MIB, folder, img, secret
from tarmac.drivers.storage import walls
from tarmac.drivers.storage.jail import Jail, JailLimits
from tarmac.model.errors import HostFailure, NoSpace

__all__ = ["folder", "secret"]


PYTHON = "/usr/bin/python3"  # other users may run it, which is not said of the one that runs the tests
needs_python = pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs an interpreter that other users may run")

PROBE = """
import os, socket, sys
def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "done"
print(os.getuid(), tried(lambda: open("/etc/passwd").read()), tried(lambda: socket.socket()),
      tried(lambda: open("/tmp/tarmac-jail-test", "w")), tried(lambda: os.listdir("/proc/1/fd")),
      tried(lambda: os.symlink("/etc", "/tmp/tarmac-jail-link")))
"""


@needs_python
async def test_the_jail_has_walls() -> None:
    """What a taken-over tool could do: nothing but its open files."""
    jail = Jail()
    protections = await jail.protections()
    assert protections == {"namespaces": True, "landlock": True, "seccomp": True}
    child = str(walls.CHILD)
    spec = {
        "argv": [PYTHON, "-I", "-S", "-c", PROBE],
        "uid": 65534 if os.geteuid() == 0 else None,
        "gid": 65534,
        "limits": {"NOFILE": 64},
        "readable": walls.LIBRARIES,
        "fds": [],
        "given": [],
        "first": 20,
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", child, json.dumps(spec)], capture_output=True, text=True, check=True
    )
    uid, *outcomes = done.stdout.split()
    assert outcomes == ["PermissionError"] * 5
    if os.geteuid() == 0:
        assert uid == "65534"


@needs_python
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
async def test_the_jail_works_without_root(folder: Path) -> None:
    """The same walls for a daemon that is not root."""
    paths = ":".join(p for p in sys.path if p)

    def as_somebody(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, "-c", script], user=61500, group=61500, extra_groups=[], capture_output=True, text=True,
            cwd="/", env={**os.environ, "PYTHONPATH": paths}, timeout=60, check=False,
        )  # fmt: skip

    if as_somebody("import tarmac").returncode:
        pytest.skip("an ordinary user cannot reach this checkout")
    img("create", "-f", "qcow2", folder / "x.qcow2", "1M")
    work = folder / "work"
    work.mkdir()
    for path in (folder / "x.qcow2", work):
        os.chown(path, 61500, 61500)
    source, target = str(folder / "x.qcow2"), str(work / "y.raw")
    script = (
        "import asyncio, pathlib\n"
        "from tarmac.drivers.storage.jail import Jail\n"
        "async def main():\n"
        "    jail = Jail()\n"
        "    print(await jail.protections())\n"
        f"    await jail.convert(pathlib.Path({source!r}), 'qcow2', pathlib.Path({target!r}), 'raw')\n"
        "asyncio.run(main())\n"
    )
    done = as_somebody(script)
    assert done.returncode == 0, done.stderr
    assert "'seccomp': True" in done.stdout
    assert (work / "y.raw").stat().st_size == MIB


async def test_a_full_disk_comes_out_as_itself_whatever_fails_beside_it(folder: Path) -> None:
    jail = Jail(limits=JailLimits(reserve=1 << 60, reserve_share=1.0))
    with pytest.raises(NoSpace):
        async with jail._space_watched(folder / "target"):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                raise HostFailure("the tool failed, too") from None


OWNED = """
import os, sys
def tried(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "done"
others = sys.argv[1]
print(tried(lambda: open("/dev/fd/20").read()), tried(lambda: open("/dev/fd/20", "r+")),
      tried(lambda: open("/dev/fd/21", "r+")), tried(lambda: open("/etc/shadow")), tried(lambda: open(others)),
      tried(lambda: os.kill(int(sys.argv[2]), 0)), tried(lambda: os.fchown(20, 0, 0)))
"""


async def test_walls_that_cannot_be_put_up_are_not_the_images_fault(folder: Path) -> None:
    with pytest.raises(HostFailure) as caught:
        await walls.behind_walls(["info", "x"], uid=None, limits={}, given=[walls.Given(path=folder)])
    assert caught.value.error_code == "jail-failed"
    assert "no regular file" in caught.value.evidence and "Traceback" not in caught.value.evidence


@needs_python
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which keeps one right")
async def test_root_behind_walls_opens_what_it_is_given_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a guest's user, one to read and one to write; not its others, nobody's processes."""
    for name in ("read", "write", "other"):
        (folder / name).write_bytes(b"x")
        (folder / name).chmod(0o600)
        os.chown(folder / name, 61500, 61500)
    given = [walls.Given(path=folder / "read"), walls.Given(path=folder / "write", writable=True)]
    monkeypatch.setattr(shutil, "which", lambda _: PYTHON)
    words = ["-I", "-S", "-c", OWNED, str(folder / "other"), str(os.getpid())]
    done = await walls.behind_walls(words, uid=walls.ROOT_WITHIN, limits={}, given=given)
    refusals = [
        "PermissionError",
        "done",
        "PermissionError",
        "PermissionError",
        "ProcessLookupError",
        "PermissionError",
    ]
    assert done.text.split() == ["done", *refusals], done.error_text
