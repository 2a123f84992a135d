"""Real QEMU accepts every command line of the table, and makes of it what the configuration says."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from support.argv_cases import Case, all_cases
from support.configs import startable_texts
from support.qemu_accepts import NoTaps, absent_part, ask_qemu, installed_version
from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.model.conf_file import GuestFile, parse_conf, print_conf
from tarmac.model.vm import VmConfig

VERSION = installed_version()


def runnable() -> list[Case]:
    """Cases that this machine's QEMU can be asked about: not those of a newer one, nor `host` (KVM only)."""
    if VERSION is None:
        return []
    installed = tuple(int(n) for n in VERSION.split(".")[:2])
    return [c for c in all_cases() if c.node.version <= installed and "cpu: host" not in c.text]


@pytest.mark.parametrize("case", runnable(), ids=lambda case: case.name)
def test_qemu_accepts(case: Case) -> None:
    if absent := absent_part(VmConfig.parse(parse_conf(case.text).current)):
        pytest.skip(f"not installed here: {absent}")
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


@pytest.mark.skipif(VERSION is None, reason="QEMU is not installed")
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(startable_texts())
def test_what_the_rules_allow_qemu_accepts(texts: dict[str, str]) -> None:
    assume(not absent_part(VmConfig.parse(texts)))
    node = NodeFacts(qemu="qemu-system-x86_64", qemu_version=VERSION or "", storages={"local": "/"})
    _, answer = ask_qemu(print_conf(GuestFile(current=texts)), node)
    assert answer.status == "prelaunch" and answer.complaints == []


def test_a_wrong_line_is_refused() -> None:
    """The check itself must be able to fail: memory that no machine has."""
    case = next(c for c in runnable() if c.name == "memory-balloon")
    with pytest.raises(AssertionError, match="QEMU refused"):
        ask_qemu("memory: 18014398509481983\n", case.node)
