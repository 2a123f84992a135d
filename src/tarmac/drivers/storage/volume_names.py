"""Names of volumes: what stands after `STORAGE:` in a volume id, and where that lies in a directory. Pure.

    100/vm-100-disk-0.qcow2                                images/100/vm-100-disk-0.qcow2
    9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2    images/100/vm-100-disk-0.qcow2 (a linked clone)
    iso/debian.iso                                         template/iso/debian.iso
    import/debian.qcow2                                    import/debian.qcow2

Storages that are no directories have *flat* names: `vm-100-disk-0`, `base-9000-disk-0/vm-100-disk-0`.

Source: PVE::Storage::Plugin (`parse_volname`, `parse_name_dir`, `get_vtype_subdir`) of Proxmox VE 9. Where Proxmox
is laxer than a safe file name (`iso/..iso`, control characters), we are not: no name ever leads out of its directory.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from tarmac.model.errors import InvalidInput


class Content(enum.StrEnum):
    """What a storage may hold. Append-only: the words stand in storage definitions."""

    IMAGES = "images"
    ISO = "iso"
    IMPORT = "import"
    SNIPPETS = "snippets"
    BACKUP = "backup"
    VZTMPL = "vztmpl"
    ROOTDIR = "rootdir"


LAYOUT: Mapping[Content, str] = {
    Content.IMAGES: "images",
    Content.ISO: "template/iso",
    Content.IMPORT: "import",
    Content.SNIPPETS: "snippets",
    Content.BACKUP: "dump",
    Content.VZTMPL: "template/cache",
    Content.ROOTDIR: "private",
}
# Proxmox knows ova, ovf, qcow2, raw and vmdk here; the other three are ours.
IMPORT_FORMATS: Mapping[str, str] = {
    "qcow2": "qcow2",
    "raw": "raw",
    "vmdk": "vmdk",
    "ova": "ova",
    "ovf": "ovf",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vdi": "vdi",
}
DISK_FILE = "disk.raw"
"""The file of a raw image that lies in a directory (on btrfs: a subvolume) of its own."""
_MAX_NAME = 200  # below the 255 bytes of Linux file systems, so that temporary names fit too

_IMAGE = re.compile(r"(?P<base>base-)?[^/\s]+\.(?P<format>raw|qcow2|vmdk|subvol)")
_LAYER = re.compile(r"snap-[A-Za-z][A-Za-z0-9_-]*?-(?:vm|base)-\d+-")
_FILES: Mapping[Content, re.Pattern[str]] = {
    Content.ISO: re.compile(r"[^/]+\.(?:iso|img)", re.IGNORECASE),
    Content.VZTMPL: re.compile(r"[^/]+\.tar\.(?:gz|xz|zst|bz2)", re.IGNORECASE),
    Content.BACKUP: re.compile(r"[^/]+\.(?:tgz|(?:tar|vma)(?:\.(?:gz|lzo|zst|bz2))?)"),
    Content.SNIPPETS: re.compile(r"[^/]+"),
    Content.IMPORT: re.compile(r"[a-zA-Z0-9\-.+=_]+\.(?P<format>" + "|".join(IMPORT_FORMATS) + ")"),
}
_BACKUP_OWNER = re.compile(r"vzdump-(?:openvz|lxc|qemu)-(\d+)-.+")
_DISK = re.compile(r"(?:vm|base)-(?P<vmid>\d+)-disk-(?P<number>\d+)(?:\.[a-z0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeName:
    """A parsed volume name. `file` is the plain file name, `vmid` the owner where there is one, `base` the
    (vmid, file) of the image that a linked clone stands on, `is_base` that it is itself such an image, `flat` that the
    storage knows neither directories nor extensions."""

    content: Content
    file: str
    format: str
    vmid: int | None = None
    base: tuple[int, str] | None = None
    is_base: bool = False
    flat: bool = False

    def __str__(self) -> str:
        if self.flat:
            return f"{self.base[1]}/{self.file}" if self.base else self.file
        if self.content is Content.IMAGES:
            own = f"{self.vmid}/{self.file}"
            return f"{self.base[0]}/{self.base[1]}/{own}" if self.base else own
        return f"{self.content}/{self.file}"

    def path(self, layout: Mapping[Content, str] = LAYOUT) -> PurePosixPath:
        """Where it lies, relative to the storage's directory."""
        root = PurePosixPath(layout[self.content])
        return root / str(self.vmid) / self.file if self.content is Content.IMAGES else root / self.file


def parse_volume_name(text: str) -> VolumeName:
    """A volume name as it stands in a volume id. Raises ValueError in Proxmox's words.

    `str()` of the result is `text` again, and its path lies inside the storage."""
    parts = text.split("/")
    try:
        if all(_safe(part) for part in parts):
            if len(parts) == 4 and _is_id(parts[0]) and _is_id(parts[2]):
                base = _image(parts[0], parts[1])
                return _image(parts[2], parts[3], base=(int(parts[0]), base.file))
            if len(parts) == 2 and _is_id(parts[0]):
                return _image(parts[0], parts[1])
            if len(parts) == 2:
                return _file(parts[0], parts[1])
    except LookupError:
        pass
    raise ValueError(f"unable to parse directory volume name '{text}'")


_FLAT = re.compile(
    r"(?:(?P<below>base-(?P<owner>[1-9]\d{0,8})-[^\s/@]+)/)?(?P<file>(?:base|vm)-(?P<vmid>[1-9]\d{0,8})-[^\s/@]+)"
)


