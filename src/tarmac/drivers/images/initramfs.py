"""Making an initramfs: the cpio archive, the kernel modules it needs and the libraries of its programs.

The archive is written here rather than by cpio, so that owners, device nodes and times are what is wanted without
root. Sources: Documentation/driver-api/early-userspace/buffer-format.rst (newc), System V ABI (ELF dynamic section).
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from tarmac.model.errors import Fix, HostFailure


class Cpio:
    """A newc archive in memory; everything in it belongs to root and has the same time."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0
        self._known: set[str] = set()

    def directory(self, name: str, mode: int = 0o755) -> None:
        """`name` and the directories above it; one that is there already is no error."""
        name = name.strip("/")
        if name in ("", ".") or name in self._known:
            return
        self.directory(str(Path(name).parent))
        self._add(name, stat.S_IFDIR | mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self.directory(str(Path(name).parent))
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self.directory(str(Path(name).parent))
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def character(self, name: str, major: int, minor: int, mode: int = 0o600) -> None:
        """A character device node."""
        self.directory(str(Path(name).parent))
        self._add(name, stat.S_IFCHR | mode, device=(major, minor))

    def finish(self) -> bytes:
        """The whole archive."""
        self._add("TRAILER!!!", 0)
        data = b"".join(self._parts)
        return data + bytes(-len(data) % 512)

    def _add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        name = name.strip("/")
        self._known.add(name)
        self._inode += 1
        raw = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        numbers = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(raw), 0)
        header = b"070701" + b"".join(b"%08X" % number for number in numbers)
        self._parts += [header, raw, bytes(-(len(header) + len(raw)) % 4), data, bytes(-len(data) % 4)]


class Modules:
    """The modules of one unpacked kernel package (`root/lib/modules/<version>`), known by their own .modinfo."""

    def __init__(self, root: Path) -> None:
        base = next((root / "lib/modules").glob("*"), None)
        if base is None:
            raise _absent("lib/modules", root)
        self.version = base.name
        self._base = base
        self._paths = {_canonical(path.name): path for path in base.rglob("*.ko")}

    def closure(self, names: Iterable[str]) -> list[str]:
        """`names` and everything they depend on, dependencies first; names this kernel does not have are left out."""
        ordered: list[str] = []

        def visit(name: str) -> None:
            if name in ordered or name not in self._paths:
                return
            for needed in self._depends(name):
                visit(needed)
            ordered.append(name)

        for name in names:
            visit(_canonical(name))
        return ordered

    def add_to(self, archive: Cpio, names: Iterable[str]) -> None:
        """The modules' files, and modules.dep and modules.alias for exactly these, in the form that modprobe reads."""
        directory = f"lib/modules/{self.version}"
        depends, aliases = [], []
        for name in names:
            path = self._paths[name]
            relative = f"kernel/{path.name}"
            archive.file(f"{directory}/{relative}", path.read_bytes())
            needed = self.closure(self._depends(name))[::-1]
            depends.append(f"{relative}: {' '.join(f'kernel/{self._paths[other].name}' for other in needed)}".rstrip())
            aliases += [f"alias {alias} {name}" for alias in self._info(name).get("alias", [])]
        archive.file(f"{directory}/modules.dep", "\n".join([*depends, ""]).encode())
        archive.file(f"{directory}/modules.alias", "\n".join([*aliases, ""]).encode())
        archive.file(f"{directory}/modules.symbols", b"")

    def _depends(self, name: str) -> list[str]:
        listed = ",".join(self._info(name).get("depends", []))
        return [_canonical(other) for other in listed.split(",") if other]

    def _info(self, name: str) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for match in re.finditer(rb"(?<=\0)(alias|depends)=([^\0]*)\0", self._paths[name].read_bytes()):
            found.setdefault(match[1].decode(), []).append(match[2].decode(errors="replace"))
        return found


def needed_libraries(data: bytes) -> list[str]:
    """The DT_NEEDED names of a 64-bit little-endian ELF file, and its interpreter's path first if it has one."""
    header_at, _flags = struct.unpack_from("<QQ", data, 32)
    count = struct.unpack_from("<H", data, 56)[0]
    loads, dynamic, names = [], b"", []
    for index in range(count):
        kind, _f, offset, virtual, _p, size, _m, _a = struct.unpack_from("<IIQQQQQQ", data, header_at + 56 * index)
        if kind == 1:
            loads.append((virtual, offset, size))
        elif kind == 2:
            dynamic = data[offset : offset + size]
        elif kind == 3:
            names.append(data[offset : offset + size].rstrip(b"\0").decode())
    entries = [struct.unpack_from("<QQ", dynamic, at) for at in range(0, len(dynamic) - 15, 16)]
    strings = next((value for tag, value in entries if tag == 5), 0)
    table = next((strings - virtual + offset for virtual, offset, size in loads if 0 <= strings - virtual < size), 0)
    for tag, value in entries:
        if tag == 1:
            at = table + value
            names.append(data[at : data.index(b"\0", at)].decode())
    return names


def libraries(program: Path, root: Path) -> dict[str, Path]:
    """What `program` needs, from the packages unpacked in `root`: path in the guest -> file here.

    Raises HostFailure (`library-absent`) for a library that none of the packages has."""
    places = [root / part for part in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64", "lib")]
    found: dict[str, Path] = {}
    queue = [program]
    while queue:
        for name in needed_libraries(queue.pop().read_bytes()):
            place = "/lib64" if name.startswith("ld-linux") else "/lib/x86_64-linux-gnu"
            guest = name if name.startswith("/") else f"{place}/{name}"
            if guest in found:
                continue
            path = next((place / Path(name).name for place in places if (place / Path(name).name).exists()), None)
            if path is None:
                raise _absent(name, root)
            # a link may be absolute, which means the guest's root and not ours
            found[guest] = _resolve(path, root)
            queue.append(found[guest])
    return found


def _resolve(path: Path, root: Path) -> Path:
    while path.is_symlink():
        target = path.readlink()
        path = root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
    return path


def _canonical(name: str) -> str:
    return name.removesuffix(".ko").replace("-", "_")


def _absent(what: str, root: Path) -> HostFailure:
    return HostFailure(
        f"'{what}' is in none of the unpacked packages.",
        code="library-absent",
        cause="the distribution's packages are divided otherwise than this recipe knows",
        evidence=f"searched in {root}",
        fixes=[Fix(text="report the distribution's version, so that the recipe can be adapted")],
    )
