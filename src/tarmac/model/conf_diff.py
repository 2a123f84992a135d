"""What differs between two configurations of a guest, and what would bring one of them back. Pure.

A change is `{"key": "memory", "old": "512", "new": "1024"}`; a side that has no value is left out, secrets are masked.
`section` says where it stands unless in the active configuration: `pending`, or `snapshot`, whose key is the name of
a whole snapshot that came or went.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tarmac.model.conf_file import GuestFile
from tarmac.model.disk import Disk
from tarmac.model.parse import parse_value, split_property_string
from tarmac.model.settings import find_setting
from tarmac.model.vm import VmConfig
from tarmac.model.vm_change import is_drive

MASK = "**********"
DELETED = "(deleted)"
# What is made by verbs of its own, or follows from other keys, is no part of going back.
_NOT_RESTORED = frozenset({"template", "vmgenid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """One key that differs; None: no value on that side."""

    key: str
    old: str | None
    new: str | None
    section: str = ""

    def row(self) -> dict[str, Any]:
        """As it is shown: secrets masked."""
        secret = _is_secret(self.key)
        found: dict[str, Any] = {"key": self.key}
        if self.section:
            found["section"] = self.section
        for side, text in (("old", self.old), ("new", self.new)):
            if text is not None:
                found[side] = MASK if secret else text
        return found


def changes(old: GuestFile, new: GuestFile) -> list[KeyChange]:
    """What is different in `new`, in order of section and key."""
    found = _between(old.current, new.current, "")
    found += _between(_waiting(old), _waiting(new), "pending")
    for name in sorted(old.snapshots.keys() ^ new.snapshots.keys()):
        was, now = name in old.snapshots, name in new.snapshots
        found.append(
            KeyChange(key=name, section="snapshot", old="there" if was else None, new="there" if now else None)
        )
    return found


def _between(old: Mapping[str, str], new: Mapping[str, str], section: str) -> list[KeyChange]:
    return [
        KeyChange(key=key, old=old.get(key), new=new.get(key), section=section)
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _waiting(file: GuestFile) -> dict[str, str]:
    return dict(file.pending) | dict.fromkeys(file.pending_delete, DELETED)


def restorable(key: str) -> bool:
    """Whether a key can be brought back by a change of the configuration."""
    found = find_setting(VmConfig, key)
    return found is not None and not found[0].limits.internal and not key.startswith("unused") and (
        key not in _NOT_RESTORED
    )  # fmt: skip


def to_restore(
    present: Mapping[str, str], wanted: Mapping[str, str], keys: Iterable[str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """The keys to set and to delete so that `present` becomes `wanted` (both as the next start would have them), of
    `keys` or of all that can be brought back. Volumes are attached and detached, never made or removed, except a
    cloud-init medium, which is made anew; a disk keeps the size that it has now."""
    chosen = set(present) | set(wanted) if keys is None else set(keys)
    texts: dict[str, str] = {}
    deletes: list[str] = []
    for key in sorted(chosen):
        if not restorable(key) or present.get(key) == wanted.get(key):
            continue
        if key not in wanted:
            deletes.append(key)
        elif (text := _wanted(key, wanted[key], present.get(key))) is not None:
            texts[key] = text
    return texts, deletes


def _wanted(key: str, text: str, present: str | None) -> str | None:
    """The text to set, None where nothing but a disk's size differs."""
    if not is_drive(key):
        return text
    disk = _disk(key, text)
    now = _disk(key, present) if present is not None else None
    same = now is not None and now.file == disk.file
    if disk.is_cloudinit and not same:
        return f"{disk.file.partition(':')[0]}:cloudinit"
    if same and present is not None and _without_size(text) == _without_size(present):
        return None
    return text


def _disk(key: str, text: str) -> Disk:
    found = find_setting(VmConfig, key)
    assert found is not None
    disk: Disk = parse_value(found[0], text, lenient=True)
    return disk


def _without_size(text: str) -> dict[str, str]:
    return {key: value for key, value in split_property_string(Disk, text).items() if key != "size"}


def _is_secret(key: str) -> bool:
    found = find_setting(VmConfig, key)
    return found is not None and found[0].limits.secret
