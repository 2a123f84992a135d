"""Privileges, the roles that come with Tarmac, and the places that can be granted: Proxmox's."""

from __future__ import annotations

import pytest

from tarmac.model.privileges import PREDEFINED_ROLES, PRIVILEGES, is_known_path, normalize_path


def test_predefined_roles_are_proxmox_s() -> None:
    assert set(PREDEFINED_ROLES) == {
        "Administrator", "NoAccess", "PVEAdmin", "PVEAuditor", "PVEDatastoreAdmin", "PVEDatastoreUser",
        "PVEMappingAdmin", "PVEMappingUser", "PVEPoolAdmin", "PVEPoolUser", "PVESDNAdmin", "PVESDNUser",
        "PVESysAdmin", "PVETemplateUser", "PVEUserAdmin", "PVEVMAdmin", "PVEVMUser",
    }  # fmt: skip
    ours = {"VM.Clone.Live", "Sys.Metrics"}
    assert len(PRIVILEGES - ours) == 47
    assert PREDEFINED_ROLES["NoAccess"] == frozenset()
    assert PREDEFINED_ROLES["Administrator"] == PRIVILEGES
    outside = {"Permissions.Modify", "Sys.PowerMgmt", "Sys.Modify", "Sys.Incoming", "Sys.AccessNetwork"}
    assert PREDEFINED_ROLES["PVEAdmin"] == PRIVILEGES - ours - outside - {"Realm.Allocate", "Mapping.Modify"}
    assert PREDEFINED_ROLES["PVEAuditor"] == {
        "VM.Audit", "VM.GuestAgent.Audit", "Sys.Audit", "Datastore.Audit", "SDN.Audit", "Pool.Audit", "Mapping.Audit",
    }  # fmt: skip
    assert PREDEFINED_ROLES["PVEDatastoreUser"] == {"Datastore.AllocateSpace", "Datastore.Audit"}
    assert PREDEFINED_ROLES["PVETemplateUser"] == {"VM.Audit", "VM.Clone"}
    assert PREDEFINED_ROLES["PVEPoolAdmin"] == {"Pool.Allocate", "Pool.Audit"}
    assert PREDEFINED_ROLES["PVEUserAdmin"] == {"User.Modify", "Group.Allocate", "Realm.AllocateUser"}
    assert PREDEFINED_ROLES["PVEVMAdmin"] == {p for p in PRIVILEGES - ours if p.startswith("VM.")}
    assert PREDEFINED_ROLES["PVEVMUser"] == {
        "VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.GuestAgent.Audit",
        "VM.GuestAgent.FileRead", "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.FileWrite", "VM.PowerMgmt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "normal"),
    [("/", "/"), ("", None), ("//", "/"), ("vms/100/", "/vms/100"), ("/a//b", "/a/b"), ("/a b", None), ("/é", None),
     ("/vms/../x", "/vms/../x"), ("/a\n", None), ("/storage/local", "/storage/local")],
)  # fmt: skip
def test_paths_are_normalized(text: str, normal: str | None) -> None:
    assert normalize_path(text) == normal


@pytest.mark.parametrize("path", [
    "/", "/access", "/access/groups", "/access/groups/g.1", "/access/realm/pve", "/nodes/n-1", "/pool/a/b/c", "/sdn",
    "/sdn/zones/z/v/12", "/sdn/ipams/x", "/storage/local-lvm", "/vms", "/vms/100", "/mapping/pci/x",
])  # fmt: skip
def test_places_that_can_be_granted(path: str) -> None:
    assert is_known_path(path)


@pytest.mark.parametrize("path", [
    "/users", "/vms/99", "/vms/abc", "/vms/100/x", "/pool/a/b/c/d", "/storage/a/b", "/access/tokens",
    "/sdn/zones/z/v/0", "/nodes/n/qemu", "vms", "/mapping/a/b/c",
])  # fmt: skip
def test_places_that_cannot(path: str) -> None:
    assert not is_known_path(path)
