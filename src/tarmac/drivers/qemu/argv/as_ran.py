"""A machine as it ran: from the command line it was started with and what was plugged since, and back to one with which
its saved state can be loaded. Pure.

What the guest sees (machine, processor, memory, every device with its address) is kept to the letter; what only the
host sees (files, sockets, descriptors, block nodes) is that of the new start.
"""

from __future__ import annotations

from collections.abc import Sequence

from tarmac.drivers.qemu.argv.delta import PLUGGABLE, identity, parts_of

_OF_THE_HOST = frozenset({
    "-name", "-sandbox", "-no-user-config", "-nodefaults", "-chardev", "-mon", "-netdev", "-blockdev", "-object", "-S",
    "-incoming", "-vnc", "-display", "-D", "-pidfile", "-bios",
})  # fmt: skip


def as_ran(started: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """`started`: how QEMU was started; `now`: how it would be started from the configuration in force, in which
    hotplugged devices are. The result has the devices that are there now, all else as it was started."""
    present = {identity(o, t): (o, t) for o, t in parts_of(now) if _plugged(o, t)}
    words: list[str] = [started[0]]
    for option, text in parts_of(started):
        if _plugged(option, text):
            kept = present.pop(identity(option, text), None)
            words += kept or ()
        else:
            words += [option, text] if text else [option]
    return (*words, *(word for part in present.values() for word in part))


def resumed(ran: Sequence[str], fresh: Sequence[str]) -> tuple[str, ...]:
    """The command line of `ran`'s machine on the files and descriptors of `fresh`. The generation id is the new one:
    the guest is told that it went back."""
    generation = [part for part in parts_of(fresh) if _is_generation(*part)]
    kept = [part for part in parts_of(ran) if part[0] not in _OF_THE_HOST and not _is_generation(*part)]
    host = [part for part in parts_of(fresh) if part[0] in _OF_THE_HOST]
    words = [word for part in (*host, *kept, *generation) for word in part if word]
    return (fresh[0], *words)


def option_of(argv: Sequence[str], option: str) -> str:
    """The text of the first such option, "" when there is none."""
    return next((text for name, text in parts_of(argv) if name == option), "")


def _plugged(option: str, text: str) -> bool:
    return option == "-device" and text.split(",", 1)[0] in PLUGGABLE


def _is_generation(option: str, text: str) -> bool:
    return option == "-device" and text.startswith("vmgenid")
