"""One daemon, one data directory: a second one is refused and told who holds it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.model.errors import Busy, TarmacError
from tarmac.services.node.instance import open_instance

HOLDER = """
import sys
from pathlib import Path
from tarmac.services.node.instance import open_instance
instance = open_instance(Path(sys.argv[1]))
print(instance.id, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def remove_runtime(runtime: Path) -> None:
    """Root's runtime directories lie below /run; the test leaves none behind."""
    for parent in (runtime, runtime.parent):
        try:
            parent.rmdir()
        except OSError:
            return


def test_a_second_daemon_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    argv = [sys.executable, "-c", HOLDER, str(data)]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None and holder.stdout is not None
    try:
        identity = holder.stdout.readline().strip()
        for _ in range(2):
            with pytest.raises(Busy) as caught:
                open_instance(data)
            error = caught.value
            assert error.error_code == "data-dir-in-use" and str(data) in error.message
            assert str(holder.pid) in error.evidence and error.cause and error.fixes
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    again = open_instance(data)  # the kernel gave it free
    assert again.id == identity
    again.close()
    remove_runtime(again.runtime)


def test_the_lock_is_not_inherited_by_guests(tmp_path: Path) -> None:
    instance = open_instance(tmp_path / "data")
    assert not os.get_inheritable(instance.lock_fd)
    child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        instance.close()
        open_instance(tmp_path / "data").close()
    finally:
        child.kill()
        child.wait()
        remove_runtime(instance.runtime)


def test_several_daemons_have_ids_of_their_own(tmp_path: Path) -> None:
    first, second = open_instance(tmp_path / "a"), open_instance(tmp_path / "b")
    assert first.id != second.id and first.runtime != second.runtime
    assert not first.default and not second.default
    for instance in (first, second):
        instance.close()
        remove_runtime(instance.runtime)


def test_a_place_that_cannot_be_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TarmacError, match="data directory"):
        open_instance(tmp_path / "file")
