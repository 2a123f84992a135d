"""Access lists: one more reader, nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarmac.lib.acl import grant_read

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs other users to read as")


@pytest.fixture
def file() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tarmac-acl-"))
    directory.chmod(0o711)
    made = directory / "file"
    made.write_bytes(b"secret")
    made.chmod(0o640)
    yield made
    shutil.rmtree(directory)


def reads(file: Path, uid: int) -> bool:
    done = subprocess.run(
        ["cat", file], user=uid, group=uid, extra_groups=[], capture_output=True, cwd="/", check=False
    )
    return done.stdout == b"secret"


def test_only_who_was_granted_reads(file: Path) -> None:
    assert not reads(file, 61001)
    assert grant_read(file, 61001)
    assert grant_read(file, 61001)
    assert reads(file, 61001)
    assert not reads(file, 61002)
    assert grant_read(file, 61002)
    assert reads(file, 61001)
    assert reads(file, 61002)
    assert not reads(file, 61003)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_missing_file(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        grant_read(file.with_name("none"), 61001)
    assert sys.platform == "linux"
