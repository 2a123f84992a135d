"""Rules between the keys of a guest's configuration, what this version does not build, and what a change may need.

Pure. A rule is a function that yields violations; each names the keys it is about, so that a change is refused only
for what it touches, while a start looks at everything. Texts carry both values. Where Proxmox has a rule, it is
Proxmox's; the limits of QEMU are checked here as well, so that a guest that can be configured can be started.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tarmac.model.cpu import MODELS_32_BIT
from tarmac.model.devices import Bios
from tarmac.model.errors import Fix, InvalidInput
from tarmac.model.parse import parameter_error
from tarmac.model.settings import Setting, find_setting, settings_of
from tarmac.model.throttle_rules import throttle_problems
from tarmac.model.user_network import user_network
from tarmac.model.vm import VmConfig

_MAX_CPUS = 255
_MAX_QUEUES = 1021
_BUILT_VGA = ("std", "cirrus", "vmware", "qxl", "virtio", "none", "serial0", "serial1", "serial2", "serial3")


@dataclass(frozen=True, slots=True)
class Violation:
    """`keys` that together are wrong; the text is reported under the first."""

    keys: tuple[str, ...]
    text: str


Rule = Callable[[VmConfig], Iterator[Violation]]


def check_change(config: VmConfig, changed: Iterable[str]) -> None:
    """A configuration as it would be after `changed` keys were set. Raises InvalidInput that names each of them that
    is broken, not built, or against a rule."""
    touched = set(changed)
    problems = {key: text for key, text in config.problems.items() if key in touched}
    problems.update({key: text for key, text in unbuilt(config).items() if key in touched})
    for violation in violations(config):
        if touched & set(violation.keys):
            problems.setdefault(next(k for k in violation.keys if k in touched), violation.text)
    if problems:
        raise parameter_error(problems)


def check_startable(config: VmConfig) -> None:
    """A stored configuration before a start. Raises InvalidInput that names every key in the way.

    A boot order with devices that are gone is no reason: they are passed over, as in Proxmox."""
    problems = dict(config.problems)
    problems.update(unbuilt(config))
    for violation in violations(config):
        if violation.keys[0] != "boot":
            problems.setdefault(violation.keys[0], violation.text)
    if problems:
        raise InvalidInput(
            "the guest's configuration cannot be started",
            code="configuration-not-startable",
            cause="; ".join(f"{key}: {text}".replace("\n", " ") for key, text in problems.items()),
            evidence="; ".join(f"{key}: {config.texts.get(key, '')}" for key in problems),
            fixes=[Fix(text=f"change or remove {key}", parameters={"delete": key}) for key in problems],
            parameters=problems,
        )


def unbuilt(config: VmConfig) -> dict[str, str]:
    """The keys of a configuration that this version knows but does not build, with a text each. A key that says what
    is the default anyway (`numa: 0`) is none."""
    found = {key: text for key in config.texts if (text := _unbuilt_key(config, key)) is not None}
    for key, text in _unbuilt_values(config):
        found.setdefault(key, text)
    return found


def _unbuilt_key(config: VmConfig, key: str) -> str | None:
    setting_and_index = find_setting(VmConfig, key)
    if setting_and_index is None:
        return None
    setting, index = setting_and_index
    value = getattr(config, setting.attribute)
    if index is not None:
        value = value.get(index)
    if key in config.problems or value is None:
        return None
    if not setting.limits.built:
        return (
            None if value == setting.default else f"'{key}' is known, but this version does not build it: leave it out"
        )
    if setting.kind == "property":
        names = [s.name for s in settings_of(setting.python) if _uses_unbuilt(s, value)]
        if names:
            text = f"'{', '.join(names)}' of '{key}' is known, but this version does not build it: leave it out"
            return f"{text}, and use a bridge that the host has in that VLAN" if "tag" in names else text
    return None


def _uses_unbuilt(setting: Setting, record: object) -> bool:
    value = getattr(record, setting.attribute)
    return not setting.limits.built and bool(value) and value != setting.default


def _unbuilt_values(config: VmConfig) -> Iterator[tuple[str, str]]:
    """Single words of a built key that are not built."""
    if config.vga.type not in _BUILT_VGA:
        yield "vga", f"display '{config.vga.type}' is known, but this version does not build it"
    if config.arch == "aarch64":
        yield "arch", "'aarch64' is known, but this version does not build it"
    if config.machine.arm:
        yield "machine", f"machine '{config.machine.type}' is known, but this version does not build it"
    if config.citype not in (None, "nocloud"):
        yield "citype", f"'{config.citype}' is known, but this version builds only nocloud"
    for index, text in config.serial.items():
        if text != "socket":
            yield f"serial{index}", "a serial port of the host is known, but this version builds only 'socket'"
    for key, disk in config.disks.items():
        if disk.file == "cdrom":
            yield key, "the host's own CD-ROM drive ('cdrom') is known, but this version does not build it"
    if "memory" in config.hotplug_classes:
        yield "hotplug", "'memory' needs NUMA, which is known, but this version does not build it"


def violations(config: VmConfig) -> Iterator[Violation]:
    """What contradicts itself in a configuration."""
    for rule in _RULES:
        yield from rule(config)


def _cpus(config: VmConfig) -> Iterator[Violation]:
    total = config.max_vcpus
    if config.vcpus is not None and config.vcpus > total:
        text = f"vcpus ({config.vcpus}) is more than sockets x cores ({config.sockets} x {config.cores} = {total})"
        yield Violation(("vcpus", "sockets", "cores"), text)
    if total > _MAX_CPUS:
        text = f"sockets x cores ({config.sockets} x {config.cores} = {total}) is more than {_MAX_CPUS}"
        yield Violation(("cores", "sockets"), text)
    if config.bios is Bios.OVMF and config.cpu.cputype in MODELS_32_BIT:
        yield Violation(("cpu", "bios"), f"'{config.cpu.cputype}' has 32 bits, UEFI (bios: ovmf) needs 64")


def _memory(config: VmConfig) -> Iterator[Violation]:
    if config.balloon is not None and config.balloon > config.memory_mib:
        text = f"balloon ({config.balloon} MiB) is more than memory ({config.memory_mib} MiB)"
        yield Violation(("balloon", "memory"), text)


def _clock(config: VmConfig) -> Iterator[Violation]:
    if config.startdate == "now":
        return
    date, _, time = config.startdate.partition("T")
    try:
        year, month, day = (int(n) for n in date.split("-"))
        hour, minute, second = (int(n) for n in time.split(":")) if time else (0, 0, 0)
        datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError as problem:
        yield Violation(("startdate",), f"'{config.startdate}' is no date: {problem}")
        return
    if year < 1970:
        yield Violation(("startdate",), f"'{config.startdate}' is before 1970")


def _disks(config: VmConfig) -> Iterator[Violation]:
    owners: dict[str, str] = {}
    for key, disk in config.disks.items():
        if key.startswith("virtio") and disk.empty:
            yield Violation((key,), "a virtio block device cannot be empty; use ide, sata or scsi for a CD-ROM drive")
        if disk.queues is not None and disk.queues > _MAX_QUEUES:
            yield Violation((key,), f"queues ({disk.queues}) is more than {_MAX_QUEUES}")
        for text in throttle_problems(disk):
            yield Violation((key,), text)
    for key, file in config.volumes.items():
        # An `unused` entry goes when its volume is attached again, which may be in the midst of this change.
        if file in owners and key != "vmstate" and not key.startswith("unused") and not is_new_volume(file):
            yield Violation((key, owners[file]), f"volume '{file}' is also {owners[file]}'s")
        owners.setdefault(file, key)
    if config.vga.serial is None and config.agent.enabled and config.agent.type == "isa" and len(config.serial) > 3:
        yield Violation(("agent", "serial3"), "an ISA agent and four serial ports are more than the four a PC has")


def is_new_volume(file: str) -> bool:
    """`STORAGE:GIB` or `STORAGE:cloudinit`: to be allocated, so the same text may stand twice."""
    name = file.partition(":")[2]
    return name == "cloudinit" or name.replace(".", "", 1).isdecimal()


def _boot(config: VmConfig) -> Iterator[Violation]:
    present = {*config.disks, *(f"net{i}" for i in config.net), *(f"usb{i}" for i in config.usb)}
    present |= {f"hostpci{i}" for i in config.hostpci}
    order = config.boot.order or ()
    for position, key in enumerate(order):
        if key not in present:
            yield Violation(("boot", key), f"invalid bootorder: device '{key}' does not exist")
        elif key in order[:position]:
            yield Violation(("boot", key), f"invalid bootorder: device '{key}' stands twice")


def _network(config: VmConfig) -> Iterator[Violation]:
    ports: dict[tuple[str, str, int], str] = {}
    for index, nic in config.net.items():
        key = f"net{index}"
        if nic.forward is not None and nic.bridge is not None:
            text = f"forward ({nic.forward}) needs user-mode networking, but bridge is '{nic.bridge}'"
            yield Violation((key,), text)
        elif nic.forward is not None:
            try:
                user_network(config.ipconfig.get(index))
            except ValueError as problem:
                yield Violation((f"ipconfig{index}", key), f"{problem}; {key} forwards ports to it")
        for forward in nic.forwards:
            port = (forward.protocol, forward.host, forward.host_port)
            other = ports.setdefault(port, key)
            if other != key:
                yield Violation((key, other), f"host port {forward.host_port} is also forwarded by {other}")


def _addresses(config: VmConfig) -> Iterator[Violation]:
    for index, ip in config.ipconfig.items():
        for gateway, name, address, other in ((ip.gw, "gw", ip.ip, "ip"), (ip.gw6, "gw6", ip.ip6, "ip6")):
            if gateway is None:
                continue
            if address is None:
                yield Violation((f"ipconfig{index}",), f"{name} ({gateway}) needs {other}")
            elif "/" not in address:
                yield Violation((f"ipconfig{index}",), f"{name} ({gateway}) needs a fixed {other}, not '{address}'")


def _identity(config: VmConfig) -> Iterator[Violation]:
    try:
        list(config.smbios1.texts())
    except ValueError as problem:
        yield Violation(("smbios1",), str(problem))


_RULES: tuple[Rule, ...] = (_cpus, _memory, _clock, _disks, _boot, _network, _addresses, _identity)
