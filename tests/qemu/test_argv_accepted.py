"""Real QEMU accepts every command line of the table, and makes of it what the configuration says."""

from __future__ import annotations

import re

import pytest

from tests.support.argv_cases import Case, all_cases
from tests.support.qemu_accepts import NoTaps, ask_qemu, installed_version

VERSION = installed_version()


def runnable() -> list[Case]:
    """Cases that this machine's QEMU can be asked about: not those of a newer one, nor `host` (KVM only)."""
    if VERSION is None:
        return []
    installed = tuple(int(n) for n in VERSION.split(".")[:2])
    return [c for c in all_cases() if c.node.version <= installed and "cpu: host" not in c.text]


@pytest.mark.parametrize("case", runnable(), ids=lambda case: case.name)
def test_qemu_accepts(case: Case) -> None:
    try:
        launch, answer = ask_qemu(case.text, case.node)
    except NoTaps as problem:
        pytest.skip(f"this user may not make taps: {problem}")
    assert answer.complaints == []
    assert answer.status == "prelaunch"
    assert answer.uuid == launch.uuid
    line = " ".join(launch.argv)
    ids = set(re.findall(r"-device [^ ]*?[, ]id=([^, ]+)", line))
    assert ids <= answer.devices
    assert set(re.findall(r'"node-name":"([^"]+)"', line)) <= answer.nodes


def test_a_wrong_line_is_refused() -> None:
    """The check itself must be able to fail: memory that no machine has."""
    case = next(c for c in runnable() if c.name == "memory-balloon")
    with pytest.raises(AssertionError, match="QEMU refused"):
        ask_qemu("memory: 18014398509481983\n", case.node)
