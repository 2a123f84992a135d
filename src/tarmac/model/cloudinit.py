"""What cloud-init tells a guest: `ipconfig0` ... and `cicustom`. The plain keys stand in `model.vm`.

Source: PVE::QemuServer ($ipconfig_fmt, $cicustom_fmt) of Proxmox VE 9.
"""

from __future__ import annotations

from dataclasses import dataclass

from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class IpConfig:
    """The addresses of one network card: `ip=dhcp`, `ip=10.0.0.5/24,gw=10.0.0.1`."""

    ip: str | None = setting(None, format="pve-ipv4-config", default_text="dhcp", help="IPv4 address/prefix, or dhcp.")
    gw: str | None = setting(None, format="ipv4", help="IPv4 gateway.")
    ip6: str | None = setting(
        None, format="pve-ipv6-config", default_text="dhcp", help="IPv6 address/prefix, dhcp, or auto."
    )
    gw6: str | None = setting(None, format="ipv6", help="IPv6 gateway.")


@dataclass(frozen=True, kw_only=True)
class CiCustom:
    """Documents of the user's own in place of generated ones."""

    user: str | None = setting(None, format="pve-volume-id", help="Snippet used as user-data.")
    network: str | None = setting(None, format="pve-volume-id", help="Snippet used as network configuration.")
    meta: str | None = setting(None, format="pve-volume-id", help="Snippet used as meta-data.")
    vendor: str | None = setting(None, format="pve-volume-id", help="Snippet used as vendor-data.")
