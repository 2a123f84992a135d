"""The text form of a guest's configuration, Proxmox's `qemu-server/ID.conf`: parsed and printed without loss.

    #a description, percent-encoded, one comment per line
    cores: 2
    scsi0: local:100/vm-100-disk-0.qcow2,size=32G

    [PENDING]                     what waits for the next cold start; `delete:` names the keys that go (`!` by force)
    [special:cloudinit]           what the cloud-init medium was made from
    [before-upgrade]              a snapshot: the configuration as it was

Keys stand in byte order, sections as pending, special, snapshots, the way Proxmox writes them. For a text that
Proxmox wrote, `print_conf(parse_conf(text)) == text`. Source: parse_vm_config, write_vm_config of PVE::QemuServer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from tarmac.model.errors import InvalidInput
from tarmac.model.parse import UNKNOWN, list_items, stored_value
from tarmac.model.settings import find_setting
from tarmac.model.vm import VmConfig

Texts = dict[str, str]
_SPACE = " \t\r\f\v"
_KEY = re.compile(r"([a-z][a-z_-]*[0-9]*):(.*)")
_SECTION = re.compile(r"\[([^\]]*)\]")
_SNAPSHOT = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]+")
_SPECIAL = ("cloudinit", "fleecing")
# Proxmox encodes everything but these, percent signs excepted; `:` too, lest a comment look like a key.
_PLAIN = frozenset(range(0x20, 0x7F)) - {0x3A}
# Half a character: no file can hold it. (U+DC80 to U+DCFF stand for bytes that are no UTF-8, and can be written.)
_HALF = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class ConfProblem:
    """One line that could not be taken as it stands."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key}: {self.text}" if self.key else f"line {self.line}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class GuestFile:
    """The sections of a configuration as texts by key; `description` stands decoded.

    pending_delete gives each key that goes at the next cold start, and whether by force (its volume too).
    comments keeps descriptions as they were written where Proxmox's own encoding would not give the same bytes."""

    current: Texts = field(default_factory=dict)
    pending: Texts = field(default_factory=dict)
    pending_delete: dict[str, bool] = field(default_factory=dict)
    snapshots: dict[str, Texts] = field(default_factory=dict)
    special: dict[str, Texts] = field(default_factory=dict)
    problems: tuple[ConfProblem, ...] = ()
    comments: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def merged(self) -> Texts:
        """The configuration as it will be once what is pending is applied."""
        kept = {key: text for key, text in self.current.items() if key not in self.pending_delete}
        return {**kept, **self.pending}


