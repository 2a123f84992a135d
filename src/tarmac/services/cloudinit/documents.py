"""What a guest is told by cloud-init, from its configuration: user-data, network-config, meta-data. Pure.

The contents are Proxmox's; they are printed by a YAML printer, so that no value can add a key of its own.
Source: PVE::QemuServer::Cloudinit of Proxmox VE 9 (nocloud).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import yaml

from tarmac.model.cloudinit import IpConfig
from tarmac.model.vm import VmConfig

KEYS = ("citype", "ciuser", "cipassword", "ciupgrade", "cicustom", "sshkeys", "searchdomain", "nameserver", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDns:
    """The host's own resolver: what guests with fixed addresses get when nothing else is said."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> HostDns:
        """From resolv.conf; loopback servers are left out, because no guest reaches them."""
        servers, search = [], []
        for line in text.splitlines():
            word, *rest = line.split() or [""]
            if word == "nameserver" and rest and not _is_loopback(rest[0]):
                servers.append(rest[0])
            elif word in ("search", "domain"):
                search = [name for name in rest if name != "."]
        return cls(servers=tuple(servers), search=tuple(search))


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return True


def user_data(config: VmConfig, vmid: int) -> str:
    """The generated `user-data`. `cipassword` is taken as it stands: a crypt(3) hash."""
    hostname, fqdn = host_names(config, vmid)
    record: dict[str, Any] = {"hostname": hostname, "manage_etc_hosts": True}
    if fqdn is not None:
        record["fqdn"] = fqdn
    if config.ciuser is not None:
        record["user"] = config.ciuser
        if config.ciuser == "root":
            record["disable_root"] = False
    if config.cipassword is not None:
        record["password"] = config.cipassword
    if config.sshkeys is not None:
        record["ssh_authorized_keys"] = [key.strip() for key in unquote(config.sshkeys).splitlines() if key.strip()]
    record["chpasswd"] = {"expire": False}
    if config.ciuser != "root":
        record["users"] = ["default"]
    if config.ciupgrade:
        record["package_upgrade"] = True
    return "#cloud-config\n" + _print(record)


def host_names(config: VmConfig, vmid: int) -> tuple[str, str | None]:
    """(host name, full name or None): of `name`, whose dots make it a full one, or with the search domain."""
    name = config.name or f"VM{vmid}"
    if "." in name:
        return name.partition(".")[0], name
    domains = (config.searchdomain or "").split()
    return name, f"{name}.{domains[0]}" if domains else None


def network_config(config: VmConfig, dns: HostDns) -> str:
    """The generated `network-config`, version 1: each card by its MAC address under the name `ethN`.

    A card without `ipconfigN` asks by DHCP. The host's DNS servers are used only where an address is fixed and none
    are given: elsewhere DHCP brings its own."""
    entries: list[dict[str, Any]] = []
    for index, nic in sorted(config.net.items()):
        entry: dict[str, Any] = {"type": "physical", "name": f"eth{index}"}
        if nic.macaddr is not None:
            entry["mac_address"] = nic.macaddr.lower()
        entry["subnets"] = _subnets(config.ipconfig.get(index, IpConfig()))
        entries.append(entry)
    servers, search = list(config.nameserver), (config.searchdomain or "").split()
    fixed = any(subnet["type"].startswith("static") for entry in entries for subnet in entry["subnets"])
    if fixed:
        servers, search = servers or list(dns.servers), search or list(dns.search)
    if servers or search:
        entries.append({"type": "nameserver", "address": servers, "search": search})
    return _print({"version": 1, "config": entries})


def _subnets(config: IpConfig) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    ip = config.ip or (None if config.ip6 else "dhcp")
    if ip == "dhcp":
        found.append({"type": "dhcp4"})
    elif ip is not None:
        network = ipaddress.IPv4Interface(ip)
        static = {"type": "static", "address": str(network.ip), "netmask": str(network.netmask)}
        found.append(static | ({"gateway": config.gw} if config.gw else {}))
    if config.ip6 == "dhcp":
        found.append({"type": "dhcp6"})
    elif config.ip6 == "auto":
        found.append({"type": "ipv6_slaac"})
    elif config.ip6 is not None:
        found.append({"type": "static6", "address": config.ip6} | ({"gateway": config.gw6} if config.gw6 else {}))
    return found


def meta_data(user: str, network: str) -> str:
    """The generated `meta-data`: an instance id that changes with the contents, so that cloud-init runs again."""
    digest = hashlib.sha1((user + network).encode(), usedforsecurity=False).hexdigest()
    return _print({"instance-id": digest})


def _print(record: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(record), sort_keys=False, default_flow_style=False, allow_unicode=True, width=4096)
    return text


def cloudinit_texts(texts: Mapping[str, str], drives: Sequence[str] = ()) -> dict[str, str]:
    """Those of a guest's keys that its medium depends on."""
    return {
        key: text
        for key, text in texts.items()
        if key in KEYS or key.startswith("ipconfig") or (key.startswith("net") and key[3:].isdecimal()) or key in drives
    }