def parse_flat_name(text: str, kind: str) -> VolumeName:
    """A name of a storage whose images are raw and lie in no directory; `kind` is Proxmox's word for it in the message.

    Raises ValueError in Proxmox's words."""
    match = _FLAT.fullmatch(text)
    if match is None or not _safe(match["file"]) or not text.isprintable():
        raise ValueError(f"unable to parse {kind} volume name '{text}'")
    return VolumeName(
        content=Content.IMAGES,
        file=match["file"],
        format="raw",
        vmid=int(match["vmid"]),
        base=(int(match["owner"]), match["below"]) if match["below"] else None,
        is_base=match["file"].startswith("base-"),
        flat=True,
    )


def _safe(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and not part.startswith(".")
        and len(part.encode(errors="surrogatepass")) <= _MAX_NAME
        and part.isprintable()
    )


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,8}", text) is not None


def _image(vmid: str, file: str, base: tuple[int, str] | None = None) -> VolumeName:
    match = _IMAGE.fullmatch(file)
    if match is None or _LAYER.match(file):  # a snapshot's layer is part of a volume and none itself
        raise ValueError(f"unable to parse volume filename '{file}'")
    return VolumeName(
        content=Content.IMAGES,
        file=file,
        format=match["format"],
        vmid=int(vmid),
        base=base,
        is_base=match["base"] is not None,
    )


def _file(kind: str, file: str) -> VolumeName:
    content = Content(kind) if kind in _FILES else None
    if content is None:
        raise LookupError(kind)
    match = _FILES[content].fullmatch(file)
    if match is None:
        raise LookupError(file)
    owner = _BACKUP_OWNER.fullmatch(file) if content is Content.BACKUP else None
    return VolumeName(
        content=content,
        file=file,
        format=IMPORT_FORMATS[match["format"]] if content is Content.IMPORT else "raw",
        vmid=int(owner[1]) if owner else None,
    )


def image_name(vmid: int, file: str) -> VolumeName:
    """The image `file` of guest `vmid`. Raises ValueError (`unable to parse volume filename '...'`)."""
    if not _safe(file):
        raise ValueError(f"unable to parse volume filename '{file}'")
    return _image(str(vmid), file)


def is_base(place: PurePath) -> bool:
    """Whether a file is a template's disk, which nothing changes."""
    return (place.parent.name if place.name == DISK_FILE else place.name).startswith("base-")


def base_name(name: VolumeName) -> VolumeName:
    """The name that an image gets as a base image: `vm-9000-disk-0` becomes `base-9000-disk-0`. Raises InvalidInput."""
    return _renamed(name, "vm", "base")


def plain_name(name: VolumeName) -> VolumeName:
    """The reverse of `base_name`."""
    return _renamed(name, "base", "vm")


def _renamed(name: VolumeName, old: str, new: str) -> VolumeName:
    start = f"{old}-{name.vmid}-"
    if not name.file.startswith(start):
        raise InvalidInput(
            f"volume name '{name.file}' does not begin with '{start}'",
            code="volume-name",
            cause="only such volumes can become base images and back",
        )
    file = f"{new}-{name.vmid}-{name.file.removeprefix(start)}"
    return dataclasses.replace(name, file=file, is_base=new == "base")


def free_disk_stem(vmid: int, taken: Collection[str]) -> str:
    """The first free `vm-100-disk-N`. A number counts as taken whatever the format, and for `base-` too.

    Raises InvalidInput when all are taken (Proxmox's limit: 16384)."""
    numbers = {int(m["number"]) for name in taken if (m := _DISK.fullmatch(name)) and int(m["vmid"]) == vmid}
    for number in range(16384):
        if number not in numbers:
            return f"vm-{vmid}-disk-{number}"
    raise InvalidInput(f"unable to allocate an image name for VM {vmid}", cause="all 16384 names are taken")


def free_disk_name(vmid: int, taken: Collection[str], format: str) -> str:
    """The first free `vm-100-disk-N.qcow2`: `free_disk_stem` as a file name."""
    return f"{free_disk_stem(vmid, taken)}.{format}"


def cloudinit_stem(vmid: int) -> str:
    """The name of a guest's cloud-init medium, without its extension."""
    return f"vm-{vmid}-cloudinit"


def normalize_file_name(text: str) -> str:
    """A client's file name as Proxmox takes it: the last part of a path, other characters than `a-zA-Z0-9_.-` replaced
    by `_`. Source: PVE::Storage::normalize_content_filename."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "_", re.sub(r"^.*[/\\]", "", text.rstrip("\n"), flags=re.DOTALL))


def upload_name(content: str, file_name: str, *, snippets: bool = False) -> VolumeName:
    """The volume that an upload or download of `file_name` becomes. `snippets` are taken where the caller says so;
    Proxmox takes none.

    Raises InvalidInput with Proxmox's texts for a content type that takes no uploads and for a wrong extension."""
    if content not in (Content.ISO, Content.VZTMPL, Content.IMPORT, *((Content.SNIPPETS,) if snippets else ())):
        raise InvalidInput.of("content", f"upload content type '{content}' not allowed")
    file = normalize_file_name(file_name)
    wrong = "invalid filename or wrong extension" if content == Content.IMPORT else "wrong file extension"
    try:
        name = parse_volume_name(f"{content}/{file}")
    except ValueError:
        raise InvalidInput.of("filename", wrong) from None
    if name.format == "ovf":  # only means something beside the disks it names
        raise InvalidInput.of("filename", wrong)
    return name
