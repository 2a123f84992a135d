"""What a recipe for a guest image is, and what it returns.

Contract of every recipe: `build` writes exactly one file, `destination`, and that only when it is complete: it is
made under `work`, synced and renamed. A build that fails or is cancelled leaves no file at `destination` and no
process behind; what it downloaded stays in `work/cache`, so that the next build is quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tarmac.lib.files import fsync_directory, fsync_file

Report = Callable[[str, float | None], None]
"""Progress: a line for people, and the fraction done (0 to 1) or None when it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """One finished image. `path` is the destination; sizes are bytes; `packages` maps package names to versions."""

    path: Path
    virtual_size: int
    file_size: int
    sha256: str
    packages: Mapping[str, str]
    login_user: str
    firmware: tuple[str, ...]
    notes: tuple[str, ...] = ()
    format: str = "qcow2"
    extra: Mapping[str, str] = field(default_factory=dict)


class Recipe(Protocol):
    """How one image is made. `debian_packages` are the host packages that hold the tools it calls."""

    @property
    def name(self) -> str:
        """The word it is asked for by, such as `debian-12`."""

    @property
    def title(self) -> str:
        """One line for people."""

    @property
    def debian_packages(self) -> tuple[str, ...]:
        """See above."""

    async def build(self, destination: Path, work: Path, report: Report) -> BuiltImage:
        """Builds the image at `destination` (replaced if it exists), using `work` for caches and temporary files.

        Both directories are created where missing. Raises HostFailure (a tool is missing or failed, a package
        cannot be had) or NoSpace; then, and on cancellation, `destination` is as it was before.
        """
        ...


@contextlib.contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """A temporary directory in `work`, gone at the end whatever happens."""
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=work, ignore_cleanup_errors=True) as name:
        yield Path(name)


def clear(destination: Path, work: Path) -> None:
    """Remove what a build that was killed left in `work` and beside `destination`. Only while no build runs there."""
    for path in work.glob("build-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in destination.parent.glob(f".{destination.name}.*.partial"):
        path.unlink(missing_ok=True)


async def publish(finished: Path, destination: Path) -> str:
    """Moves a finished file to `destination`, durable and in one step; returns its SHA-256.

    `finished` must be on the same file system as `destination` (see `partial`). After a failure the destination is
    untouched.
    """
    return await asyncio.to_thread(_publish, finished, destination)


def partial(destination: Path) -> Path:
    """A hidden name beside `destination` to build into, so that the final rename stays on one file system."""
    return destination.with_name(f".{destination.name}.{os.getpid()}.partial")


def _publish(finished: Path, destination: Path) -> str:
    with finished.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    fsync_file(finished)
    finished.replace(destination)
    fsync_directory(destination.parent)
    return digest
