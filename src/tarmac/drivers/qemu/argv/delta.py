"""What a running QEMU must be given or rid of to become what a new configuration describes. Pure.

Both configurations are built as command lines; what differs is what must be plugged and unplugged. So a hotplugged
device is, word for word, the device of the next cold boot. Anything else that differs (memory, CPU, a bridge of the
PCI tree) means that the change has to wait.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tarmac.drivers.qemu.argv.draft import Launch, SetupCommand

_PAIRS = ("-object", "-blockdev", "-netdev", "-device")
PLUGGABLE = ("virtio-blk-pci", "scsi-hd", "scsi-cd", "virtio-scsi-pci", "virtio-net-pci", "e1000", "e1000e", "rtl8139", "vmxnet3")  # fmt: skip # noqa: E501
_CDROMS = ("ide-cd", "scsi-cd")


@dataclass(slots=True, kw_only=True)
class Delta:
    """In the order of doing: take out, change, put in. Parts are (option, text) as on the command line.

    media: CD-ROM drives that stay while their medium changes, by device id; limits: new limits by throttle group."""

    removed: list[tuple[str, str]] = field(default_factory=list)
    added: list[tuple[str, str]] = field(default_factory=list)
    media: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    commands: list[SetupCommand] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether a running guest can be given all of it."""
        return not self.waits

    def devices(self, parts: list[tuple[str, str]]) -> list[str]:
        """The ids of the devices among parts."""
        return [identity(option, text) for option, text in parts if option == "-device"]


def delta(old: Launch, new: Launch) -> Delta:
    """The difference; `waits` names what cannot be changed in a running guest."""
    # How a guest is started (`-S`: wait for the set-up commands) is no part of what it is.
    before, after = ([part for part in parts_of(launch.argv) if part[0] != "-S"] for launch in (old, new))
    found = Delta()
    gone = {part: None for part in before if part not in set(after)}
    come = {part: None for part in after if part not in set(before)}
    by_id = {(o, identity(o, t)): (o, t) for o, t in gone}
    for option, text in list(come):
        previous = by_id.get((option, identity(option, text)))
        if previous is not None and _changes_in_place(found, option, previous[1], text):
            del gone[previous], come[option, text]
    exchanged = _exchanged(found, gone, after)
    gone = {part: None for part in before if part in gone or part in exchanged}
    come = {part: None for part in after if part in come or part in exchanged}
    for option, text in [*gone, *come]:
        if option == "-device" and text.split(",", 1)[0] not in PLUGGABLE:
            found.waits.append(text.split(",", 1)[0])
        elif option not in _PAIRS:
            found.waits.append(f"{option} {text}")
    # A device goes before what it stands on: the reverse of the order in which it came.
    found.removed = list(reversed(gone))
    found.added = list(come)
    found.commands = [c for c in new.setup if c.command == "set_link" and c not in old.setup]
    undone = [c for c in old.setup if c.command == "set_link" and c not in new.setup]
    kept = {identity(o, t) for o, t in after if o == "-netdev"}
    found.commands += [
        SetupCommand(command="set_link", arguments={"name": c.arguments["name"], "up": True})
        for c in undone
        if c.arguments["name"] in kept
    ]
    return found


def identity(option: str, text: str) -> str:
    """The id (or node name) in an option's text, "" when it has none."""
    if text.startswith("{"):
        record = json.loads(text)
        return str(record.get("id") or record.get("node-name") or "")
    return next((word[3:] for word in text.split(",") if word.startswith("id=")), "")


def _changes_in_place(found: Delta, option: str, old: str, new: str) -> bool:
    """Throttle limits and CD-ROM media change without the device going away."""
    if option == "-object" and new.startswith("{") and '"throttle-group"' in new:
        found.limits[identity(option, new)] = json.loads(new)["limits"]
        return True
    if option == "-device" and new.split(",", 1)[0] in _CDROMS and _without_drive(old) == _without_drive(new):
        found.media[identity(option, new)] = _option(new, "drive")
        return True
    return False


def _exchanged(found: Delta, gone: Collection[tuple[str, str]], after: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The parts that read the same as before but stand on something that goes: another disk in the same place."""
    leaving = {identity(o, t) for o, t in gone} - {""}
    parts: set[tuple[str, str]] = set()
    for option, text in after:
        if (option, text) in gone or option not in _PAIRS or not leaving & _uses(text):
            continue
        if option == "-device" and text.split(",", 1)[0] in _CDROMS:
            found.media.setdefault(identity(option, text), _option(text, "drive"))
            continue
        if identity(option, text) not in leaving:
            leaving.add(identity(option, text))
            parts.add((option, text))
    return parts


def _uses(text: str) -> set[str]:
    """The ids of the nodes, groups and back ends that a part is put on."""
    if text.startswith("{"):
        record = json.loads(text)
        return {value for key in ("file", "backing", "throttle-group") if isinstance(value := record.get(key), str)}
    return {_option(text, "drive"), _option(text, "netdev")} - {""}


def _option(text: str, name: str) -> str:
    return next((word.partition("=")[2] for word in text.split(",") if word.startswith(f"{name}=")), "")


def _without_drive(text: str) -> list[str]:
    return [word for word in text.split(",") if not word.startswith("drive=")]


def parts_of(argv: Sequence[str]) -> list[tuple[str, str]]:
    """The command line as (option, value) pairs; an option without a value has an empty one."""
    parts: list[tuple[str, str]] = []
    words = list(argv[1:])
    while words:
        option = words.pop(0)
        value = words.pop(0) if words and (not words[0].startswith("-") or option in ("-object",)) else ""
        parts.append((option, value))
    return parts
