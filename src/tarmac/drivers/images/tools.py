"""The host's programs that the recipes call: found by name, run without a shell, explained when they are missing."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tarmac.lib import process
from tarmac.model.errors import Fix, HostFailure, NoSpace

PACKAGES: Mapping[str, str] = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "grub-mkimage": "grub-common",
    "lz4": "lz4",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "mformat": "mtools",
    "mmd": "mtools",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "syslinux": "syslinux",
    "tar": "tar",
    "unshare": "util-linux",
}
"""Each program and the Debian package that holds it."""

_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def find(tool: str, path: str | None = None) -> str:
    """The full path of `tool`, also from the sbin directories that a plain user's PATH lacks.

    Raises HostFailure (`missing-tool`) that names the Debian package to install."""
    search = path if path is not None else os.environ.get("PATH", os.defpath) + os.pathsep + _SBIN
    found = shutil.which(tool, path=search)
    if found is None:
        package = PACKAGES.get(tool, tool)
        raise missing(f"The program '{tool}' is not installed", package, f"'{tool}' was looked for in {search}")
    return found


def find_file(path: Path, package: str) -> Path:
    """`path` if it exists; raises HostFailure (`missing-tool`) naming the Debian package that ships it."""
    if not path.exists():
        raise missing(f"The file {path} is not installed", package, f"no such file: {path}")
    return path


def missing(what: str, package: str, evidence: str) -> HostFailure:
    """The error for something that a Debian package would bring."""
    return HostFailure(
        f"{what}, and building this image needs it.",
        code="missing-tool",
        cause=f"the Debian package '{package}' is not installed on this machine",
        evidence=evidence,
        fixes=[Fix(text=f"install the package {package}", action=f"apt-get install --no-install-recommends {package}")],
    )


async def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes = b"",
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Runs a program to its end and returns its standard output; `on_line` gets each line of its standard error.

    Raises HostFailure (`missing-tool`, `tool-failed`), NoSpace when its words say that the disk is full. On
    cancellation the program and what it started are ended first (see lib.process); when this process is killed, the
    program is ended, too.
    """
    words = [*_WITH_US, find(str(argv[0])), *map(str, argv[1:])]
    lines = _Lines(on_line) if on_line is not None else None
    done = await process.run(
        words, cwd=cwd, env=env, input=input, ok=range(-64, 256), limit=16 * process.MIB, on_error=lines
    )
    if done.code == 0:
        return done.text
    raise failed(dataclasses.replace(done, argv=done.argv[len(_WITH_US) :]))


class _Lines:
    """Cuts chunks of output into lines."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = ""

    def __call__(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk.decode(errors="replace")).replace("\r", "\n").split("\n")
        for line in filter(None, map(str.strip, lines)):
            self._tell(line)


def failed(done: process.Finished) -> HostFailure:
    """A program's bad end as an error: its own error line is the cause, its last words the evidence."""
    name = Path(done.argv[0]).name
    lines = [line.strip() for line in done.error_text.splitlines() if line.strip()]
    if "No space left on device" in done.error_text:
        return NoSpace(
            f"The disk is full: '{name}' could not finish.",
            cause="the working directory or the destination has no room for the image",
            evidence=lines[-1],
            fixes=[Fix(text="free room, or build with a working directory on a larger disk")],
        )
    errors = [line for line in lines if line.startswith(("E:", "error", "Error")) or "error:" in line]
    return HostFailure(
        f"'{name}' ended with code {done.code}.",
        code="tool-failed",
        cause=(errors or lines or [f"{name} said nothing"])[-1],
        evidence="\n".join(lines[-40:]) or " ".join(done.argv),
        fixes=[Fix(text="run the command by hand to see more", action=" ".join(done.argv))],
    )


def need_subordinate_ids(folder: Path = Path("/etc")) -> None:
    """What a user namespace of an ordinary user takes: numbers in `subuid` and `subgid` for the owners of files in it.
    Raises HostFailure naming the one command that gives them."""
    uid = os.geteuid()
    name = _user_name(uid)
    lacking = [file for file in ("subuid", "subgid") if not _has_range(folder / file, (name, str(uid)))]
    if lacking:
        raise HostFailure(
            f"user {name} cannot build this image",
            code="no-subordinate-ids",
            cause="without root it is built in a user namespace, and this user has no subordinate ids for one",
            evidence=f"no line of {name} in {' and '.join(str(folder / file) for file in lacking)}",
            fixes=[
                Fix(
                    text="give the user some, as root",
                    action=f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {shlex.quote(name)}",
                ),
                Fix(text="download an image that somebody else has built", action="tarmac image pull URL"),
            ],
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _has_range(file: Path, names: tuple[str, ...]) -> bool:
    try:
        return any(line.partition(":")[0] in names for line in file.read_text().splitlines())
    except FileNotFoundError:
        return False
