"""What a command prints: tables for people, JSON and YAML for programs.

Guests supply names, addresses and agents' replies, so control characters are taken out of everything that may reach a
terminal: a guest must not be able to move the cursor or to rename the window. JSON and YAML escape them.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

# C0, DEL, C1, and what turns the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

COLUMNS: dict[str, tuple[str, ...]] = {
    "vm list": ("vmid", "name", "status", "cpus", "maxmem", "uptime", "lock", "tags"),
    "vm pending": ("key", "value", "pending", "delete"),
    "vm history": ("revision", "time", "user", "changes"),
    "vm diff": ("section", "key", "old", "new"),
    "history list": ("id", "time", "user", "what"),
    "vm bulk": ("vmid", "outcome", "status"),
    "node list": ("node", "status", "cpu", "maxcpu", "mem", "maxmem", "uptime"),
    "storage list": ("storage", "type", "content", "active", "used", "avail", "total"),
    "storage content": ("volid", "content", "format", "size", "vmid", "ctime"),
    "vm snapshots": ("name", "parent", "snaptime", "vmstate", "used", "merges", "description"),
    "storage uploads": ("upload", "content", "filename", "size", "offset", "expires"),
    "audit list": ("time", "user", "method", "path", "status", "error"),
    "image list": ("volid", "format", "size", "ctime"),
    "task list": ("starttime", "endtime", "user", "type", "id", "status", "upid"),
    "user list": ("userid", "enable", "expire", "comment"),
    "zone list": ("zone", "type", "dhcp", "mtu", "nodes", "state"),
    "vnet list": ("vnet", "zone", "alias", "state"),
    "subnet list": ("subnet", "cidr", "gateway", "dhcp-range", "dhcp-dns-server", "state"),
    "vnet addresses": ("vnet", "ip", "mac", "vmid", "hostname", "gateway", "expires"),
    "token list": ("tokenid", "privsep", "expire", "comment"),
}
_BYTES = {"mem", "maxmem", "disk", "maxdisk", "size", "used", "avail", "total", "free", "netin", "netout", "diskread"}
_BYTES |= {"diskwrite", "balloon_min", "freemem", "merges", "balloon", "reserve", "committed", "claimed", "growth"}
_BYTES |= {"offset"}
_TIMES = {"time", "ctime", "starttime", "endtime", "snaptime", "last", "created", "expires", "expire"}
_ORDER = {"vm list": "vmid"}  # the API lists guests as they came
_GAP = "  "
_FIRST = ("vmid", "name", "id", "node", "storage", "key", "status")


def clean(text: str, *, lines: bool = False) -> str:
    """`text` without control characters; with `lines`, line ends and tabs stay."""
    text = _CONTROL.sub("", text)
    return text if lines else text.replace("\n", " ").replace("\t", " ")


def show(data: Any, output: str, words: str = "", stream: TextIO | None = None) -> None:
    """Print a reply's `data` in the form asked for; nothing at all for None in a table."""
    stream = stream or sys.stdout
    if words in _ORDER and isinstance(data, list):
        data = sorted(data, key=lambda row: row.get(_ORDER[words], 0))
    if output == "json":
        stream.write(json.dumps(data, indent=2) + "\n")
    elif output == "yaml":
        import yaml

        stream.write(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    elif (text := table(data, words)) != "":
        stream.write(text + "\n")


def table(data: Any, words: str = "") -> str:
    """`data` for people: a list of objects as rows, one object as key and value, anything else as its text."""
    if data is None:
        return ""
    if isinstance(data, list):
        if data and all(isinstance(row, dict) for row in data):
            if words == "node attention":
                return problems(data)
            return rows(data, COLUMNS.get(words) or _columns(data))
        return "\n".join(cell("", item) for item in data)
    if isinstance(data, dict):
        told = {key: value for key, value in data.items() if value != []}
        width = max((len(clean(str(key))) for key, value in told.items() if not _is_rows(value)), default=0)
        return "\n".join(_entry(str(key), value, width) for key, value in told.items())
    return clean(str(data), lines=True)


def _entry(key: str, value: Any, width: int) -> str:
    """One key with its value; a list of objects as a table of its own below it."""
    if _is_rows(value):
        inner = rows(value, _columns(value)).replace("\n", "\n  ")
        return f"{clean(key)}\n  {inner}"
    if key in ("error", "refusal") and isinstance(value, dict) and value.get("message"):
        return "\n  ".join([key, *problem(value).splitlines()])
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        if any(" " in one for one in value):
            return "\n  ".join([clean(key), *(clean(one) for one in value)])
        return f"{clean(key):{width}}  {clean(', '.join(value))}"
    return f"{clean(key):{width}}  {cell(key, value)}"


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and row for row in value)


