"""What is shown of networks: who may see which, their state on this node, and whose address is whose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.drivers.network.bridge import ports
from tarmac.model.errors import TarmacError
from tarmac.services.access.access import Access, Identity
from tarmac.services.networks.addresses import Addresses, shown
from tarmac.services.networks.definitions import NetworkDefinitions
from tarmac.services.networks.host import NetworkHost

SEE = ("SDN.Audit", "SDN.Allocate")
AVAILABLE, PENDING, ERROR = "available", "pending", "error"


class NetworkViews:
    """Rows for replies. Who has SDN.Audit or SDN.Allocate on `/sdn/zones/<zone>` (and `/<vnet>`) sees it."""

    def __init__(
        self,
        *,
        node: str,
        definitions: NetworkDefinitions,
        addresses: Addresses,
        host: NetworkHost,
        access: Access,
    ) -> None:
        self._node = node
        self._definitions = definitions
        self._addresses = addresses
        self._host = host
        self._access = access

    def sees_zone(self, identity: Identity, zone: str) -> bool:
        return self._access.allowed(identity, f"/sdn/zones/{zone}", SEE, any=True)

    def sees_vnet(self, identity: Identity, zone: str, vnet: str) -> bool:
        return self._access.allowed(identity, f"/sdn/zones/{zone}/{vnet}", SEE, any=True)

    def check_vnet(self, identity: Identity, vnet: str, *privileges: str) -> None:
        """Raises NotFound for a virtual network that is none, Denied without one of the privileges on it."""
        zone = self._definitions.zone_of(vnet)
        if zone is None:
            raise self._definitions.missing("vnets", vnet)
        self._access.check(identity, f"/sdn/zones/{zone}/{vnet}", privileges, any=True)

    def zones(self, identity: Identity) -> list[dict[str, Any]]:
        """Rows of `GET /nodes/{node}/sdn/zones`."""
        return [row for row in self._zone_rows() if self.sees_zone(identity, row["zone"])]

    def _zone_rows(self) -> list[dict[str, Any]]:
        zones = sorted({*self._definitions.running.zones, *self._definitions.wanted.zones})
        return [{"zone": zone, "status": self._zone_state(zone)} for zone in zones]

    def _zone_state(self, zone: str) -> str:
        running = self._definitions.running.zones.get(zone)
        if running is None or running != self._definitions.wanted.zones.get(zone):
            return PENDING
        broken = any(self._definitions.zone_of(vnet) == zone for vnet in self._host.problems)
        return ERROR if broken else AVAILABLE

    def content(self, zone: str) -> list[dict[str, Any]]:
        """Rows of `GET /nodes/{node}/sdn/zones/{zone}/content`: the zone's networks on this node."""
        rows = []
        for vnet, texts in sorted(self._definitions.wanted.vnets.items()):
            if texts["zone"] == zone:
                problem = self._host.problems.get(vnet)
                row: dict[str, Any] = {"vnet": vnet, "status": AVAILABLE}
                if vnet not in self._definitions.networks:
                    row = {"vnet": vnet, "status": PENDING, "statusmsg": "it is not applied yet, or not on this node"}
                elif problem is not None:
                    row = {"vnet": vnet, "status": ERROR, "statusmsg": f"{problem.message}: {problem.cause}"}
                rows.append(row)
        return rows

    def bridges(self, zone: str) -> list[dict[str, Any]]:
        """Rows of `GET /nodes/{node}/sdn/zones/{zone}/bridges`: the ports on each bridge."""
        return [
            {"name": vnet, "vlan_filtering": "0", "ports": [{"name": port} for port in ports(vnet)]}
            for vnet, network in sorted(self._definitions.networks.items())
            if network.zone == zone
        ]

    def resources(self) -> list[dict[str, Any]]:
        """Zones as rows of `GET /cluster/resources`."""
        return [
            {
                "id": f"sdn/{self._node}/{row['zone']}",
                "type": "sdn",
                "sdn": row["zone"],
                "node": self._node,
                "status": row["status"],
            }
            for row in self._zone_rows()
        ]

    def ids(self) -> list[str]:
        """The ids of all zones among the resources."""
        return [row["id"] for row in self.resources()]

    def states(self) -> list[tuple[str, str, TarmacError | None, int]]:
        """Of each network in force: its zone, its name, what is wrong with it, how often its DHCP was started again."""
        host = self._host
        return [
            (network.zone, vnet, host.problems.get(vnet), host.restarts.get(vnet, 0))
            for vnet, network in sorted(self._definitions.networks.items())
        ]

    def addresses(self, identity: Identity) -> list[dict[str, Any]]:
        """Rows of `GET /cluster/sdn/ipams/pve/status`: gateways and reservations; `expires` (Unix seconds) of those
        that are leased."""
        rows = []
        for vnet, network in sorted(self._definitions.networks.items()):
            if not network.dhcp or not self.sees_vnet(identity, network.zone, vnet):
                continue
            leased: Mapping[str, int] = {one.ip: one.expires for one in self._host.leases(vnet)}
            rows += [
                {"ip": str(s.gateway), "gateway": 1, "vnet": vnet, "zone": network.zone, "subnet": str(s.network)}
                for s in network.subnets
                if s.gateway is not None
            ]
            for one in self._addresses.of_network(vnet):
                row = shown(one, network)
                rows.append({**row, "expires": leased[row["ip"]]} if row["ip"] in leased else row)
        return rows