def digest(text: str) -> str:
    """Proxmox's digest of a configuration: SHA-1 of the file's bytes, as hex."""
    return hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def parse_conf(text: str, *, lenient: bool = False) -> GuestFile:
    """The text of a configuration file by sections.

    Raises InvalidInput that names every wrong line by number and key. lenient: does not raise; wrong values and
    unknown keys are kept, lines of no form are dropped, and all are named in `problems`."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        reader.take(number, line)
    reader.finish_description()
    if reader.problems and not lenient:
        raise InvalidInput(
            "cannot parse the guest configuration",
            code="configuration-unreadable",
            cause=f"{len(reader.problems)} line(s) are not what a qemu-server configuration may hold",
            evidence="; ".join(str(p).replace("\n", " ") for p in reader.problems),
            parameters={p.key or f"line {p.line}": f"line {p.line}: {p.text}" for p in reader.problems},
        )
    return reader.file()


def print_conf(file: GuestFile) -> str:
    """The file's text in Proxmox's order. Raises InvalidInput for a value that no line can hold (a line break, outer
    white space, nothing at all), so that no value can smuggle in a second key."""
    parts = ["".join(_print_section(file, "", file.current))]
    if file.pending or file.pending_delete:
        pending = dict(file.pending)
        if file.pending_delete:
            pending["delete"] = ",".join(("!" if force else "") + key for key, force in file.pending_delete.items())
        parts.append("\n[PENDING]\n" + "".join(_print_section(file, "PENDING", pending)))
    for name, texts in sorted(file.special.items()):
        parts.append(f"\n[special:{name}]\n" + "".join(_print_section(file, f"special:{name}", texts)))
    for name, texts in sorted(file.snapshots.items()):
        if not _SNAPSHOT.fullmatch(name) or name.lower() == "pending":
            raise InvalidInput.of("snapname", f"'{name}' cannot be a snapshot's name")
        parts.append(f"\n[{name}]\n" + "".join(_print_section(file, name, texts)))
    return "".join(parts)


class _Reader:
    """One pass over the lines; `_texts` is the section that is being filled, None within an unknown one."""

    def __init__(self) -> None:
        self.problems: list[ConfProblem] = []
        self._current: Texts = {}
        self._pending: Texts = {}
        self._pending_delete: dict[str, bool] = {}
        self._snapshots: dict[str, Texts] = {}
        self._special: dict[str, Texts] = {}
        self._comments: dict[str, tuple[str, ...]] = {}
        self._texts: Texts | None = self._current
        self._section = ""
        self._seen: set[str] = set()
        self._description: list[str] | None = None

    def file(self) -> GuestFile:
        return GuestFile(
            current=self._current,
            pending=self._pending,
            pending_delete=self._pending_delete,
            snapshots=self._snapshots,
            special=self._special,
            problems=tuple(self.problems),
            comments=self._comments,
        )

    def take(self, number: int, line: str) -> None:
        stripped = line.rstrip(_SPACE)
        if not stripped:
            return
        if _HALF.search(stripped):
            self._complain(number, "", "not a Unicode text")
            return
        if (section := _SECTION.fullmatch(stripped)) is not None:
            self.finish_description()
            self._open(number, section[1])
        elif self._texts is None:
            return
        elif stripped.startswith("#"):
            self._description = [*(self._description or []), line[1:]]
        elif (pair := _KEY.fullmatch(stripped)) is not None and pair[2].strip(_SPACE):
            self._put(number, pair[1], pair[2].strip(_SPACE))
        else:
            key = pair[1] if pair is not None else ""
            self._complain(number, key, "no value" if key else f"unable to parse config: {stripped[:200]}")

    def finish_description(self) -> None:
        if self._description is None or self._texts is None:
            return
        decoded = "\n".join(decode_text(line) for line in self._description).rstrip(_SPACE + "\n")
        if decoded or self._section == "PENDING":  # elsewhere an empty one is none, as Proxmox writes it
            self._texts["description"] = decoded
        written = tuple(self._description)
        if written != tuple(encode_text(line) for line in decoded.split("\n")):
            self._comments[self._section] = written
        self._description = None

    def _open(self, number: int, name: str) -> None:
        folded = name.lower() if name.lower() == "pending" or name.lower().startswith("special:") else name
        if folded in self._seen:
            self._complain(number, "", f"duplicate section [{name}]")
        self._seen.add(folded)
        if folded == "pending":
            self._section, self._texts = "PENDING", self._pending
        elif folded.startswith("special:") and folded[8:] in _SPECIAL:
            self._section, self._texts = folded, self._special.setdefault(folded[8:], {})
        elif _SNAPSHOT.fullmatch(name):
            self._section, self._texts = name, self._snapshots.setdefault(name, {})
        else:
            self._complain(number, "", f"unknown section [{name}]")
            self._texts = None

    def _put(self, number: int, key: str, text: str) -> None:
        assert self._texts is not None
        if key == "delete":
            self._delete(number, text)
            return
        if key == "description":
            self._description = [*(self._description or []), text]
            return
        if key in self._texts:
            self._complain(number, key, "stands twice")
        if self._section.startswith("special:") or (key == "snapstate" and self._section in self._snapshots):
            self._texts[key] = text
            return
        if (reason := _wrong(key, text)) is not None:
            self._complain(number, key, reason)
        self._texts[_RENAMED.get(key, key)] = text

    def _delete(self, number: int, text: str) -> None:
        if self._section != "PENDING":
            self._complain(number, "delete", "property 'delete' is only allowed in [PENDING]")
            return
        for item in list_items(text):
            key = item.removeprefix("!")
            if find_setting(VmConfig, key) is None:
                self._complain(number, "delete", f"{key}: {UNKNOWN}")
            self._pending_delete[key] = item.startswith("!")

    def _complain(self, number: int, key: str, text: str) -> None:
        self.problems.append(ConfProblem(number, key, text))


# Proxmox itself writes an old name under its new one at the next change.
_RENAMED: Mapping[str, str] = {"cdrom": "ide2", "smp": "sockets"}


def _wrong(key: str, text: str) -> str | None:
    """Why a line is not acceptable, or None."""
    found = find_setting(VmConfig, key)
    if found is None:
        return UNKNOWN
    try:
        stored_value(found[0], text)
    except ValueError as problem:
        return str(problem)
    return None


def _print_section(file: GuestFile, section: str, texts: Texts) -> Iterator[str]:
    description = texts.get("description")
    if description:
        _check_unicode("description", description)
        for line in _comment_lines(file, section, description):
            yield f"#{line}\n"
    elif description is not None and section == "PENDING":
        yield "#\n"  # Proxmox: the description is to become empty
    for key in sorted(texts):
        if key == "description":
            continue
        _check_line(key, texts[key])
        yield f"{key}: {texts[key]}\n"


def _comment_lines(file: GuestFile, section: str, description: str) -> tuple[str, ...]:
    written = file.comments.get(section)
    if written is not None and "\n".join(map(decode_text, written)).rstrip(_SPACE + "\n") == description:
        return written
    return tuple(encode_text(line) for line in description.rstrip(_SPACE + "\n").split("\n"))


def _check_unicode(key: str, text: str) -> None:
    if _HALF.search(text):
        raise InvalidInput.of(key, "value is not a Unicode text")


def _check_line(key: str, text: str) -> None:
    if not _KEY.fullmatch(f"{key}:"):
        raise InvalidInput.of(key, UNKNOWN)
    if text != text.strip(_SPACE) or not text or any(c in text for c in "\n\r\0"):
        raise InvalidInput.of(key, "value must be one line without white space around it")
    _check_unicode(key, text)


def encode_text(line: str) -> str:
    """A line of a description as Proxmox encodes it: everything but printable ASCII, and `:`. A percent sign stays
    unless what follows would make it an escape."""
    escaped = _ESCAPE.sub("%25", line)
    return "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in escaped.encode("utf-8", "surrogateescape"))


def decode_text(line: str) -> str:
    """The reverse of encode_text; bytes that are no UTF-8 become surrogates, so that they come back as they were."""
    return unquote_to_bytes(line.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
