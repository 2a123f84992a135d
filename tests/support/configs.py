"""Generated guest configurations, straight from the declarations: what can be declared can be generated."""

from __future__ import annotations

import functools
import re
import string
from typing import Any

from hypothesis import strategies as st

from tarmac.model.errors import InvalidInput
from tarmac.model.settings import Setting, settings_of
from tarmac.model.vm import VmConfig
from tarmac.model.vm_rules import check_startable

_WORD = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
_BYTE = st.integers(0, 255)
_VOLUME = st.builds("local:100/vm-100-disk-{}.{}".format, st.integers(0, 40), st.sampled_from(["raw", "qcow2"]))
_FORMATS: dict[str, st.SearchStrategy[str]] = {
    "dns-name": st.builds("g-{}.test".format, _WORD),
    "pve-volume-id": _VOLUME,
    "pve-volume-id-or-none": _VOLUME,
    "pve-storage-id": st.just("local"),
    "pve-configid": st.builds("c{}".format, _WORD),
    "pve-tag": _WORD,
    "pve-bridge-id": st.just("vmbr0"),
    "mac-addr": st.builds("BC:24:11:{:02X}:{:02x}:{:02X}".format, _BYTE, _BYTE, _BYTE),
    "disk-size": st.sampled_from(["4M", "1G", "1.5T", "4096"]),
    "urlencoded": st.sampled_from(["abc", "A%20b", "x%2Cy"]),
    "ssh-keys": st.just("ssh-ed25519%20AAAA%20me%0A"),
    "pve-cpuset": st.sampled_from(["0", "0,5,8-11"]),
    "pve-phys-bits": st.sampled_from(["host", "40", "46"]),
    "pve-hotplug-features": st.sampled_from(["0", "1", "disk", "network,disk,usb", "cpu"]),
    "pve-qm-bootdev": st.sampled_from(["scsi0", "ide2", "net0", "virtio0"]),
    "uuid": st.uuids().map(str),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
    "address": st.ip_addresses().map(str),
    "pve-ipv4-config": st.sampled_from(["dhcp", "10.0.0.5/24"]),
    "pve-ipv6-config": st.sampled_from(["dhcp", "auto", "2001:db8::5/64"]),
    "cpu-model": st.sampled_from(["qemu64", "max", "x86-64-v2-AES", "x86-64-v3", "EPYC", "Haswell", "kvm64"]),
    "cpu-flags": st.sampled_from(["+aes", "+aes;-pcid", "-pdpe1gb"]),
    "CIDR": st.sampled_from(["192.0.2.0/24", "2001:db8::/32"]),
    "pve-acme-domain": st.builds("{}.example".format, _WORD),
    "pve-acme-domain-list": st.builds("{0}.example;www.{0}.example".format, _WORD),
    "pve-acme-alias": st.builds("_acme.{}.example".format, _WORD),
    "pve-iface": st.sampled_from(["eno1", "vmbr0"]),
    "port-forwards": st.just("tcp:127.0.0.1:52222:22"),
}


@functools.cache  # a test draws from it for every example, and making it takes longer than drawing
def texts_of(setting: Setting, *, built: bool = False) -> st.SearchStrategy[str]:
    """Valid texts of one option. built: without what this version refuses."""
    limits = setting.limits
    if setting.kind == "boolean":
        return st.sampled_from(["0", "1"])
    if setting.kind in ("integer", "number"):
        low = int(limits.ge if limits.ge is not None else 0)
        high = int(limits.le if limits.le is not None else low + 1000)
        return st.integers(low, min(high, low + 5000)).map(str)
    if setting.choices:
        return st.sampled_from(setting.choices)
    if setting.kind == "property":
        return records_of(setting.python, built=built).filter(lambda t: len(t) <= (limits.max_length or 10**6))
    one = _FORMATS[limits.format] if limits.format else _patterned(limits.pattern, limits.max_length)
    if setting.kind == "list":
        return st.lists(one, min_size=1, max_size=3, unique=True).map(";".join)
    return one


def _patterned(pattern: str | None, longest: int | None) -> st.SearchStrategy[str]:
    if pattern is None:
        return _WORD
    found = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True).filter(
        lambda t: t == t.strip() != "" and t.isascii()
    )
    return found.filter(lambda t: len(t) <= (longest or 100) and t.isprintable() and "," not in t)


