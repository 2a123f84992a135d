"""Named text formats: one small checker each, looked up by the name that Proxmox's schema uses.

A checker raises ValueError with the reason; `check_format` puts Proxmox's words around it. Source of names and
rules: PVE::JSONSchema, PVE::QemuServer of Proxmox VE 9.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import unquote

Checker = Callable[[str], None]
FORMATS: dict[str, Checker] = {}


def register(name: str) -> Callable[[Checker], Checker]:
    """Add a checker under a format name."""

    def add(checker: Checker) -> Checker:
        FORMATS[name] = checker
        return checker

    return add


def check_format(name: str, text: str) -> None:
    """Raise ValueError (`invalid format - ...`) unless `text` fits the named format."""
    try:
        FORMATS[name](text)
    except ValueError as problem:
        raise ValueError(f"invalid format - {problem}") from None


def _pattern(name: str, pattern: str, reason: str, limit: int = 4096) -> None:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> None:
        if len(text) > limit or not compiled.fullmatch(text):
            raise ValueError(reason)

    FORMATS[name] = check


_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_pattern("pve-node", r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?", "value does not look like a valid node name", 63)
_pattern("dns-name", rf"{_LABEL}(\.{_LABEL})*\.?", "value does not look like a valid DNS name", 253)
_pattern("pve-storage-id", r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]", "storage ID contains illegal characters", 100)
_pattern("pve-userid", r"[^\s:/@!]{1,64}@[A-Za-z][A-Za-z0-9._-]+", "value does not look like a valid user name", 128)
_pattern(
    "pve-tokenid",
    r"[^\s:/@!]{1,64}@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+",
    "value does not look like a valid token id",
)
_pattern("pve-poolid", r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,2}", "value does not look like a valid pool id", 255)
_pattern("pve-configid", r"[a-zA-Z][a-zA-Z0-9_-]+", "value does not look like a valid configuration ID", 100)
_pattern("pve-bridge-id", r"[a-zA-Z0-9_.:-]+", "value does not look like a valid bridge name", 15)
_pattern("pve-tag", r"[a-zA-Z0-9_][a-zA-Z0-9_+.-]*", "invalid characters in tag", 128)
_pattern("disk-size", r"\d{1,15}(\.\d{1,9})?[KMGT]?", "value does not look like a valid disk size")
_pattern("pve-phys-bits", r"host|[89]|[1-5]\d|6[0-4]", "value must be an integer between 8 and 64 or 'host'")
_pattern("urlencoded", r"[-%a-zA-Z0-9_.!~*'()]*", "value is not properly URL-encoded", 1 << 20)
_pattern("pve-cpuset", r"\d{1,5}(-\d{1,5})?([,\s]+\d{1,5}(-\d{1,5})?)*", "value is not a list of CPU numbers")


_pattern(
    "pve-hotplug-features",
    r"[01]|(network|disk|cpu|memory|usb|cloudinit)([,;\s]+(network|disk|cpu|memory|usb|cloudinit))*",
    "unable to parse hotplug option",
)


_pattern(
    "mac-prefix", r"[a-fA-F0-9][02468aceACE](:[a-fA-F0-9]{2}){0,2}:?", "value is not a valid unicast MAC address prefix"
)
_pattern("pve-iface", r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:.]\d+)?", "invalid network interface name")
_DOMAIN = rf"(\*\.)?{_LABEL}(\.{_LABEL})*"
_pattern("pve-acme-domain", _DOMAIN, "value does not look like a valid domain name", 253)
_pattern("pve-acme-domain-list", rf"{_DOMAIN}([;,\s]+{_DOMAIN})*", "value does not look like a list of domain names")
_pattern("pve-acme-alias", rf"{_LABEL}(\.{_LABEL})*", "value does not look like a valid alias name", 253)


_pattern(
    "pem-certificate-chain",
    r"(?s).*-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----.*",
    "value does not look like a valid certificate chain",
    1 << 20,
)
_pattern("pem-string", r"(?s).*-----BEGIN [^\n]+-----.+-----END [^\n]+-----.*", "value is no PEM", 1 << 20)


@register("pve-vmid")
def _vmid(text: str) -> None:
    if not re.fullmatch(r"[1-9][0-9]{2,8}", text):
        raise ValueError("value does not look like a valid VM ID")


@register("mac-addr")
def _mac(text: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text) or int(text[:2], 16) & 1:
        raise ValueError("value does not look like a valid unicast MAC address")


@register("uuid")
def _uuid(text: str) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ValueError("value does not look like a UUID")


@register("ip")
def _ip(text: str) -> None:
    ipaddress.ip_address(text)


@register("address")
def _address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        FORMATS["dns-name"](text)


@register("pve-ipv4-config")
def _ipv4_config(text: str) -> None:
    if text == "dhcp":
        return
    address, slash, bits = text.partition("/")
    ipaddress.IPv4Address(address)
    if not slash or not (bits.isascii() and bits.isdecimal()) or not 0 < int(bits) <= 32:
        raise ValueError("value must be 'dhcp' or an address in CIDR notation")


@register("pve-ipv6-config")
def _ipv6_config(text: str) -> None:
    if text in ("dhcp", "auto"):
        return
    address, slash, bits = text.partition("/")
    ipaddress.IPv6Address(address)
    if not slash or not (bits.isascii() and bits.isdecimal()) or not 0 < int(bits) <= 128:
        raise ValueError("value must be 'dhcp', 'auto' or an address in CIDR notation")


@register("CIDR")
def _cidr(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("value does not look like a valid CIDR network") from None
    if "/" not in text:
        raise ValueError("value does not look like a valid CIDR network")


@register("ipv4")
def _ipv4(text: str) -> None:
    ipaddress.IPv4Address(text)


@register("ipv6")
def _ipv6(text: str) -> None:
    ipaddress.IPv6Address(text)


@register("pve-volume-id")
def _volume_id(text: str) -> None:
    storage, colon, name = text.partition(":")
    if not colon or not name:
        raise ValueError(f"unable to parse volume ID '{text}'")
    FORMATS["pve-storage-id"](storage)
    _safe_path(name)


@register("pve-volume-id-or-none")
def _volume_or_none(text: str) -> None:
    """A drive's `file`: `none`, `cdrom`, a volume id, or `STORAGE:SIZE` (allocate). Absolute host paths are refused."""
    if text in ("none", "cdrom"):
        return
    _volume_id(text)


def _safe_path(name: str) -> None:
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError("volume name must not be absolute or contain empty, '.' or '..' parts")
    if any(ord(c) < 32 or ord(c) == 127 for c in name) or len(name) > 255:
        raise ValueError("volume name contains control characters or is too long")


@register("ssh-keys")
def _ssh_keys(text: str) -> None:
    """`sshkeys` stands percent-encoded in the configuration."""
    FORMATS["urlencoded"](text)
    if any(ord(c) < 32 and c not in "\n\r\t" for c in unquote(text)):
        raise ValueError("control character in SSH keys")
