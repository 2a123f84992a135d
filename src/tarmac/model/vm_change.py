"""What a change of configuration does, decided before anything is touched: pure, and the same for plan and execution.

A key that may change while the guest runs goes into the active section, everything else waits in `[PENDING]` for the
next cold boot. Volumes are never lost on the way: a disk that is replaced or taken out becomes `unusedN`; only
deleting `unusedN`, deleting a disk by force, or a cloud-init medium (which can be made again) gives a volume up.
Source of the rules: update_vm_api and vmconfig_* of PVE::QemuServer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tarmac.model.devices import Agent
from tarmac.model.disk import BUS_COUNTS
from tarmac.model.errors import InvalidInput
from tarmac.model.parse import UNKNOWN, parse_value
from tarmac.model.settings import find_setting
from tarmac.model.vm import VmConfig

HIDDEN = "**********"
CLOUDINIT = "cloudinit"
ALWAYS_LIVE = frozenset({"any", CLOUDINIT})
_DRIVE = re.compile(rf"({'|'.join(BUS_COUNTS)})\d+")
_UNUSED = re.compile(r"unused\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Why a change is not in force at once, in a sentence for people."""

    reason: str


AT_START = Late(reason="QEMU is told of it only when it starts")
ON_MEDIUM = Late(reason="the guest reads it from its cloud-init medium, which is written anew before its next start")


@dataclass(slots=True, kw_only=True)
class Change:
    """The sections of the configuration after a change, what it gives up, and what must happen in the running guest."""

    current: dict[str, str]
    pending: dict[str, str]
    pending_delete: dict[str, bool]
    live: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    reasons: dict[str, Late] = field(default_factory=dict)

    def effects(self, before: Mapping[str, str]) -> tuple[str, ...]:
        """Lines for people: old value, new value, at once or at the next start."""
        late = {"now": "", "reboot": " at the next cold boot"}
        lines = [
            f"{row['key']}: {row.get('old', '(default)')} -> {row.get('new', '(default)')}{late[row['when']]}"
            for row in self.rows(before)
        ]
        return (*lines, *(f"{volid} is removed and lost" for volid in self.freed))

    def rows(self, before: Mapping[str, str]) -> tuple[dict[str, str], ...]:
        """One for each changed key: `key`, `old`, `new` (left out where it stands at its default) and `when`: `now`, or
        `reboot` for what a reboot from outside, or a stop and a start, brings into force (a reboot that the system
        inside does by itself does not), with the `reason`. Secrets are hidden."""
        found = list[dict[str, str]]()
        for when, keys, after in (("now", self.live, self.current), ("reboot", self.waits, self.pending)):
            for key in keys:
                texts = {"old": before.get(key), "new": after.get(key)}
                told = {name: _told(key, text) for name, text in texts.items() if text is not None}
                late = self.reasons.get(key) or (AT_START if when == "reboot" else None)
                found.append(
                    {"key": key, **told, **({"when": "reboot", "reason": late.reason} if late else {"when": when})}
                )
        return tuple(found)


def _told(key: str, text: str) -> str:
    found = find_setting(VmConfig, key)
    return HIDDEN if found is not None and found[0].limits.secret else text


def is_drive(key: str) -> bool:
    """Whether a key names a disk or CD-ROM drive."""
    return _DRIVE.fullmatch(key) is not None


def is_device(key: str) -> bool:
    """Whether a key names a disk, a CD-ROM drive or a network card."""
    return is_drive(key) or re.fullmatch(r"net\d+", key) is not None


def change_config(
    *,
    current: Mapping[str, str],
    pending: Mapping[str, str],
    pending_delete: Mapping[str, bool],
    running: bool,
    set_: Mapping[str, str],
    delete: Iterable[str] = (),
    revert: Iterable[str] = (),
    live_keys: Iterable[str] = (),
    reasons: Mapping[str, Late] | None = None,
    force: bool = False,
) -> Change:
    """The outcome of setting, deleting and reverting keys. `live_keys`: keys that the caller can change in the running
    guest although their class does not say so (a CD-ROM's medium). `reasons`: why others of them have to wait. `force`:
    deleted disks lose their volumes, too.

    Raises InvalidInput for an unknown key to delete and a key both set and deleted."""
    deletes = list(dict.fromkeys(delete))
    _check(set_, deletes, current, pending)
    change = Change(current=dict(current), pending=dict(pending), pending_delete=dict(pending_delete))
    change.reasons |= reasons or {}
    for key in revert:
        change.pending.pop(key, None)
        change.pending_delete.pop(key, None)
    at_once = set(live_keys)
    for key, text in set_.items():
        change.pending_delete.pop(key, None)
        if change.current.get(key) == text:
            change.pending.pop(key, None)
        elif not running or key in at_once or _is_live(key, change.current.get(key), text):
            change.pending.pop(key, None)
            apply_set(change, key, text)
            change.live.append(key)
        else:
            change.pending[key] = text
            change.waits.append(key)
    for key in deletes:
        change.pending.pop(key, None)
        if key not in change.current:
            continue
        if not running or key in at_once or _is_live(key, change.current[key], None):
            apply_delete(change, key, force=force)
            change.live.append(key)
        else:
            change.pending_delete[key] = force or change.pending_delete.get(key, False)
            change.waits.append(key)
    return change