@functools.cache
def records_of(declared: type, *, built: bool = False) -> st.SearchStrategy[str]:
    """Property strings of a declared class, any subset of its options."""
    members = {}
    needed = {}
    for setting in settings_of(declared):
        if built and not setting.limits.built:
            continue
        (needed if setting.required else members)[setting.name] = texts_of(setting, built=built)
    if not needed:  # some keys' classes have no required option, but an empty text is none
        first = next(iter(members))
        needed[first] = members.pop(first)
    found = st.fixed_dictionaries(needed, optional=members)
    return found.map(lambda parts: ",".join(f"{key}={text}" for key, text in parts.items()))


@functools.cache
def guest_texts(*, built: bool = False, most: int = 12) -> st.SearchStrategy[dict[str, str]]:
    """Configurations as texts by key: some plain keys and some indexed ones."""
    plain: dict[str, st.SearchStrategy[str]] = {}
    pairs: list[st.SearchStrategy[Any]] = []
    for setting in settings_of(VmConfig):
        if built and (not setting.limits.built or setting.limits.internal):
            continue
        text = texts_of(setting, built=built)
        if setting.indexed:
            key = st.integers(0, (setting.limits.count or 1) - 1).map(f"{setting.name}{{}}".format)
            pairs.append(st.tuples(key, text))
        elif setting.name not in ("cdrom", "smp", "description"):
            plain[setting.name] = text
            pairs.append(st.tuples(st.just(setting.name), text))
    return st.lists(st.one_of(pairs), max_size=most).map(dict)


_MACHINES = ["pc", "q35", "pc-i440fx-7.2+pve0", "pc-q35-6.1", "pc-i440fx-5.1", "q35,enable-s3=0"]


def startable_texts() -> st.SearchStrategy[dict[str, str]]:
    """Configurations that must start on any x86 node without bridges: what the rules refuse is taken out again."""
    # Few CPUs and little memory: QEMU takes seconds to make 200 of them.
    few = {"cores": st.sampled_from("12"), "sockets": st.sampled_from("12"), "memory": st.sampled_from(["32", "400"])}
    changes = st.fixed_dictionaries(few, optional={"machine": st.sampled_from(_MACHINES)})
    return st.tuples(guest_texts(built=True, most=25), changes).map(
        lambda both: _without_refused({**both[0], **both[1]})
    )


def _without_refused(texts: dict[str, str]) -> dict[str, str]:
    texts = {key: text for key, text in texts.items() if "hwrng" not in text and "bridge=" not in text and key != "kvm"}
    if texts.get("machine") not in _MACHINES:
        texts.pop("machine", None)
    while True:
        try:
            check_startable(VmConfig.parse(texts))
            return texts
        except InvalidInput as refused:
            texts = {key: text for key, text in texts.items() if key not in refused.parameters}


_STRANGE = [
    "",
    "=",
    "x=y",
    "novalue",
    " ",
    "\0",
    "a=b=c",
    "\u2028",
    "size=",
    "file=none",
    "-1",
    "9" * 40,
    "%2c",
    ";",
    "\n",
]


@st.composite
def bent_records_of(draw: st.DrawFn, declared: type) -> str:
    """Property strings of a declared class as a hasty hand writes them: a part left out, twice, in another place,
    with another part's value, or something strange in between."""
    parts = draw(records_of(declared)).split(",")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(parts) - 1)))
        match draw(st.sampled_from(["drop", "double", "move", "swap", "strange", "value"])):
            case "drop":
                parts[place : place + 1] = []
            case "double":
                parts[place:place] = parts[place : place + 1]
            case "move":
                parts.append(parts.pop(place) if parts else "")
            case "swap" if len(parts) > 1:
                other = (place + 1) % len(parts)
                parts[place] = parts[place].partition("=")[0] + "=" + parts[other].rpartition("=")[2]
            case "value" if parts:
                parts[place] = parts[place].partition("=")[0] + "=" + draw(st.text(max_size=12))
            case _:
                parts.insert(place, draw(st.sampled_from(_STRANGE)))
    return ",".join(parts)
