"""Network file systems: the `mount` command that a definition asks for, what is mounted already, mounting, unmounting.

What to mount is a value made by a pure function, so it is tested without a server. Secrets never stand in it: the
password goes to mount.cifs through a file descriptor. Run against real servers by `./dev kernel-storages`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tarmac.lib.process import run
from tarmac.model.errors import Fix, HostFailure, TarmacError
from tarmac.model.storage import StorageDefinition

_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One file system to be mounted: `type` for `mount -t`, `source` as the kernel shows it, the directory `target`.
    `password` is not part of its text."""

    type: str
    source: str
    target: Path
    options: tuple[str, ...] = ()
    password: str | None = None

    def __repr__(self) -> str:
        return f"Mount({' '.join(self.argv())})"

    def argv(self, credentials: int | None = None) -> list[str]:
        """The command that mounts it. Nothing on it is ever a device, and no file on it changes who runs it.
        `credentials`: the descriptor from which it reads the password (mount.cifs 7.0 makes nothing of PASSWD_FD)."""
        words = ["mount", "-t", self.type] if self.type != "bind" else ["mount", "--bind"]
        secret = (f"credentials=/proc/self/fd/{credentials}",) if credentials is not None else ()
        options = ",".join(dict.fromkeys(("nosuid", "nodev", *self.options, *secret)))
        return [*words, "-o", options, "--", self.source, str(self.target)]


def mount_of(definition: StorageDefinition, password: str | None = None, group: int | None = None) -> Mount | None:
    """What a storage has to mount; None for one that is no file system of the network. `group`: to whom everything on
    one without owners belongs. Pure.

    Source: PVE::Storage::NFSPlugin `nfs_mount`, PVE::Storage::CIFSPlugin `cifs_mount`."""
    if definition.directory is None or definition.server is None:
        return None
    target = Path(definition.directory)
    server = f"[{definition.server}]" if ":" in definition.server else definition.server
    given = tuple((definition.options or "").split(",")) if definition.options else ()
    if definition.type == "nfs":
        return Mount(type="nfs", source=f"{server}:{definition.export}", target=target, options=given)
    if definition.type == "cifs":
        source = f"//{server}/{definition.share}{definition.subdir or ''}"
        return Mount(
            type="cifs",
            source=source,
            target=target,
            options=(*_cifs_options(definition, group), *given),
            password=password,
        )
    return None


def _cifs_options(definition: StorageDefinition, group: int | None) -> tuple[str, ...]:
    """`nobrl`: locks of byte ranges are mandatory on such servers, so that QEMU's keep it from writing its own image;
    they hold on this node only. Nothing there has an owner of its own: guests reach their disks by a group."""
    if definition.username is None:
        options = ["guest", "username=guest"]
    else:
        options = [f"username={definition.username}"]
        if definition.domain is not None:
            options.append(f"domain={definition.domain}")
    options += ["soft", "nobrl"]
    if group is not None:
        options += [f"gid={group}", "file_mode=0660", "dir_mode=0770"]
    if definition.smbversion != "default":
        options.append(f"vers={definition.smbversion}")
    return tuple(options)


def sources_at(mountinfo: str, target: Path) -> list[str]:
    """What is mounted at a directory, the topmost last, by the text of /proc/self/mountinfo (proc(5)). Pure."""
    found = []
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words, source = fields.split(), rest.split()
        if len(words) > 4 and len(source) > 1 and _plain(words[4]) == str(target):
            found.append(_plain(source[1]))
    return found


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def is_mounted(mount: Mount) -> bool:
    """Whether it is there. Reads the kernel's table and never touches the file system, which may hang."""
    sources = sources_at(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"), mount.target)
    if mount.type == "bind":
        return bool(sources)
    return mount.source.rstrip("/") in [source.rstrip("/") for source in sources]


async def mount(wanted: Mount) -> None:
    """Mount it unless it is mounted; the directory is made if it is missing. Raises HostFailure with mount's words."""
    if is_mounted(wanted):
        return
    wanted.target.mkdir(parents=True, exist_ok=True)
    descriptor = _password_pipe(wanted.password) if wanted.password is not None else None
    fds = [descriptor] if descriptor is not None else []
    try:
        await run(wanted.argv(descriptor), pass_fds=fds)
    except HostFailure as problem:
        raise _not_mounted(wanted, problem) from problem
    finally:
        for fd in fds:
            os.close(fd)


async def unmount(wanted: Mount) -> None:
    """Unmount it; fine when it is not mounted. Raises HostFailure while files on it are open."""
    if is_mounted(wanted):
        await run(["umount", "--", str(wanted.target)])


def _password_pipe(password: str) -> int:
    """The reading end of a pipe that holds the password as a file of credentials: mount.cifs(8)."""
    reading, writing = os.pipe()
    try:
        os.write(writing, f"password={password}\n".encode())
    finally:
        os.close(writing)
    return reading


def _not_mounted(wanted: Mount, problem: HostFailure) -> TarmacError:
    words = problem.evidence
    fixes = [Fix(text="look whether the server answers and exports it to this node")]
    cause = problem.cause
    if re.search(r"unknown filesystem type|No such device", words):
        cause = f"this kernel has no {wanted.type} file system"
        fixes = [Fix(text=f"load the kernel's module: modprobe {wanted.type}")]
    elif re.search(r"need a /sbin/mount\.|bad option; for several filesystems", words):
        package = {"nfs": "nfs-common", "cifs": "cifs-utils"}.get(wanted.type, wanted.type)
        cause, fixes = f"mount.{wanted.type} is missing", [Fix(text=f"install the Debian package {package}")]
    elif re.search(r"[Pp]ermission denied|access denied", words):
        cause = "the server refuses this node or this user"
    return HostFailure(
        f"cannot mount {wanted.source} at {wanted.target}",
        code="storage-mount",
        cause=cause,
        evidence=words,
        fixes=fixes,
    )
