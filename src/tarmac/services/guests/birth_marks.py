"""What makes a guest one of its kind: MAC addresses, firmware UUID, generation id, the record of its making."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping

from tarmac.model.datacenter import MAC_PREFIX
from tarmac.model.nic import Nic
from tarmac.model.parse import list_items, parse_property_string, split_property_string
from tarmac.model.smbios import Smbios


def new_mac(prefix: str = MAC_PREFIX) -> str:
    """A random address that begins with one to three bytes."""
    head = [part.upper() for part in prefix.split(":") if part]
    return ":".join([*head, *(f"{byte:02X}" for byte in secrets.token_bytes(6 - len(head)))])


def completed(texts: Mapping[str, str], mac_prefix: str = MAC_PREFIX) -> dict[str, str]:
    """The texts as they are kept: a MAC address for every `netN` that has none, tags in Proxmox's form (small letters,
    sorted, each once, `;` between them: clients split there only). The rest of each text stays as it was written."""
    found = dict(texts)
    if "tags" in texts:
        found["tags"] = ";".join(sorted({tag.lower() for tag in list_items(texts["tags"])}))
    for key, text in texts.items():
        if key.startswith("net") and key[3:].isdigit():
            nic = parse_property_string(Nic, text)
            if nic.macaddr is None:
                parts = split_property_string(Nic, text)
                rest = [f"{k}={v}" for k, v in parts.items() if k != "model"]
                found[key] = ",".join([f"{nic.model.value}={new_mac(mac_prefix)}", *rest])
    return found


def renewed(texts: Mapping[str, str], mac_prefix: str = MAC_PREFIX) -> dict[str, str]:
    """The texts of a clone with new MAC addresses, a new firmware UUID and, where there was one, a new generation id.

    Ports of the host that are forwarded to the source stay with it: two guests cannot have the same."""
    found = dict(texts)
    for key, text in texts.items():
        if key.startswith("net") and key[3:].isdigit():
            parts = split_property_string(Nic, text)
            for gone in ("macaddr", "forward"):
                parts.pop(gone, None)
            model = parts.pop("model")
            found[key] = ",".join([f"{model}={new_mac(mac_prefix)}", *(f"{k}={v}" for k, v in parts.items())])
    smbios = split_property_string(Smbios, texts.get("smbios1", "")) if texts.get("smbios1") else {}
    found["smbios1"] = ",".join(f"{k}={v}" for k, v in {**smbios, "uuid": str(uuid.uuid4())}.items())
    if texts.get("vmgenid", "0") != "0":
        found["vmgenid"] = str(uuid.uuid4())
    return found


def birth_marks(texts: Mapping[str, str], qemu_version: str) -> dict[str, str]:
    """What every new guest gets unless the caller says otherwise: `smbios1`, `vmgenid`, `meta`."""
    found = {"meta": f"creation-qemu={qemu_version},ctime={int(time.time())}"}
    smbios = texts.get("smbios1", "")
    if "uuid=" not in smbios:
        found["smbios1"] = ",".join(part for part in (f"uuid={uuid.uuid4()}", smbios) if part)
    if texts.get("vmgenid", "1") == "1":
        found["vmgenid"] = str(uuid.uuid4())
    return found
