"""The structure of network documents, as JSON schemas of our own: what every cloud-init and netplan agrees on.

Cloud-init's package brings schemas for them only since its version 24; Debian 12 has 22.4. Ours are looked at first in
any case, because a part is judged by its own `type` and the error names the place. They are lenient: an unknown key of
a device is cloud-init's own schema's business. Source: cloud-init's reference for network config versions 1 and 2.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import jsonschema

_DEVICES_V1 = ("physical", "bond", "bridge", "vlan", "infiniband", "loopback")
_SUBNETS = (
    "dhcp", "dhcp4", "dhcp6", "static", "static6", "manual",
    "ipv6_dhcpv6-stateful", "ipv6_dhcpv6-stateless", "ipv6_slaac",
)  # fmt: skip
_DEVICES_V2 = ("ethernets", "bonds", "bridges", "vlans")
# Cloud-init hands a version 2 document to netplan, which knows more.
_OTHERS_V2 = ("wifis", "tunnels", "vrfs", "dummy-devices", "modems", "nm-devices", "openvswitch")
_TEXT, _TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
_INTEGER, _MTU = {"type": "integer"}, {"type": ["integer", "null"], "minimum": 0}
_ADDRESS, _INTERFACE = {"type": "string", "format": "address"}, {"type": "string", "format": "address/prefix"}
_ONE_OR_MORE = {"anyOf": [_ADDRESS, {"type": "array", "items": _ADDRESS}]}
_SWITCH = {"enum": [True, False, "yes", "no", "true", "false", "on", "off"]}


def _needs(type_: str, *keys: str) -> Mapping[str, Any]:
    return {"if": {"properties": {"type": {"const": type_}}}, "then": {"required": list(keys)}}


_SUBNET = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": list(_SUBNETS)},
        "address": _INTERFACE,
        "gateway": _ADDRESS,
        "dns_nameservers": _ONE_OR_MORE,
        "dns_search": {"type": ["string", "array"]},
        "routes": {"type": "array", "items": {"type": "object"}},
    },
    "allOf": [_needs("static", "address"), _needs("static6", "address")],
}
_VERSION_1 = {
    "type": "object",
    "required": ["version", "config"],
    "properties": {
        "version": {"const": 1},
        "config": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"enum": [*_DEVICES_V1, "nameserver", "route"]},
                    "name": {**_TEXT, "maxLength": 15},
                    "mac_address": {**_TEXT, "format": "MAC address"},
                    "mtu": _MTU,
                    "subnets": {"type": "array", "items": _SUBNET},
                    "vlan_link": _TEXT,
                    "vlan_id": {**_INTEGER, "minimum": 0, "maximum": 4094},
                    "bond_interfaces": _TEXTS,
                    "bridge_interfaces": _TEXTS,
                    "address": _ONE_OR_MORE,
                },
                "allOf": [
                    *(_needs(device, "name") for device in _DEVICES_V1 if device != "loopback"),
                    _needs("vlan", "vlan_link", "vlan_id"),
                    _needs("nameserver", "address"),
                    _needs("route", "gateway"),
                ],
            },
        },
    },
}
_DEVICE_V2 = {
    "type": "object",
    "properties": {
        "dhcp4": _SWITCH,
        "dhcp6": _SWITCH,
        # netplan takes {ADDRESS: options} too
        "addresses": {"type": "array", "items": {"anyOf": [_INTERFACE, {"type": "object"}]}},
        "gateway4": _ADDRESS,
        "gateway6": _ADDRESS,
        "nameservers": {"type": "object", "properties": {"addresses": _ONE_OR_MORE}},
        "routes": {"type": "array", "items": {"type": "object", "required": ["to"]}},
        "mtu": _INTEGER,
        "macaddress": _TEXT,
        "match": {"type": "object"},
        "set-name": {**_TEXT, "maxLength": 15},
        "interfaces": _TEXTS,
        "id": _INTEGER,
        "link": _TEXT,
    },
}
_VERSION_2 = {
    "type": "object",
    "required": ["version"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": 2},
        "renderer": _TEXT,
        **{kind: {"type": "object", "additionalProperties": _DEVICE_V2} for kind in _DEVICES_V2},
        "vlans": {"type": "object", "additionalProperties": {**_DEVICE_V2, "required": ["id", "link"]}},
        **{kind: {"type": "object"} for kind in _OTHERS_V2},
    },
}
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("address", raises=ValueError)
def _is_address(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.ip_address(value))


@_FORMATS.checks("address/prefix", raises=ValueError)
def _is_interface(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.ip_interface(value))


@_FORMATS.checks("MAC address", raises=ValueError)
def _is_mac(value: object) -> bool:
    return not isinstance(value, str) or len(bytes.fromhex(value.replace(":", ""))) in (6, 20)  # 20: infiniband


def structure(version: int) -> jsonschema.protocols.Validator:
    """The validator for a document of version 1 or 2."""
    return jsonschema.Draft7Validator(_VERSION_1 if version == 1 else _VERSION_2, format_checker=_FORMATS)
