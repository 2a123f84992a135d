"""Packages of one Debian release by name, through the host's own apt, without root.

apt gets directories, sources and an empty list of installed packages of ours, so that nothing on the host changes and
its release does not matter (Debian 13 names and packs its packages otherwise than Debian 12); mirrors and proxies are
the host's, the keys those of `debian-archive-keyring`. Downloads are kept and checked by their hash, so a second build
needs no network.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.images import tools
from tarmac.drivers.images.mirrors import sources
from tarmac.model.errors import Fix, HostFailure

_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LISTS_GOOD_FOR = 24 * 3600.0
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) (?P<kind>\w+):(?P<hash>[0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Archive:
    """One downloaded .deb."""

    name: str
    version: str
    path: Path


class PackageCache:
    """Packages of `suite` kept under `root` (created where missing). One build at a time may use one root."""

    def __init__(self, root: Path, suite: str) -> None:
        self._root = root.resolve()
        self._suite = suite
        self._lists = self._root / "lists"
        self._archives = self._root / "archives"

    async def fetch(self, names: Iterable[str]) -> dict[str, Archive]:
        """The newest candidate of each package as a checked file, by name; downloads what is not there.

        Raises HostFailure: apt is missing (`missing-tool`), a name is unknown or the mirror does not answer.
        """
        wanted = list(dict.fromkeys(names))
        await self._prepare()
        records = await self._locate(wanted)
        if lacking := [record["file"] for record in records if not await self._intact(record)]:
            await self._apt("apt-get", "download", *wanted, cwd=self._archives)
            for record in records:
                if record["file"] in lacking and not await self._intact(record):
                    raise self._damaged(record)
        found = [_archive(self._archives / record["file"]) for record in records]
        return {archive.name: archive for archive in found}

    async def depends(self, name: str) -> list[str]:
        """The names in a package's Depends field (first alternatives, without versions)."""
        await self._prepare()
        text = await self._apt("apt-cache", "--no-all-versions", "show", name)
        line = next((row for row in text.splitlines() if row.startswith("Depends:")), "Depends:")
        parts = line.removeprefix("Depends:").split(",")
        return [part.split("|")[0].split("(")[0].strip().split(":")[0] for part in parts if part.strip()]

    async def _prepare(self) -> None:
        """Directories, our apt configuration, and fresh lists when ours are missing, older than a day or of other
        sources."""
        for path in (self._lists / "partial", self._archives / "partial", self._root / "state"):
            path.mkdir(parents=True, exist_ok=True)
        lines = [line.replace("deb ", f"deb [signed-by={_KEYS}] ", 1) for line in await sources(self._suite)]
        wanted = "\n".join([*lines, ""])
        (self._root / "sources.list").write_text(wanted)
        (self._root / "status").write_text("")
        (self._root / "apt.conf").write_text(self._configuration())
        stamp = self._root / "lists.stamp"
        known = stamp.exists() and stamp.read_text() == wanted
        if not known or time.time() - stamp.stat().st_mtime > _LISTS_GOOD_FOR:
            try:
                await self._apt("apt-get", "update")
            except HostFailure:
                if not known:
                    raise  # old lists serve an offline machine; no lists do not
                return
            stamp.write_text(wanted)

    def _configuration(self) -> str:
        """Own directories and sources; no pins and hooks of the host (they are about its release and its caches); no
        privilege dropping, we have none."""
        return (
            f'Dir::State "{self._root}/state";\nDir::State::Lists "{self._lists}";\n'
            f'Dir::State::status "{self._root}/status";\n'
            f'Dir::Etc::SourceList "{self._root}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
            'Dir::Etc::Preferences "/dev/null";\nDir::Etc::PreferencesParts "/dev/null";\n'
            f'Dir::Cache "{self._root}";\nDir::Cache::archives "{self._archives}";\n'
            "#clear APT::Default-Release;\n#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
            "#clear APT::Update::Post-Invoke-Success;\n"
            '#clear DPkg::Post-Invoke;\nAPT::Sandbox::User "";\nAcquire::Languages "none";\nAcquire::Retries "2";\n'
        )

    async def _apt(self, *argv: str, cwd: Path | None = None) -> str:
        return await tools.run(*argv, cwd=cwd, env={"APT_CONFIG": str(self._root / "apt.conf")})

    async def _locate(self, names: list[str]) -> list[dict[str, str]]:
        """What apt would download, with sizes and hashes."""
        try:
            # Not among the archives: apt names nothing that lies complete in the working directory.
            text = await self._apt("apt-get", "download", "--print-uris", *names, cwd=self._root)
        except HostFailure as failure:
            raise HostFailure(
                f"apt does not know all of the packages {', '.join(names)}.",
                code="package-unknown",
                cause=failure.cause,
                evidence=failure.evidence,
                fixes=[Fix(text="look whether the mirror can be reached", action="apt-get update")],
            ) from failure
        return [match.groupdict() for match in _URI.finditer(text)]

    async def _intact(self, record: Mapping[str, str]) -> bool:
        path = self._archives / record["file"]
        if not path.is_file() or path.stat().st_size != int(record["size"]):
            return False
        return await asyncio.to_thread(_digest, path, record["kind"].lower()) == record["hash"]

    def _damaged(self, record: Mapping[str, str]) -> HostFailure:
        return HostFailure(
            f"The package file {record['file']} is not what the mirror's index says.",
            code="package-damaged",
            cause="the download was cut short or the mirror changed meanwhile",
            evidence=f"expected {record['size']} bytes, {record['kind']} {record['hash']}, from {record['uri']}",
            fixes=[Fix(text="build again; the lists are fetched anew when they are a day old")],
        )


async def unpack(archives: Iterable[Archive], target: Path) -> None:
    """Extracts the packages' files into `target`, with no maintainer script run. Raises HostFailure."""
    target.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        await tools.run("dpkg-deb", "-x", archive.path, target)


def _archive(path: Path) -> Archive:
    name, version, _arch = path.name.removesuffix(".deb").split("_")
    return Archive(name, version.replace("%3a", ":"), path)


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()
