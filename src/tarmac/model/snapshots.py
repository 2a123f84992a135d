"""Snapshots in a guest's configuration: sections that keep it as it was, and the tree that they form. Pure.

A section holds the keys of that moment, with `snaptime`, what the user wrote as `description`, and its own `parent`;
the active section's `parent` names the snapshot that it stands on. `snapstate: delete` marks one that is going away:
its disks may be merged already, so nothing can be rolled back to it.
Source: PVE::AbstractConfig (`__snapshot_copy_config`, `__snapshot_apply_config`, `snapshot_delete`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tarmac.model.conf_file import GuestFile, Texts
from tarmac.model.disk import Disk, EfiDisk
from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound, WrongState
from tarmac.model.vm import VmConfig

CURRENT = "current"
RESERVED = (CURRENT, "pending")
DELETING = "delete"
_OF_THE_MOMENT = frozenset({"snapstate", "snaptime", "vmstate", "lock", "digest", "description"})
_OF_THE_STATE = frozenset({"runningmachine", "runningcpu", "running-nets-host-mtu"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]+")
_MAX_NAME = 40


def check_name(name: str) -> None:
    """Raises InvalidInput for what cannot be a snapshot's name."""
    if name.lower() in RESERVED:
        raise InvalidInput.of("snapname", f"unable to use snapshot name '{name}' (reserved name)")
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise InvalidInput.of("snapname", f"invalid format - invalid configuration ID '{name[:80]}'")


def section(file: GuestFile, name: str) -> Texts:
    """The section of a snapshot. Raises NotFound in Proxmox's words."""
    found = file.snapshots.get(name)
    if found is None:
        known = ", ".join(sorted(file.snapshots)) or "none"
        raise NotFound(
            f"snapshot '{name}' does not exist", code="no-such-snapshot", evidence=f"snapshots of the guest: {known}"
        )
    return found


def is_unused(key: str) -> bool:
    return re.fullmatch(r"unused\d+", key) is not None


def disks_of(texts: Mapping[str, str]) -> dict[str, Disk | EfiDisk]:
    """What a snapshot keeps: the disks and the firmware's variables by key, no CD-ROMs, no media."""
    config = VmConfig.parse(texts)
    found: dict[str, Disk | EfiDisk] = {
        key: disk for key, disk in config.disks.items() if not disk.is_cdrom and disk.volume is not None
    }
    if config.efidisk0 is not None:
        found["efidisk0"] = config.efidisk0
    return found


def image_of(volid: str) -> str:
    """A volume id without the base image that it names: the same image has one while it stands on a frozen state, and
    none before and after, so sections of different moments may call it by either."""
    storage, _, name = volid.partition(":")
    parts = name.split("/")
    if len(parts) == 4:
        return f"{storage}:{parts[2]}/{parts[3]}"
    return f"{storage}:{parts[1]}" if len(parts) == 2 and parts[0].startswith("base-") else volid


def kept_by(file: GuestFile, volid: str) -> list[str]:
    """The guest's snapshots that have a volume."""
    image = image_of(volid)
    return [
        name
        for name, texts in file.snapshots.items()
        if any(image_of(disk.file) == image for disk in disks_of(texts).values())
    ]


def check_not_kept(file: GuestFile, freed: Iterable[str]) -> None:
    """Raises Conflict for a volume that is to be removed and that a snapshot of the guest has."""
    for volid in freed:
        if holders := kept_by(file, volid):
            raise Conflict(
                f"unable to delete '{volid}' - volume is still in use (snapshot?)",
                code="volume-in-snapshot",
                cause="going back to a snapshot needs it",
                evidence="snapshots: " + ", ".join(sorted(holders)),
                fixes=[Fix(text="remove those snapshots first", action=f"DELETE .../snapshot/{holders[0]}")],
            )


def taken(
    file: GuestFile, name: str, *, time: int, description: str, state: Mapping[str, str] | None = None
) -> GuestFile:
    """The file with a snapshot of its active section. `state`: `vmstate` and its companions."""
    copied = {k: v for k, v in file.current.items() if k not in _OF_THE_MOMENT and not is_unused(k)}
    new = {**copied, **(state or {}), "snaptime": str(time)}
    if description:
        new["description"] = description
    return dataclasses.replace(file, current={**file.current, "parent": name}, snapshots={**file.snapshots, name: new})


