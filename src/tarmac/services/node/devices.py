"""The host's disks, PCI and USB devices: read from the kernel and from the tools that know them, never changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tarmac.lib.process import run
from tarmac.model.errors import NotFound

_PCI_IDS = Path("/usr/share/misc/pci.ids")
_COLUMNS = "NAME,PATH,TYPE,SIZE,MODEL,SERIAL,VENDOR,WWN,ROTA,RO,FSTYPE,MOUNTPOINT,PTTYPE,PARTTYPENAME,TRAN"
_SYSTEMS = {"LVM2_member": "LVM", "zfs_member": "ZFS", "ceph_bluestore": "ceph", "linux_raid_member": "mdraid"}


async def disks(*, partitions: bool = False, unused: bool = False, health: bool = True) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/list`: sizes in bytes; `unused` leaves out what carries anything."""
    done = await run(["lsblk", "--json", "--bytes", "--tree", f"--output={_COLUMNS}"])
    found = []
    for device in json.loads(done.stdout).get("blockdevices", []):
        if device["type"] != "disk" or not int(device["size"] or 0) or device["name"].startswith(("nbd", "zd", "ram")):
            continue
        row = _disk(device)
        if unused and "used" in row:
            continue
        if health:
            row["health"] = (await smart(device["path"], only_health=True))["health"]
        found.append(row)
        if partitions:
            found += [_disk(part) | {"parent": device["path"]} for part in device.get("children", ())]
    return found


def _disk(device: dict[str, Any]) -> dict[str, Any]:
    kinds = [str(p.get("fstype") or "") for p in (device, *device.get("children", ()))]
    mounted = any(p.get("mountpoint") for p in (device, *device.get("children", ())))
    row: dict[str, Any] = {
        "devpath": device["path"],
        "size": int(device["size"] or 0),
        "gpt": int(device.get("pttype") == "gpt"),
        "mounted": int(mounted),
        "osdid": -1,
        "osdid-list": [],
        "type": _kind(device),
        "model": (device.get("model") or "unknown").strip(),
        "serial": (device.get("serial") or "unknown").strip(),
        "vendor": (device.get("vendor") or "unknown").strip(),
        "wwn": device.get("wwn") or "unknown",
        "health": "UNKNOWN",
    }
    used = next((_SYSTEMS[kind] for kind in kinds if kind in _SYSTEMS), "")
    used = used or ("mounted" if mounted else "") or ("partitions" if device.get("children") else "")
    used = used or next((kind for kind in kinds if kind), "")
    return row | ({"used": used} if used else {})


def _kind(device: dict[str, Any]) -> str:
    tran = device.get("tran") or ""
    if tran in ("nvme", "usb"):
        return str(tran)
    return "hdd" if device.get("rota") else "ssd"


async def smart(disk: str, *, only_health: bool = False) -> dict[str, Any]:
    """What a disk says of its own health. `UNKNOWN` where smartmontools are missing or the disk has no SMART.

    Raises NotFound for what is no block device of this host."""
    if not Path(disk).is_block_device():
        raise NotFound(f"disk '{disk}' does not exist", code="no-such-disk", evidence=disk)
    said = await _smartctl(disk, only_health)
    passed = said.get("smart_status", {}).get("passed")
    health = "UNKNOWN" if passed is None else ("PASSED" if passed else "FAILED")
    if only_health:
        return {"health": health}
    table = said.get("ata_smart_attributes", {}).get("table")
    if table is None:
        return {"health": health, "type": "text", "text": json.dumps(said.get("nvme_smart_health_information_log", {}))}
    return {"health": health, "type": "ata", "attributes": [_attribute(row) for row in table]}


