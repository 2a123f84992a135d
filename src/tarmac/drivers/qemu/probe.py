"""Does KVM work here? Found out by running guest code, because nothing else tells.

A /dev/kvm that opens proves little: on some nested and software-only kinds real mode runs and a 64-bit kernel hangs or
crawls. So the probe runs a small guest (`probe_guest.py`) that does what a kernel does first: paging, page faults,
model-specific registers, ring 3, interrupts, and enough work to tell a processor from an emulator. Only if it finishes
within two seconds is KVM used. The result holds until the next boot, another kernel or QEMU, or another /dev/kvm.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tarmac.drivers.qemu.probe_guest import FINISHED_EXIT_CODE, STAGES, firmware
from tarmac.drivers.qemu.record import boot_id
from tarmac.lib.files import read_bounded, write_atomic
from tarmac.lib.process import run
from tarmac.model.errors import HostFailure

KVM = Path("/dev/kvm")
LIMIT_SECONDS = 2.0
# What is left of the two seconds for killing and reaping.
_RUN_SECONDS = 1.8
_QEMU = "qemu-system-x86_64"
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """One run of the probe's guest. `stage` is its last letter (see `probe_guest.STAGES`), `words` QEMU's own."""

    finished: bool
    stage: str
    seconds: float
    timed_out: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmProbe:
    """`reason` says in words why KVM is or is not used. `group` is the group that a guest's own user needs to open
    /dev/kvm, None when it needs none (or when KVM is not usable anyway)."""

    usable: bool
    reason: str
    group: int | None = None
    key: str = ""
    format: int = _FORMAT


async def probe_kvm(
    cache: Path, *, qemu_version: str, qemu: str = _QEMU, own_users: bool | None = None, device: Path = KVM
) -> KvmProbe:
    """Whether guests can run under KVM; at most two seconds, milliseconds when the answer is in the file `cache`.

    `own_users`: whether guests run as users of their own, who must be able to open /dev/kvm too; None: as root, yes.
    Never raises: whatever goes wrong makes KVM unusable, with the reason."""
    own_users = os.geteuid() == 0 if own_users is None else own_users
    key, absent = await asyncio.to_thread(_identity, device, qemu_version, own_users)
    if absent:
        return KvmProbe(usable=False, reason=absent, key=key)
    known = await asyncio.to_thread(_read, cache, key)
    if known is not None:
        return known
    try:
        seen = await run_probe("kvm", cpu="kvm64", qemu=qemu)
    except (HostFailure, OSError) as error:
        return KvmProbe(usable=False, reason=f"the probe could not be run: {error}", key=key)
    result = _judge(seen, device, own_users, key)
    await asyncio.to_thread(_write, cache, result)
    return result


async def run_probe(accelerator: str, *, cpu: str, qemu: str = _QEMU, seconds: float = _RUN_SECONDS) -> ProbeRun:
    """Run the guest once under `kvm` or `tcg`, killed after so many seconds. Raises HostFailure without QEMU."""
    letters = bytearray()
    image = os.memfd_create("probe", os.MFD_CLOEXEC)
    started = time.monotonic()
    code, words, timed_out = 0, "", False
    try:
        os.write(image, firmware())
        try:
            async with asyncio.timeout(seconds):
                argv = _argv(qemu, accelerator, cpu, image)
                done = await run(argv, ok=range(-64, 256), on_output=letters.extend, pass_fds=(image,), grace=0)
                code, words = done.code, done.error_text
        except TimeoutError:
            timed_out = True
    finally:
        os.close(image)
    told = [chr(letter) for letter in letters if chr(letter) in STAGES]
    return ProbeRun(
        finished=code == FINISHED_EXIT_CODE and bool(told) and told[-1] == "s",
        stage=told[-1] if told else "",
        seconds=time.monotonic() - started,
        timed_out=timed_out,
        words="\n".join(line for line in words.splitlines() if "warning:" not in line)[-500:],
    )


def _argv(qemu: str, accelerator: str, cpu: str, image: int) -> list[str]:
    return [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "pc", "-m", "32", "-accel", accelerator, "-cpu", cpu),
        *("-bios", f"/dev/fd/{image}", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-debugcon", "stdio"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    ]


def _judge(seen: ProbeRun, device: Path, own_users: bool, key: str) -> KvmProbe:
    if seen.finished:
        group, refusal = _access(device) if own_users else (None, "")
        if refusal:
            return KvmProbe(usable=False, reason=refusal, key=key)
        reason = f"a 64-bit guest ran to its end under KVM in {seen.seconds:.2f} s"
        return KvmProbe(usable=True, reason=reason, group=group, key=key)
    doing = STAGES[seen.stage]
    if seen.stage == "" and seen.words:
        return KvmProbe(usable=False, reason=f"QEMU could not start a guest with KVM: {seen.words}", key=key)
    where = f"{doing} ({seen.words})" if seen.words else doing
    reason = (
        f"/dev/kvm is there, but a 64-bit guest under it crashed, at this point: {where}; "
        "this is usual inside a virtual machine without nested virtualization"
    )
    if seen.timed_out:
        reason = (
            "/dev/kvm is there, but a 64-bit guest under it hung, or ran far too slowly, and was ended after "
            f"{LIMIT_SECONDS:.0f} s, at this point: {where}; "
            "this is usual inside a virtual machine without nested virtualization"
        )
    return KvmProbe(usable=False, reason=reason, key=key)


def _access(device: Path) -> tuple[int | None, str]:
    """Which group an unprivileged user needs to open the device, or why none could."""
    info = device.stat()
    if info.st_mode & stat.S_IROTH and info.st_mode & stat.S_IWOTH:
        return None, ""
    if info.st_mode & stat.S_IRGRP and info.st_mode & stat.S_IWGRP and info.st_gid != 0:
        return info.st_gid, ""
    return None, (
        f"KVM works, but the guests' own users may not open {device} (mode {stat.S_IMODE(info.st_mode):04o}, "
        f"group {info.st_gid}): give it to the group kvm with mode 0660"
    )


def _identity(device: Path, qemu_version: str, own_users: bool) -> tuple[str, str]:
    """What the result depends on, as one text; and why there is nothing to probe, or ""."""
    try:
        info = device.stat()
    except OSError as error:
        return "", (
            f"there is no {device}: the processor's virtualization is off in the firmware, not passed on by the outer "
            f"hypervisor, or the module kvm_intel or kvm_amd is not loaded ({error.strerror})"
        )
    parts = [boot_id(), os.uname().release, qemu_version, str(info.st_ino), str(info.st_rdev)]
    parts += [oct(info.st_mode), str(info.st_uid), str(info.st_gid), str(own_users)]
    if not os.access(device, os.R_OK | os.W_OK, effective_ids=True):
        mode = f"mode {stat.S_IMODE(info.st_mode):04o}, group {info.st_gid}"
        return "", f"the daemon's user (uid {os.geteuid()}) may not open {device} ({mode}): add it to the group kvm"
    return " ".join(parts), ""


def _read(cache: Path, key: str) -> KvmProbe | None:
    try:
        known = msgspec.json.decode(read_bounded(cache, 64 * 1024), type=KvmProbe)
    except (OSError, msgspec.DecodeError):
        return None
    return known if known.key == key and known.format == _FORMAT else None


def _write(cache: Path, result: KvmProbe) -> None:
    try:
        write_atomic(cache, msgspec.json.encode(result))
    except OSError:
        return  # only a cache: the next start probes again
