"""A Ceph pool: RADOS block devices, by the `rbd` program here and by QEMU's own rbd driver in guests.

Why the program and not the library: librados blocks its thread for as long as a monitor or OSD is silent, and cannot be
told to stop; a process can be ended. It takes 30 ms a call and needs no module for the Python that runs the daemon.
Monitors, user and keyring stand in files below the daemon's data (`ceph.conf`, `keyring`), never on a command line; a
guest's QEMU may read its storages'. No limits of time stand there: a guest waits for a silent pool, as for a disk.

Source: PVE::Storage::RBDPlugin (names, `__base__`, figures), rbd(8), qapi/block-core.json (BlockdevOptionsRbd).
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.block.commands import BASE_POINT, Argv, BlockImage, Point
from tarmac.drivers.storage.block.storage import BlockStorage, Means
from tarmac.drivers.storage.values import Capabilities, SnapshotKind, StorageStatus
from tarmac.drivers.storage.volume_names import Content, VolumeName, parse_flat_name
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.storage import StorageDefinition

MARK = "tarmac.made-by"
NODE_CONF = Path("/etc/ceph/ceph.conf")
"""Where the monitors stand when a definition names none."""
_PORTAL = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+)(?::(?P<port>\d{1,5}))?")


def build(definition: StorageDefinition, secrets: Mapping[str, str], means: Means) -> Storage:
    """The driver of a definition of type `rbd`. Raises NotBuilt for `krbd`, InvalidInput."""
    if definition.krbd:
        raise NotBuilt(
            "the kernel's rbd driver is not used here: 'krbd' must be 0",
            cause="QEMU opens the images itself",
            evidence="krbd: 1",
        )
    if "/" in (definition.pool or ""):
        raise InvalidInput.of("pool", "the name of a pool has no '/'; a namespace has its own key")
    commands = RbdCommands(
        monitors=monitors(definition.monhost) if definition.monhost else "",
        pool=definition.pool or "rbd",
        namespace=definition.namespace,
        data_pool=definition.data_pool,
        user=definition.username or "admin",
        keyring=secrets.get("keyring"),
        folder=means.private / definition.storage,
    )
    contents = [Content(word) for word in definition.content if word != "none"]
    return BlockStorage(definition.storage, commands, means=means, content=contents)


def monitors(text: str) -> str:
    """Proxmox's list of monitors (separated by commas, semicolons or blanks) as Ceph's `mon host`.

    With a port, both of Ceph's protocols are tried there: a plain `host:port` would be taken for the second alone.
    Raises InvalidInput."""
    found = []
    for one in filter(None, re.split(r"[,;\s]+", text)):
        match = _PORTAL.fullmatch(one)
        if match is None or int(match["port"] or 1) not in range(1, 65536):
            raise InvalidInput.of("monhost", f"value '{one}' does not look like a valid portal address")
        host, port = match["host"], match["port"]
        by_number = re.fullmatch(r"\[.*\]|[0-9.]+", host)
        found += [f"[v2:{host}:{port}]", f"[v1:{host}:{port}]"] if port and by_number else [one]
    return ",".join(found)


class RbdCommands:
    """`BlockCommands` of a pool; `monitors` empty: those of the node's own ceph.conf; `folder` is the storage's own."""

    kind = "rbd"
    zeroed = True
    beside = False
    capabilities = Capabilities(
        formats=("raw",),
        default_format="raw",
        files=False,
        linked_clones=True,
        plain_clones=frozenset({"raw"}),
        snapshots={"raw": SnapshotKind.COPY},
        shared=True,
    )
    env: Mapping[str, str] = {"CEPH_ARGS": "", "CEPH_CONF": ""}

    def __init__(
        self,
        *,
        monitors: str,
        pool: str,
        namespace: str | None,
        data_pool: str | None,
        user: str,
        keyring: str | None,
        folder: Path,
    ) -> None:
        self._monitors = monitors
        self._pool = pool
        self._namespace = namespace
        self._data_pool = data_pool
        self._user = user
        self._keyring = keyring
        self._conf = folder / "ceph.conf"
        self._key = folder / "keyring"

    def parse(self, text: str) -> VolumeName:
        return parse_flat_name(text, self.kind)

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        return self.parse(f"{base.file}/{stem}")

    def location(self, name: str) -> str:
        return f"rbd:{self._spec(name)}"

    def node(self, name: str, point: str | None = None) -> Mapping[str, Any]:
        node = {"driver": "rbd", "pool": self._pool, "image": name, "conf": str(self._conf), "user": self._user}
        if self._namespace:
            node["namespace"] = self._namespace
        if point is not None:
            node["snapshot"] = point
        return node

    def files(self) -> Mapping[Path, str]:
        lines = ["[global]", f"mon host = {self._monitors or _node_monitors()}"]
        lines += ["log to stderr = false", "err to stderr = false"]  # the tools' own words are enough
        if self._keyring is None:
            lines.append("auth client required = none")
            return {self._conf: "\n".join([*lines, ""])}
        lines += ["auth client required = cephx", f"keyring = {self._key}", ""]
        ring = self._keyring.strip()
        if "[" not in ring:  # a key alone, as `ceph auth get-key` prints it
            ring = f"[client.{self._user}]\n\tkey = {ring}"
        return {self._key: ring + "\n", self._conf: "\n".join(lines)}

    def devices(self, name: str) -> Sequence[Path]:
        return ()

    def _spec(self, name: str, point: str | None = None) -> str:
        where = f"{self._pool}/{self._namespace}" if self._namespace else self._pool
        return f"{where}/{name}" + (f"@{point}" if point is not None else "")

    def _where(self) -> list[str]:
        return ["--pool", self._pool, *(["--namespace", self._namespace] if self._namespace else [])]

    def _tool(self, *words: str, program: str = "rbd") -> Argv:
        return (program, "--conf", str(self._conf), "--id", self._user, *words)

    # -- reading ------------------------------------------------------------------------------------------------

    def status(self) -> Sequence[Argv]:
        """The second one asks an OSD: monitors answer for pools whose data nobody can reach."""
        return (self._tool("df", "--format", "json", program="ceph"), self._tool("ls", *self._where()))

    def read_status(self, outputs: Sequence[str]) -> StorageStatus:
        pool = self._data_pool or self._pool
        for row in json.loads(outputs[0])["pools"]:
            if row["name"] == pool:
                free = row["stats"]["max_avail"]
                used = row["stats"].get("stored", row["stats"]["bytes_used"])
                return StorageStatus(total=used + free, used=used, available=free)
        raise ValueError(f"could not get usage stats for pool '{pool}'")

    def names(self) -> Argv:
        return self._tool("ls", "--format", "json", *self._where())

    def read_names(self, output: str) -> Sequence[str]:
        return [str(name) for name in json.loads(output)]

    def listing(self) -> Argv:
        return self._tool("ls", "--long", "--format", "json", *self._where())

    def read_listing(self, output: str) -> Sequence[BlockImage]:
        rows = [row for row in json.loads(output) if "snapshot" not in row]
        return [BlockImage(name=row["image"], size=row["size"], parent=_parent(row.get("parent"))) for row in rows]

    def show(self, name: str) -> Sequence[Argv]:
        words = ("--format", "json", self._spec(name))
        return (self._tool("info", *words), self._tool("du", *words))

    def read_show(self, name: str, outputs: Sequence[str]) -> BlockImage:
        row = json.loads(outputs[0])
        takes = [image for image in json.loads(outputs[1])["images"] if "snapshot" not in image]
        made = datetime.strptime(row["create_timestamp"], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        return BlockImage(
            name=name,
            size=row["size"],
            used=takes[0]["used_size"] if takes else None,
            ctime=int(made.timestamp()),
            parent=_parent(row.get("parent")),
        )

    def points(self, name: str) -> Argv:
        return self._tool("snap", "ls", "--format", "json", self._spec(name))

    def read_points(self, name: str, output: str) -> Sequence[Point]:
        rows = sorted(json.loads(output), key=lambda row: int(row["id"]))
        return [Point(name=row["name"], guarded=row.get("protected") == "true") for row in rows]

    def mark(self, name: str) -> Argv:
        return self._tool("image-meta", "ls", "--format", "json", self._spec(name))

    def read_mark(self, output: str) -> str:
        return str(json.loads(output).get(MARK, "")) if output.strip() else ""

    def is_missing(self, words: str) -> bool:
        return "(2) No such file or directory" in words and "opening pool" not in words

    def is_taken(self, words: str) -> bool:
        return "(17) File exists" in words

    def is_busy(self, words: str) -> bool:
        told = ("(16) Device or resource busy", "(39) Directory not empty", "still has watchers")
        return any(text in words for text in told)

    def lingers(self, words: str) -> bool:
        return "still has watchers" in words

    # -- changing -----------------------------------------------------------------------------------------------

    def activate(self) -> Sequence[Argv]:
        return ()

    def create(self, name: str, size: int, vmid: int, mark: str) -> Sequence[Argv]:
        words = ["--image-format", "2", "--size", f"{size}B", *self._data(), self._spec(name)]
        return (self._tool("create", *words), self._marked(name, mark))

    def clone(self, base: str, name: str, vmid: int, mark: str) -> Sequence[Argv]:
        words = [*self._data(), self._spec(base, BASE_POINT), self._spec(name)]
        return (self._tool("clone", *words), self._marked(name, mark))

    def _data(self) -> list[str]:
        return ["--data-pool", self._data_pool] if self._data_pool else []

    def _marked(self, name: str, mark: str) -> Argv:
        return self._tool("image-meta", "set", self._spec(name), MARK, mark)

    def open(self, name: str, point: str | None = None) -> Sequence[Argv]:
        return ()

    def rename(self, old: str, new: str) -> Sequence[Argv]:
        return (self._tool("rename", self._spec(old), self._spec(new)),)

    def remove(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        dropped = [argv for point in points for argv in self.drop(name, point)]
        return (*dropped, self._tool("rm", "--no-progress", self._spec(name)))

    def resize(self, name: str, size: int) -> Sequence[Argv]:
        return (self._tool("resize", "--no-progress", "--size", f"{size}B", self._spec(name)),)

    def snapshot(self, name: str, point: str) -> Sequence[Argv]:
        return (self._tool("snap", "create", "--no-progress", self._spec(name, point)),)

    def rollback(self, name: str, point: str, points: Sequence[Point], part: str, there: bool) -> Sequence[Argv]:
        return (self._tool("snap", "rollback", "--no-progress", self._spec(name, point)),)

    def drop(self, name: str, point: Point) -> Sequence[Argv]:
        spec = self._spec(name, point.name)
        unguarded = (self._tool("snap", "unprotect", spec),) if point.guarded else ()
        return (*unguarded, self._tool("snap", "rm", "--no-progress", spec))

    def seal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        base = next((point for point in points if point.name == BASE_POINT), None)
        taken = () if base is not None else self.snapshot(name, BASE_POINT)
        guard = self._tool("snap", "protect", self._spec(name, BASE_POINT))
        return taken if base is not None and base.guarded else (*taken, guard)

    def unseal(self, name: str, points: Sequence[Point]) -> Sequence[Argv]:
        return [argv for point in points if point.name == BASE_POINT for argv in self.drop(name, point)]


def _parent(row: Mapping[str, str] | None) -> str | None:
    return row["image"] if row is not None and row["snapshot"] == BASE_POINT else None


def _node_monitors() -> str:
    """The monitors in the node's own ceph.conf. Blocks. Raises InvalidInput when it has none."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#", ";"))
    try:
        parser.read(NODE_CONF)
        return parser["global"].get("mon host") or parser["global"]["mon_host"]
    except (OSError, KeyError, configparser.Error):
        raise InvalidInput.of("monhost", f"is needed where {NODE_CONF} names no monitors") from None
