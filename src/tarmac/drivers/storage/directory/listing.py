"""What lies in a directory storage: volumes by their headers and file status. All functions block."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tarmac.drivers.storage import image
from tarmac.drivers.storage.values import VolumeInfo
from tarmac.drivers.storage.volume_names import Content, VolumeName, image_name, parse_volume_name
from tarmac.model.errors import DataCorrupt
from tarmac.model.ids import VolumeId

_PARENT = re.compile(r"\.\./(\d+)/([^/\s]+?)(?:/disk)?(\.(?:raw|qcow2|vmdk))")


def list_volumes(
    storage: str, root: Path, layout: Mapping[Content, str], wanted: Collection[Content], vmid: int | None
) -> list[VolumeInfo]:
    """Volumes of the wanted contents, of guest `vmid` if given, sorted by volume id.

    Files with other names are none of ours, and what cannot be read (gone meanwhile, not an image) is left out."""
    found = []
    for content in wanted:
        for place, name in _names(root / layout[content], content, vmid):
            if vmid is not None and name.vmid != vmid:
                continue
            try:
                found.append(volume_info(storage, place, name))
            except (OSError, DataCorrupt):
                continue
    return sorted(found, key=lambda volume: str(volume.volid))


def _names(folder: Path, content: Content, vmid: int | None) -> Iterator[tuple[Path, VolumeName]]:
    if content is Content.ROOTDIR:
        return
    if content is not Content.IMAGES:
        for file in _listed(folder):
            try:
                yield folder / file, parse_volume_name(f"{content}/{file}")
            except ValueError:
                continue
        return
    for guest in [str(vmid)] if vmid is not None else [d for d in _listed(folder) if re.fullmatch(r"[1-9]\d{0,8}", d)]:
        for file in _listed(folder / guest):
            try:
                yield folder / guest / file, image_name(int(guest), file)
            except ValueError:
                continue


def _listed(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def volume_info(storage: str, place: Path, name: VolumeName) -> VolumeInfo:
    """One volume. Raises OSError (missing, a directory, a device), DataCorrupt for an image without its header.

    A linked clone comes out under its full name (`9000/base-.../100/vm-...`) if its backing reference says so."""
    status = place.stat()
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(2, "not a regular file", str(place))
    size, parent = status.st_size, None
    if name.content is Content.IMAGES:
        size, parent = image.describe(place, name.format)
        name = _full_name(name, parent)
    return VolumeInfo(
        volid=VolumeId(storage, str(name)),
        content=name.content,
        format=_shown_format(name),
        size=size,
        used=status.st_blocks * 512 if name.content is Content.IMAGES else status.st_size,
        ctime=int(status.st_ctime),
        vmid=name.vmid,
        parent=parent,
    )


def _full_name(name: VolumeName, parent: str | None) -> VolumeName:
    match = _PARENT.fullmatch(parent or "")
    if match is None or name.vmid is None:
        return name
    try:
        return parse_volume_name(f"{match[1]}/{match[2]}{match[3]}/{name.vmid}/{name.file}")
    except ValueError:
        return name


def _shown_format(name: VolumeName) -> str:
    """The word in Proxmox's content lists: the extension, `iso` for ISO images, `snippet`, `tgz`, ..."""
    if name.content is Content.ISO:
        return "iso"
    if name.content is Content.SNIPPETS:
        return "snippet"
    if name.content is Content.VZTMPL:
        return "t" + name.file.rpartition(".")[2]
    if name.content is Content.BACKUP:
        return name.file.partition(".")[2] if name.file.count(".") == 1 else ".".join(name.file.split(".")[-2:])
    return name.file.rpartition(".")[2] if name.content is Content.IMPORT else name.format
