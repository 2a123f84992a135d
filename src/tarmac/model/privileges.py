"""What a user may be allowed to do: Proxmox's privileges, the roles that exist from the start, and access paths.

A privilege is granted by a role on a path. Each belongs to an area and a level; the predefined roles follow from that
table, so a privilege added here is in the right roles by itself.
Source of names and roles: PVE::AccessControl of Proxmox VE 9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# area -> level -> privileges. `root` levels are in no predefined role but Administrator.
_AREAS: Mapping[str, Mapping[str, str]] = {
    "VM": {
        # Not of Proxmox: instant clones get everything that is in their template's memory.
        "root": "VM.Clone.Live",
        "admin": "VM.Allocate VM.Clone VM.Config.CPU VM.Config.Disk VM.Config.HWType VM.Config.Memory"
        " VM.Config.Network VM.Config.Options VM.GuestAgent.Unrestricted VM.Migrate VM.Replicate VM.Snapshot"
        " VM.Snapshot.Rollback",
        "user": "VM.Backup VM.Config.CDROM VM.Config.Cloudinit VM.Console VM.GuestAgent.FileRead"
        " VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.PowerMgmt",
        "audit": "VM.Audit VM.GuestAgent.Audit",
    },
    "Sys": {
        # Sys.Metrics is ours: the figures for Prometheus and nothing else.
        "root": "Sys.AccessNetwork Sys.Incoming Sys.Metrics Sys.Modify Sys.PowerMgmt",
        "admin": "Sys.Console Sys.Syslog",
        "audit": "Sys.Audit",
    },
    "Datastore": {
        "admin": "Datastore.Allocate Datastore.AllocateTemplate",
        "user": "Datastore.AllocateSpace",
        "audit": "Datastore.Audit",
    },
    "SDN": {"admin": "SDN.Allocate", "user": "SDN.Use", "audit": "SDN.Audit"},
    "User": {"root": "Realm.Allocate", "admin": "Group.Allocate Realm.AllocateUser User.Modify"},
    "Pool": {"admin": "Pool.Allocate", "user": "Pool.Audit", "audit": "Pool.Audit"},
    "Mapping": {"admin": "Mapping.Modify", "user": "Mapping.Use", "audit": "Mapping.Audit"},
}


def _in(area: str, *levels: str) -> frozenset[str]:
    return frozenset(word for level in levels for word in _AREAS[area].get(level, "").split())


PRIVILEGES = frozenset(p for area in _AREAS for p in _in(area, "root", "admin", "user", "audit")) | {
    "Permissions.Modify"
}


def _predefined() -> dict[str, frozenset[str]]:
    roles = {"NoAccess": frozenset[str](), "Administrator": PRIVILEGES}
    for area, levels in _AREAS.items():
        roles[f"PVE{area}Admin"] = _in(area, "admin", "user", "audit")
        if "user" in levels:
            roles[f"PVE{area}User"] = _in(area, "user", "audit")
    admin = frozenset(p for area in _AREAS for p in _in(area, "admin", "user", "audit"))
    roles["PVEAdmin"] = admin - {"Mapping.Modify"}
    roles["PVEAuditor"] = frozenset(p for area in _AREAS for p in _in(area, "audit"))
    roles["PVETemplateUser"] = frozenset({"VM.Audit", "VM.Clone"})
    return roles


PREDEFINED_ROLES: Mapping[str, frozenset[str]] = _predefined()
NO_ACCESS = "NoAccess"

_SEGMENT = r"[A-Za-z0-9._-]+"
_PATH = re.compile(rf"/?(?:{_SEGMENT}/)*{_SEGMENT}|/")
_KNOWN_PATH = re.compile(
    r"/(?:"
    rf"|access(?:/groups(?:/{_SEGMENT})?|/realm(?:/{_SEGMENT})?)?"
    rf"|nodes(?:/{_SEGMENT})?"
    rf"|pool(?:/{_SEGMENT}){{0,3}}"
    r"|sdn(?:/(?:controllers|dns|fabrics|ipams|prefix-lists|route-maps)(?:/[A-Za-z0-9_-]+)?"
    rf"|/zones(?:/{_SEGMENT}(?:/{_SEGMENT}(?:/[1-9][0-9]{{0,3}})?)?)?)?"
    rf"|storage(?:/{_SEGMENT})?"
    r"|vms(?:/[1-9][0-9]{2,})?"
    rf"|mapping(?:/{_SEGMENT}){{0,2}}"
    r")"
)


def normalize_path(path: str) -> str | None:
    """An access path with one slash in front and between its parts and none behind; None for what is no path."""
    collapsed = re.sub(r"/+", "/", path).removesuffix("/") or ("/" if path else "")
    if not _PATH.fullmatch(collapsed):
        return None
    return collapsed if collapsed.startswith("/") else f"/{collapsed}"


def is_known_path(path: str) -> bool:
    """Whether something of the platform can stand at a (normalized) path, so that granting there makes sense."""
    return _KNOWN_PATH.fullmatch(path) is not None