def apply_pending(current: Mapping[str, str], pending: Mapping[str, str], pending_delete: Mapping[str, bool]) -> Change:
    """What a cold boot makes of the pending section: all of it comes into force."""
    change = Change(current=dict(current), pending={}, pending_delete={})
    for key, force in pending_delete.items():
        if key in change.current:
            apply_delete(change, key, force=force)
    for key, text in pending.items():
        apply_set(change, key, text)
    return change


def apply_set(change: Change, key: str, text: str) -> None:
    """Put a key into the active section; the volume that it replaces becomes unused."""
    if is_drive(key) and key in change.current and _volume(key, change.current[key]) != _volume(key, text):
        _keep_volume(change, key)
    if _UNUSED.fullmatch(key) is None:
        _claim_unused(change, _volume(key, text))
    change.current[key] = text


def apply_delete(change: Change, key: str, *, force: bool = False) -> None:
    """Take a key out of the active section; see the module's rule on volumes."""
    if _UNUSED.fullmatch(key) is not None:
        change.freed.append(change.current[key].split(",", 1)[0])
    elif is_drive(key):
        _keep_volume(change, key, force=force)
    change.current.pop(key, None)


def _keep_volume(change: Change, key: str, *, force: bool = False) -> None:
    setting = find_setting(VmConfig, key)
    assert setting is not None
    disk = parse_value(setting[0], change.current[key], lenient=True)
    if disk.volume is None:
        return
    if disk.is_cloudinit or (force and not disk.is_cdrom):
        change.freed.append(disk.file)
    elif not disk.is_cdrom:
        free = next(i for i in range(256) if f"unused{i}" not in change.current)
        change.current[f"unused{free}"] = disk.file


def _claim_unused(change: Change, volume: str | None) -> None:
    """A volume that is attached again is unused no longer."""
    for key in [k for k, v in change.current.items() if _UNUSED.fullmatch(k) and v.split(",", 1)[0] == volume]:
        del change.current[key]


def _volume(key: str, text: str) -> str | None:
    if not is_drive(key):
        return None
    setting = find_setting(VmConfig, key)
    assert setting is not None
    file: str = parse_value(setting[0], text, lenient=True).file
    return file


def is_cloudinit_key(key: str) -> bool:
    """Whether the guest learns of a key by its cloud-init medium."""
    found = find_setting(VmConfig, key)
    return found is not None and found[0].limits.hotplug == CLOUDINIT


def _is_live(key: str, old: str | None, new: str | None) -> bool:
    """Whether a running guest has the new value (None: the default) when it is written: its class says so, and no
    device comes or goes by it that can do so only when QEMU starts. Source: vmconfig_hotplug_pending,
    vmconfig_update_agent."""
    found = find_setting(VmConfig, key)
    if found is None or found[0].limits.hotplug not in ALWAYS_LIVE:
        return False
    setting, _ = found
    if key == "balloon":
        return (old == "0") == (new == "0")
    if key == "agent":
        agents = [setting.default if t is None else parse_value(setting, t, lenient=True) for t in (old, new)]
        channels = [(a.enabled, a.type) if isinstance(a, Agent) and a.enabled else None for a in agents]
        return channels[0] == channels[1]
    return True


def _check(
    set_: Mapping[str, str], deletes: Iterable[str], current: Mapping[str, str], pending: Mapping[str, str]
) -> None:
    problems: dict[str, str] = {}
    for key in deletes:
        if key in set_:
            problems[key] = "duplicate parameter: the same key is set and deleted"
        elif find_setting(VmConfig, key) is None and key not in current and key not in pending:
            problems["delete"] = f"unknown key '{key}' - {UNKNOWN}"
    if problems:
        raise InvalidInput(
            "Parameter verification failed.",
            evidence="; ".join(f"{k}: {v}" for k, v in problems.items()),
            parameters=problems,
        )
