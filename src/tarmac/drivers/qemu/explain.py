"""Why QEMU did not start, from its own words: a table of known complaints, each with its cause and what helps.

Evidence is always what QEMU wrote. What the table does not know comes out with that evidence and a general cause.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from tarmac.model.errors import Fix, HostFailure, NoSpace

_EVIDENCE_BYTES = 2000


@dataclass(frozen=True, slots=True)
class _Known:
    code: str
    pattern: str
    cause: str
    fixes: tuple[Fix, ...]


def _known(code: str, pattern: str, cause: str, *fixes: str) -> _Known:
    return _Known(code, pattern, cause, tuple(Fix(text=text) for text in fixes))


# The first match wins, so the narrow ones come first. Groups of a pattern can be used in cause and fixes as {0}, {1}.
# A word that a pattern begins with has a limit: a long line would be gone through once for each of its letters.
_TABLE = (
    _known(
        "qemu-disk-locked",
        r'Failed to get (?:shared )?"[\w ]+" lock(?:\s+Is another process using the image \[(.*?)\])?',
        "another process has the disk image open: a guest that still runs, or a tool such as qemu-img {0}",
        "stop the other process, or the other guest that uses this disk",
        "give this guest a clone of the disk instead",
    ),
    _known(
        "qemu-port-in-use",
        r"(?:Could not set up host forwarding rule '(.*?)'|Failed to (?:bind|find an available port).*?:? ?"
        r".*Address already in use|Address already in use)",
        "a port or address that QEMU should listen on is taken {0}",
        "choose another port for the forward or the display",
        "stop the program that listens there",
    ),
    _known(
        "qemu-kvm-missing",
        r"(?:Could not access KVM kernel module: (.*)|failed to initialize kvm: (.*)|invalid accelerator kvm"
        r"|KVM is not supported)",
        "KVM cannot be used by this process: {0}{1}",
        "set `kvm: 0` to run this guest with emulation",
        "load the module kvm_intel or kvm_amd, enable virtualization in the firmware, or in the outer hypervisor",
        "give the guest's user access to /dev/kvm (group kvm)",
    ),
    _known(
        "qemu-kvm-cpu",
        r"(?:error: failed to set MSR (0x[0-9a-f]+)|kvm_buf_set_msrs|host doesn't support requested feature.*\n.*"
        r"Host doesn't support requested features|Host doesn't support requested features)",
        "this host's KVM cannot provide the requested CPU model {0}",
        "choose a smaller CPU model, such as `cpu: x86-64-v2-AES` or `cpu: kvm64`",
        "set `kvm: 0` to run this guest with emulation",
    ),
    _known(
        "qemu-hugepages",
        r"(?:unable to map backing store for guest RAM|can't open backing store .*hugepages.*|hugetlbfs)",
        "there are not enough free huge pages for the guest's memory",
        "reserve more huge pages, or remove `hugepages` from the configuration",
    ),
    _known(
        "qemu-no-memory",
        r"(?:[Cc]annot (?:allocate|set up guest) memory(?: '(.*?)')?.*|Failed to allocate memory|ENOMEM)",
        "the host has not enough memory for this guest",
        "lower `memory`, or stop another guest",
        "allow overcommit (sysctl vm.overcommit_memory), or add swap",
    ),
    _known(
        "qemu-machine-unknown",
        r"unsupported machine type:? ?'?([\w.+-]*)",
        "this version of QEMU does not have the machine type {0}",
        "choose a machine type that this QEMU has (`qemu-system-x86_64 -machine help`), or remove `machine`",
        "install a newer QEMU",
    ),
    _known(
        "qemu-cpu-unknown",
        r"unable to find CPU model '(.*?)'",
        "this version of QEMU has no CPU model {0}",
        "choose another `cpu`, such as `x86-64-v2-AES`",
    ),
    _known(
        "qemu-firmware-2m",
        r"Could not open '(\S+/OVMF_CODE\.fd)': No such file or directory",
        "the guest's efidisk0 has the old form of 2 MiB, and this distribution has no firmware for it ({0})",
        "remove efidisk0 and add a new one with efitype=4m; the guest's boot entries are lost then",
        "run the guest on a node that still has that firmware (Debian 12)",
    ),
    _known(
        "qemu-disk-missing",
        r"Could not open '(.*?)': No such file or directory",
        "the file {0} does not exist",
        "check that its storage is mounted and active",
        "detach the disk from the guest",
    ),
    _known(
        "qemu-disk-permission",
        r"(?:Could not open '(.*?)': (?:Permission denied|Operation not permitted)|Could not reopen file: Permission)",
        "the guest's own user may not open {0}",
        "give the guest's user access to the file and to every directory above it",
    ),
    _known(
        "qemu-disk-format",
        r"(?:Image is not in (\w+) format|Could not read (?:qcow2|image) header|not a valid .* image)",
        "the image is not in the format {0} that its name or its configuration says",
        "check the image with `qemu-img check`, and restore it from a backup if it is damaged",
    ),
    _known(
        "qemu-bridge-missing",
        r"(?:failed to create tun device|could not configure /dev/net/tun|failed to (?:get|add) bridge.*"
        r"|bridge helper failed)",
        "QEMU could not get its network interface",
        "check that the bridge exists and that the daemon runs as root, or use user-mode networking",
    ),
    _known(
        "qemu-device-unknown",
        r"'?(qxl(?:-vga)?)'? is not a valid device model name",
        "this QEMU has no device {0}; from Debian 13 on it comes with a package of its own",
        "install it (Debian 13: `apt-get install qemu-system-modules-spice`)",
        "choose another display, such as `vga: virtio`",
    ),
    _known(
        "qemu-device-unknown",
        r"'?([\w-]{1,80})'? is not a valid device model name",
        "this version of QEMU has no device {0}",
        "install the package that has it (qemu-system-gui, qemu-system-modules-*), or choose another device",
    ),
    _known(
        "qemu-option-unknown",
        r"(?:-?([\w.-]{1,80}): invalid option|Property '(.*?)' not found|Parameter '(.*?)' (?:is unexpected|expects .*)"
        r"|Invalid parameter '(.*?)')",
        "this version of QEMU does not know the option {0}{1}{2}{3}",
        "remove the option from the configuration (`args`), or install a newer QEMU",
    ),
    _known(
        "qemu-missing",
        r"(?:exec: (\S{1,200}): not found|(\S{1,200}): not found|No such file or directory.*qemu-system)",
        "the program {0}{1} is not installed",
        "install it (Debian: `apt-get install qemu-system-x86`)",
    ),
    _known(
        "qemu-library-missing",
        r"error while loading shared libraries: (.*?):",
        "QEMU's installation is incomplete: the library {0} is missing",
        "reinstall QEMU",
    ),
)
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")


def explain(label: str, words: str, code: int | None) -> HostFailure:
    """The error for a QEMU that ended before it answered on QMP.

    `words` is what it wrote (its log's tail), `code` its exit code, negative for a signal, None when not known."""
    words = words.strip()
    evidence = words[-_EVIDENCE_BYTES:] or f"it wrote nothing; {_how(code)}"
    message = f"{label} did not start"
    if _NO_SPACE.search(words):
        return NoSpace(
            message,
            cause="a file system that the guest needs is full",
            evidence=evidence,
            fixes=[Fix(text="free some space, or move the disk to another storage")],
        )
    for entry in _TABLE:
        if match := re.search(entry.pattern, words, re.MULTILINE):
            parts = [part or "" for part in match.groups()] + [""] * 4
            return HostFailure(
                message,
                code=entry.code,
                cause=re.sub(r"\s+", " ", entry.cause.format(*parts)).strip(" :"),
                evidence=evidence,
                fixes=entry.fixes,
            )
    return HostFailure(
        message,
        code="qemu-start-failed",
        cause=_cause_of(code),
        evidence=evidence,
        fixes=[Fix(text="look at the whole command line with `showcmd`")],
    )


def _cause_of(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "QEMU was killed: by the kernel for want of memory, or by somebody"
    if code == -signal.SIGSYS:
        return "QEMU made a system call that its sandbox forbids"
    return f"QEMU ended before it answered: {_how(code)}"


def _how(code: int | None) -> str:
    if code is None:
        return "its exit code is not known"
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
