"""Atomic writes, bounded reads and logs."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.lib.files import failure_of, read_bounded, read_tail, remove_durably, trim_log, write_atomic
from tarmac.model.errors import Denied, HostFailure, NoSpace


def test_write_replaces_whole_file_with_mode(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    write_atomic(target, "one")
    write_atomic(target, b"two", mode=0o600)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_write_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(victim)
    write_atomic(tmp_path / "link", "new")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "link").is_symlink()


def test_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "record"
    write_atomic(target, "old")
    script = (
        "import resource, signal, sys, pathlib\n"
        "from tarmac.lib.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomic(pathlib.Path(sys.argv[1]), b'x' * 10000)\n"
        "except OSError as error: print(error.errno)\n"
    )
    seen = subprocess.run([sys.executable, "-c", script, target], capture_output=True, text=True, check=True)
    assert int(seen.stdout) == errno.EFBIG
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_remove_says_whether_it_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert remove_durably(tmp_path / "a") is True
    assert remove_durably(tmp_path / "a") is False


def test_read_bounded_refuses_what_is_larger(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bounded(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_bounded(tmp_path / "a", 4)


def test_read_tail(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_tail(tmp_path / "a", 2) == b"45"
    assert read_tail(tmp_path / "a", 99) == b"12345"
    assert read_tail(tmp_path / "missing", 9) == b""


def test_trimmed_log_keeps_whole_last_lines_and_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    writer = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        for number in range(1000):
            os.write(writer, b"line %d\n" % number)
        assert trim_log(log, above=100_000, keep=100) is False
        assert trim_log(log, above=1000, keep=100) is True
        os.write(writer, b"after\n")
    finally:
        os.close(writer)
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["line 999", "after"]
    assert all(line.startswith("line 9") for line in lines[:-1])
    assert log.stat().st_size <= 106
    assert trim_log(tmp_path / "missing", above=1, keep=1) is False


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EACCES, Denied), (errno.EIO, HostFailure)],
)
def test_failure_kinds(number: int, kind: type[Exception]) -> None:
    failure = failure_of(OSError(number, os.strerror(number), "/x"), "cannot write /x")
    assert type(failure) is kind
    assert os.strerror(number) in failure.evidence
    assert failure.cause


def test_limits_of_this_process_are_untouched() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096
