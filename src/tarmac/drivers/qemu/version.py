"""What the installed QEMU is: its version and its machine types, asked from the program itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tarmac.lib.process import run
from tarmac.model.errors import Fix, HostFailure

OLDEST = (7, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuVersion:
    """`7.2.22`, and its distribution's words (`Debian 1:7.2+dfsg-7+deb12u18`)."""

    major: int
    minor: int
    micro: int
    package: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"


def parse_version(text: str) -> QemuVersion:
    """From the first line of `--version`. Raises ValueError when it is none of QEMU's."""
    match = re.match(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)(?: \((.*)\))?", text)
    if match is None:
        raise ValueError(f"not a QEMU version: {text[:100]!r}")
    return QemuVersion(major=int(match[1]), minor=int(match[2]), micro=int(match[3]), package=match[4] or "")


async def version_of(program: str = "qemu-system-x86_64") -> QemuVersion:
    """Raises HostFailure: `tool-missing`, `qemu-unusable` when it does not say a version, `qemu-too-old` (30 ms)."""
    done = await run([program, "--version"])
    try:
        version = parse_version(done.text)
    except ValueError as error:
        raise HostFailure(
            f"{program} cannot be used",
            code="qemu-unusable",
            cause="it does not answer --version as QEMU does",
            evidence=str(error),
            fixes=[Fix(text="reinstall it", action="apt-get install --reinstall qemu-system-x86")],
        ) from error
    if (version.major, version.minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise HostFailure(
            f"{program} is too old",
            code="qemu-too-old",
            cause=f"commands that guests are run with are QEMU's since {oldest}",
            evidence=f"version {version}",
            fixes=[Fix(text=f"install QEMU {oldest} or newer", action="apt-get install qemu-system-x86")],
        )
    return version


async def machines_of(program: str = "qemu-system-x86_64") -> tuple[str, ...]:
    """The machine types it knows, versioned ones and aliases, in its own order."""
    done = await run([program, "-machine", "help"])
    lines = done.text.splitlines()[1:]
    return tuple(line.split()[0] for line in lines if line.strip() and "none" not in line.split()[0])
