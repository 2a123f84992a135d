"""The program that locks itself in and then becomes a tool. Run as a script: `python -I -S jail_child.py SPEC`.

It opens the files that it is told to, and then gives up, in this order: the network and other namespaces, memory and
time beyond the limits, root's rights, the way to gain new ones, the file system (Landlock: only libraries, and the
files that are open), and system calls that a converter of images never needs (seccomp: no sockets, no ptrace, no
mounts). Then it executes the tool. One that stays root by name keeps the one right to open those files whoever owns
them, and sees no other process.

What the kernel does not offer is left out, except that without a network namespace and without seccomp it refuses to
go on. Standard library only: it is no part of the daemon's process. Sources: landlock(7), seccomp(2), unshare(2).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import stat
import struct
import sys
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x40000000
_NEWPID, _CAP_DAC_OVERRIDE = 0x20000000, 1
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 24, 22, 38
_LANDLOCK = (444, 445, 446)
_EXECUTE, _WRITE, _READ, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
# Access rights that each Landlock version knows: 13 in the first, then refer, truncate, (network), ioctl_dev.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Refused system calls: (x86_64, aarch64), None where the machine has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "socketpair": (53, 199),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "pidfd_getfd": (438, 438),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "symlinkat": (266, 36),
    "symlink": (88, None),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
}


FAILED = 99
"""The exit code when the walls themselves could not be put up; no tool has it."""


def enter(spec: dict[str, Any]) -> dict[str, bool]:
    """Give everything up; returns which protections are in force."""
    files = dict.fromkeys(spec["fds"], True)
    for number, (path, writable) in enumerate(spec["given"], spec["first"]):
        _open(number, path, writable)
        files[number] = writable
    done = {"namespaces": _namespaces(spec["uid"])}
    for name, value in spec["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(number)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    if spec["uid"] is not None:
        _become(spec["uid"], spec["gid"])
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    done["landlock"] = _landlock(spec["readable"], files)
    done["seccomp"] = _seccomp()
    return done


def _open(number: int, path: str, writable: bool) -> None:
    """A file under this number, for the tool, too."""
    fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode) and not (writable and stat.S_ISBLK(mode)):
        raise ValueError(f"{path} is no regular file, nor a disk to write to")
    os.dup2(fd, number)
    os.close(fd)


def _namespaces(uid: int | None) -> bool:
    flags = _NEWNS | _NEWUTS | _NEWIPC | _NEWNET
    if uid == 0:
        there = bool(_libc.unshare(flags | _NEWPID) == 0)
        if there:
            _go_on_in_a_child()
        return there
    if uid is not None:
        return bool(_libc.unshare(flags) == 0)
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(flags | _NEWUSER) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def _go_on_in_a_child() -> None:
    """Namespaces of processes begin with a child: it goes on, and we end as it ends."""
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _become(uid: int, gid: int) -> None:
    """What root executes has the capabilities that are left in the bounding set: none, or the one to open files."""
    kept = (_CAP_DAC_OVERRIDE,) if uid == 0 else ()
    for capability in range(64):
        if capability not in kept:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _landlock(readable: list[str], files: dict[int, bool]) -> bool:
    """`files`: open files, and whether they may be written to."""
    create, add, restrict = _LANDLOCK
    version = _libc.syscall(create, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = _RIGHTS[min(version, max(_RIGHTS))]
    attributes = ctypes.create_string_buffer(struct.pack("=Q", handled))
    ruleset = _libc.syscall(create, attributes, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False

    def allow(fd: int, rights: int) -> None:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights & handled, fd))
        # What is memory only lies on no file system: Landlock says nothing about it.
        if _libc.syscall(add, ruleset, 1, rule, 0) != 0 and ctypes.get_errno() != errno.EBADFD:
            raise OSError(ctypes.get_errno(), "landlock_add_rule")

    for path in readable:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allow(fd, _READ | _EXECUTE | (_READ_DIR if stat.S_ISDIR(os.fstat(fd).st_mode) else 0))
        os.close(fd)
    for fd, writable in files.items():
        allow(fd, _READ | _WRITE | _TRUNCATE if writable else _READ)
    done = _libc.syscall(restrict, ruleset, 0) == 0
    os.close(ruleset)
    return bool(done)


def _seccomp() -> bool:
    machine = platform.machine()
    if machine not in _AUDIT:
        return False
    column = list(_AUDIT).index(machine)
    numbers = sorted(number for pair in _REFUSED.values() if (number := pair[column]) is not None)
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, _AUDIT[machine]), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
    if machine == "x86_64":  # the x32 calls are other names for the same: refuse them whole
        program += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, 0x00050001)]
    for number in numbers:
        program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050001)]
    program.append((0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("@HxxxxxxP", len(program), ctypes.addressof(code)))
    return bool(_libc.prctl(_PR_SET_SECCOMP, 2, header, 0, 0) == 0)


def main() -> None:
    try:
        spec = json.loads(sys.argv[1])
        done = enter(spec)
        if not done["namespaces"] and not done["seccomp"]:
            raise RuntimeError("neither network namespaces nor seccomp are available here")
    except Exception as problem:  # noqa: BLE001 - whatever it is: the tool was not begun, and the image is not to blame
        sys.stderr.write(f"{type(problem).__name__}: {problem}\n")
        sys.exit(FAILED)
    if not spec["argv"]:
        print(json.dumps(done))
        return
    environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    os.execve(spec["argv"][0], spec["argv"], environment)


if __name__ == "__main__":
    main()