async def _smartctl(disk: str, only_health: bool) -> dict[str, Any]:
    if shutil.which("smartctl") is None:
        return {}
    argv = ["smartctl", "--json", "--health", *([] if only_health else ["--attributes", "--info"]), disk]
    done = await run(argv, ok=range(256))  # its exit code is a mask of what it found; the JSON says the same
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _attribute(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "value": row["value"],
        "worst": row["worst"],
        "threshold": row["thresh"],
        "flags": row["flags"]["string"],
        "fail": row.get("when_failed") or "-",
        "raw": row["raw"]["string"],
    }


def pci(*, hidden: Iterable[str] = (), names: bool = True, sys: Path = Path("/sys")) -> list[dict[str, Any]]:
    """PCI devices but those whose class begins with one of `hidden`. Blocks."""
    found = []
    known = _names() if names else {}
    for place in sorted((sys / "bus/pci/devices").glob("*")):
        kind = _word(place / "class")
        if any(kind.removeprefix("0x").startswith(one.lower()) for one in hidden):
            continue
        row: dict[str, Any] = {"id": place.name, "class": kind, "iommugroup": _group(place)}
        for key in ("vendor", "device", "subsystem_vendor", "subsystem_device"):
            row[key] = _word(place / key)
        if (place / "mdev_supported_types").is_dir():
            row["mdev"] = 1
        vendor, device = row["vendor"].removeprefix("0x"), row["device"].removeprefix("0x")
        for key, name in (("vendor_name", known.get(vendor)), ("device_name", known.get(f"{vendor}:{device}"))):
            if name:
                row[key] = name
        found.append(row)
    return found


def mdevs(id: str, *, sys: Path = Path("/sys")) -> list[dict[str, Any]]:
    """What a PCI device can be divided into. Raises NotFound for a device that is not there. Blocks."""
    place = sys / "bus/pci/devices" / (id if id.count(":") == 2 else f"0000:{id}")
    if not place.is_dir():
        raise NotFound(f"no PCI device '{id}'", code="no-such-device", evidence=str(place.name))
    return [
        {
            "type": kind.name,
            "available": int(_word(kind / "available_instances") or 0),
            "description": _word(kind / "description"),
            **({"name": name} if (name := _word(kind / "name")) else {}),
        }
        for kind in sorted((place / "mdev_supported_types").glob("*"))
    ]


def usb(*, sys: Path = Path("/sys")) -> list[dict[str, Any]]:
    """USB devices, hubs included, as the kernel lists them. Blocks."""
    found = []
    for place in sorted((sys / "bus/usb/devices").glob("*")):
        if not (place / "idVendor").exists():
            continue
        path = place.name.partition("-")[2]
        row: dict[str, Any] = {
            "busnum": int(_word(place / "busnum") or 0),
            "devnum": int(_word(place / "devnum") or 0),
            "class": int(_word(place / "bDeviceClass") or "0", 16),
            "vendid": _word(place / "idVendor"),
            "prodid": _word(place / "idProduct"),
            "speed": _word(place / "speed"),
            "level": path.count(".") + 1 if path else 0,
            "port": int(path.rpartition(".")[2] or 0) if path else 0,
        }
        for key in ("manufacturer", "product", "serial"):
            if text := _word(place / key):
                row[key] = text
        if path:
            row["usbpath"] = path
        found.append(row)
    return found


def _group(place: Path) -> int:
    link = place / "iommu_group"
    return int(link.resolve().name) if link.exists() else -1


def _word(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _names() -> dict[str, str]:
    """Names of vendors (`8086`) and devices (`8086:1237`), where the host has the list."""
    try:
        text = _PCI_IDS.read_text("utf-8", "replace")
    except OSError:
        return {}
    return dict(_entries(text.splitlines()))


def _entries(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    vendor = ""
    for line in lines:
        if line.startswith("C "):  # classes follow, which are something else
            return
        if not line or line.startswith(("#", "\t\t")):
            continue
        number, _, name = line.strip().partition("  ")
        if line.startswith("\t"):
            yield f"{vendor}:{number}", name
        else:
            vendor = number
            yield vendor, name