def problem(record: Mapping[str, Any], head: str = "Error") -> str:
    """One error or finding with its cause and what helps."""
    from tarmac.faces.cli.errors import from_record, text_of

    error = from_record(record)
    kind, _, vmid = str(record.get("object", "")).partition("/")
    if kind == "qemu":
        error.about(vmid)
    return clean(text_of(error, head), lines=True)


def problems(data: Sequence[Mapping[str, Any]]) -> str:
    """What somebody should look at."""
    return "\n".join(problem(row, f"{str(row['severity']).capitalize()} ({row['object']})") for row in data)


def rows(data: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A plain table with aligned columns: numbers to the right, empty columns left out."""
    shown = [name for name in columns if any(row.get(name) not in (None, "") for row in data)]
    cells = [[cell(name, row.get(name)) for name in shown] for row in data]
    widths = [max(len(name), *(len(line[place]) for line in cells)) for place, name in enumerate(shown)]
    right = [
        all(isinstance(row.get(name), (int, float)) for row in data if row.get(name) is not None) for name in shown
    ]
    adjust: list[Callable[[str, int], str]] = [str.rjust if to_right else str.ljust for to_right in right]
    parts = _parts(widths, _columns_of_terminal())
    return "\n".join(
        (_GAP * 2 if number else "")
        + _GAP.join(adjust[place](line[place], widths[place]) for place in range(first, end)).rstrip()
        for line in [[clean(name.upper()) for name in shown], *cells]
        for number, (first, end) in enumerate(parts)
    )


def _parts(widths: Sequence[int], room: int | None) -> list[tuple[int, int]]:
    """Which columns stand on one line (first, and behind the last): what finds no room goes to the next, set in."""
    parts, first, used = [], 0, 0
    for place, width in enumerate(widths):
        if room is not None and place > first and used + width > room:
            parts.append((first, place))
            first, used = place, 2 * len(_GAP)
        used += width + len(_GAP)
    return [*parts, (first, len(widths))]


def _columns_of_terminal() -> int | None:
    """None where the output is no terminal: a program's lines are never broken."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return None


def cell(name: str, value: Any) -> str:
    """One value for people: sizes and times in readable units, the rest as it is, without control characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if name in _BYTES:
            return size(value)
        if name in ("uptime", "full-in"):
            return duration(value) if value else ""
        if name in _TIMES:
            if not value:
                return "never" if name == "expire" else ""
            return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
        if name == "cpu":
            return f"{value * 100:.1f}%"
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, dict) and not any(isinstance(one, (dict, list)) for one in value.values()):
        return "  ".join(f"{clean(str(key))}={cell(str(key), one)}" for key, one in value.items())
    if name == "changes" and isinstance(value, list):
        return ", ".join(_change(one) for one in value)
    if isinstance(value, (dict, list)):
        return clean(json.dumps(value))
    return clean(str(value))


def _change(row: Mapping[str, Any]) -> str:
    """`memory 512 -> 1024`, `-scsi1`, `+net1`; what waits for the next start or is a snapshot says so."""
    where = f"{row['section']} " if row.get("section") else ""
    key = clean(f"{where}{row.get('key', '')}")
    if "old" in row and "new" in row:
        return clean(f"{key} {row['old']} -> {row['new']}")
    return f"+{key}" if "new" in row else f"-{key}"


def size(value: float) -> str:
    """Bytes in the largest unit that leaves a number of at least one."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return (
                f"{value:.0f} {unit}" if unit == "B" or value >= 100 or value == int(value) else f"{value:.1f} {unit}"
            )
        value /= 1024
    return f"{value:.1f} TiB"


def duration(seconds: float) -> str:
    """A length of time, in its two largest units."""
    left = int(seconds)
    if left < 60:
        return f"{left}s"
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if left >= length:
            return f"{left // length}{unit} {left % length // part}{smaller}"
    return ""


def _columns(data: Sequence[Mapping[str, Any]]) -> list[str]:
    plain = {key: None for row in data for key, value in row.items() if not isinstance(value, (dict, list))}
    return sorted(plain, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
