"""The accelerator probe: its guest gets through under emulation, and a KVM that cannot run it is not used."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from tarmac.drivers.qemu import probe, probe_guest
from tarmac.drivers.qemu.probe import ProbeRun, probe_kvm, run_probe
from tarmac.drivers.qemu.version import OLDEST, machines_of, parse_version, version_of
from tarmac.model.errors import HostFailure

HAS_KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)


@pytest.mark.parametrize("cpu", ["qemu64", "max"])
async def test_guest_gets_through_every_stage_under_emulation(cpu: str) -> None:
    seen = await run_probe("tcg", cpu=cpu, seconds=20)
    assert seen.finished, seen
    assert seen.stage == "s"
    assert not seen.timed_out


@pytest.mark.skipif(shutil.which("as") is None or shutil.which("objcopy") is None, reason="needs binutils")
def test_bytes_are_those_of_the_assembly_source(tmp_path: Path) -> None:
    source = Path(probe_guest.__file__).with_suffix(".S")
    subprocess.run(["as", "--64", "-o", tmp_path / "o", source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", tmp_path / "o", tmp_path / "bin"], check=True)
    code = (tmp_path / "bin").read_bytes()
    image = probe_guest.firmware()
    assert len(code) == 4096
    assert len(image) == 65536
    assert image == b"\xff" * (65536 - 4096) + code


async def test_guest_that_stops_half_way_is_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe must be able to fail: a jump to itself in place of the ring 3 part."""
    image = probe_guest.firmware()
    ring3 = image.find(bytes.fromhex("b063e6e9")) + 4
    assert ring3 > 4
    broken = image[:ring3] + b"\xeb\xfe" + image[ring3 + 2 :]
    monkeypatch.setattr(probe, "firmware", lambda: broken)
    started = time.monotonic()
    seen = await run_probe("tcg", cpu="qemu64", seconds=0.5)
    assert time.monotonic() - started < 1.5
    assert (seen.finished, seen.timed_out, seen.stage) == (False, True, "c")


async def test_triple_fault_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    image = probe_guest.firmware()
    ring3 = image.find(bytes.fromhex("b063e6e9")) + 4
    broken = image[:ring3] + bytes.fromhex("0f0b") + image[ring3 + 2 :]
    monkeypatch.setattr(probe, "firmware", lambda: broken)
    seen = await run_probe("tcg", cpu="qemu64", seconds=20)
    assert (seen.finished, seen.timed_out, seen.stage) == (False, False, "c")


@pytest.mark.skipif(not HAS_KVM, reason="no /dev/kvm here")
async def test_real_kvm_is_judged_within_two_seconds_and_remembered(tmp_path: Path) -> None:
    cache = tmp_path / "kvm.json"
    started = time.monotonic()
    first = await probe_kvm(cache, qemu_version="7.2")
    assert time.monotonic() - started < probe.LIMIT_SECONDS
    assert first.reason
    started = time.monotonic()
    assert await probe_kvm(cache, qemu_version="7.2", qemu="/nowhere/qemu") == first
    assert time.monotonic() - started < 0.1
    other = await probe_kvm(cache, qemu_version="8.0", qemu="/nowhere/qemu")
    assert not other.usable
    assert "could not be run" in other.reason


@pytest.mark.skipif(not HAS_KVM, reason="no /dev/kvm here")
async def test_damaged_memory_is_ignored(tmp_path: Path) -> None:
    cache = tmp_path / "kvm.json"
    first = await probe_kvm(cache, qemu_version="7.2")
    for text in (b"", b"{", b"[]", msgspec.json.encode({"usable": True, "reason": "forged", "key": "other"})):
        cache.write_bytes(text)
        assert (await probe_kvm(cache, qemu_version="7.2")).usable == first.usable


async def test_no_device(tmp_path: Path) -> None:
    found = await probe_kvm(tmp_path / "cache", qemu_version="7.2", device=tmp_path / "kvm")
    assert not found.usable
    assert "firmware" in found.reason


SUCCESS = ProbeRun(finished=True, stage="s", seconds=0.1, timed_out=False, words="")


@pytest.mark.parametrize(
    ("mode", "own_users", "usable", "group"),
    [(0o600, True, False, None), (0o600, False, True, None), (0o660, True, True, 1234), (0o666, True, True, None)],
)
def test_guests_users_must_be_able_to_open_it(
    tmp_path: Path, mode: int, own_users: bool, usable: bool, group: int | None
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file to a group")
    device = tmp_path / "kvm"
    device.touch()
    os.chown(device, 0, 1234)
    device.chmod(mode)
    judged = probe._judge(SUCCESS, device, own_users, "key")
    assert (judged.usable, judged.group) == (usable, group)
    assert judged.reason


@pytest.mark.parametrize("stage", list(probe_guest.STAGES))
def test_every_stage_has_words(stage: str) -> None:
    for timed_out in (True, False):
        seen = ProbeRun(finished=False, stage=stage, seconds=1, timed_out=timed_out, words="")
        judged = probe._judge(seen, Path("/dev/null"), True, "key")
        assert not judged.usable
        assert probe_guest.STAGES[stage] in judged.reason


async def test_version_and_machines() -> None:
    version = await version_of()
    assert (version.major, version.minor) >= OLDEST
    machines = await machines_of()
    assert "q35" in machines
    assert any(name.startswith("pc-i440fx-") for name in machines)


def test_versions_are_read() -> None:
    text = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright"
    version = parse_version(text)
    assert (str(version), version.package) == ("7.2.22", "Debian 1:7.2+dfsg-7+deb12u18")
    with pytest.raises(ValueError, match="not a QEMU version"):
        parse_version("bash 5.2")


async def test_an_old_qemu_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "qemu"
    old.write_text("#!/bin/sh\necho QEMU emulator version 6.1.0\n")
    old.chmod(0o755)
    with pytest.raises(HostFailure) as caught:
        await version_of(str(old))
    assert (caught.value.error_code, caught.value.evidence) == ("qemu-too-old", "version 6.1.0")


async def test_probe_leaves_no_process() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await run_probe("tcg", cpu="qemu64", seconds=20)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "qemu" in Path(f"/proc/{pid}/cmdline").read_text()]