def rolled_back(file: GuestFile, name: str, *, vmgenid: str) -> GuestFile:
    """The file after going back: the snapshot's keys, the description and unused disks of now, and a new generation
    id, so that the guest can notice. Disks that the snapshot does not know become unused. What was pending is gone."""
    old = section(file, name)
    new = {k: v for k, v in old.items() if k not in _OF_THE_MOMENT | _OF_THE_STATE}
    if new.get("vmgenid", "0") not in ("0", "1"):
        new["vmgenid"] = vmgenid
    new["parent"] = name
    if "description" in file.current:
        new["description"] = file.current["description"]
    used = {image_of(volume.file) for volume in disks_of(new).values()}
    left = [v.split(",", 1)[0] for k, v in sorted(file.current.items()) if is_unused(k)]
    left += [volume.file for volume in disks_of(file.current).values()]
    return dataclasses.replace(
        file, current=with_unused(new, [v for v in left if image_of(v) not in used]), pending={}, pending_delete={}
    )


def with_unused(texts: Mapping[str, str], volumes: Iterable[str]) -> Texts:
    """The texts with volumes that nothing uses, each under a free `unusedN`."""
    found = dict(texts)
    for volume in dict.fromkeys(volumes):
        if volume not in {v.split(",", 1)[0] for k, v in found.items() if is_unused(k)}:
            free = next(i for i in range(256) if f"unused{i}" not in found)
            found[f"unused{free}"] = volume
    return found


def marked(file: GuestFile, name: str) -> GuestFile:
    """The file with a snapshot that is about to go."""
    texts = {**section(file, name), "snapstate": DELETING}
    return dataclasses.replace(file, snapshots={**file.snapshots, name: texts})


def without(file: GuestFile, name: str) -> GuestFile:
    """The file without a snapshot: those that stood on it stand on its parent now, and disks that only it knew become
    unused."""
    gone = section(file, name)
    parent = gone.get("parent")

    def moved(texts: Texts) -> Texts:
        if texts.get("parent") != name:
            return texts
        rest = {k: v for k, v in texts.items() if k != "parent"}
        return {**rest, "parent": parent} if parent else rest

    snapshots = {n: moved(t) for n, t in file.snapshots.items() if n != name}
    current = moved(file.current)
    sections = (current, file.pending, *snapshots.values())
    known = {image_of(volume.file) for texts in sections for volume in disks_of(texts).values()}
    lost = [volume.file for volume in disks_of(gone).values() if image_of(volume.file) not in known]
    return dataclasses.replace(file, current=with_unused(current, lost), snapshots=snapshots)


def described(file: GuestFile, name: str, text: str) -> GuestFile:
    """The file with another description of a snapshot."""
    texts = {k: v for k, v in section(file, name).items() if k != "description"}
    if text:
        texts["description"] = text
    return dataclasses.replace(file, snapshots={**file.snapshots, name: texts})


def check_usable(file: GuestFile, name: str) -> Texts:
    """The section of a snapshot that can be rolled back to. Raises NotFound, WrongState for one that is going away."""
    texts = section(file, name)
    if texts.get("snapstate") == DELETING:
        raise WrongState(
            f"snapshot '{name}' is being removed",
            code="snapshot-half-removed",
            cause="its removal has begun and did not end; disks of it may be merged already",
            evidence=f"snapstate: {DELETING}",
            fixes=[Fix(text="finish removing it", action=f"DELETE .../snapshot/{name}")],
        )
    return texts


def rows(file: GuestFile, *, digest: str, running: bool) -> list[dict[str, Any]]:
    """The list as Proxmox gives it, oldest first and `current` last."""
    found = []
    for name, texts in sorted(file.snapshots.items(), key=lambda item: (int(item[1].get("snaptime", "0")), item[0])):
        row: dict[str, Any] = {
            "name": name,
            "snaptime": int(texts.get("snaptime", "0")),
            "vmstate": int("vmstate" in texts),
            "description": texts.get("description", ""),
        }
        row |= {key: texts[key] for key in ("parent", "snapstate") if key in texts}
        found.append(row)
    now: dict[str, Any] = {
        "name": CURRENT, "digest": digest, "running": int(running), "description": "You are here!"
    }  # fmt: skip
    if "parent" in file.current:
        now["parent"] = file.current["parent"]
    return [*found, now]


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, str]]:
    """The keys that differ, each with `from` and `to` where it has a value; without what every snapshot has anew (its
    description, too, is of the snapshot and not of the guest)."""
    skip = _OF_THE_MOMENT | _OF_THE_STATE | {"parent"}
    found = []
    for key in sorted({*old, *new} - skip):
        if old.get(key) != new.get(key):
            row = {"key": key}
            row |= {word: texts[key] for word, texts in (("from", old), ("to", new)) if key in texts}
            found.append(row)
    return found
