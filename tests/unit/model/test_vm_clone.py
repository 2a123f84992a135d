"""What a clone inherits, what it must not have, and how clones are named."""

from __future__ import annotations

import pytest

from tarmac.model.errors import InvalidInput
from tarmac.model.vm_clone import clone_name, draft_clone, is_cloudinit
from tarmac.services.guests.birth_marks import renewed

SOURCE = {
    "name": "web",
    "memory": "512",
    "template": "1",
    "lock": "backup",
    "meta": "creation-qemu=7.2,ctime=1",
    "parent": "before",
    "vmstate": "local:9000/vm-9000-state-x.raw",
    "unused0": "local:9000/vm-9000-disk-7.qcow2",
    "scsi0": "local:9000/base-9000-disk-0.qcow2,discard=on,size=2G",
    "efidisk0": "local:9000/base-9000-disk-1.raw,efitype=4m,size=528K",
    "tpmstate0": "local:9000/vm-9000-disk-2.raw,size=4M,version=v2.0",
    "ide0": "none,media=cdrom",
    "ide2": "local:9000/vm-9000-cloudinit.qcow2,media=cdrom",
    "sata0": "local:iso/debian.iso,media=cdrom,size=1M",
    "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
    "net1": "e1000=BC:24:11:00:00:02,forward=tcp::2222:22",
    "smbios1": "uuid=11111111-2222-3333-4444-555555555555,product=x",
    "vmgenid": "11111111-2222-3333-4444-555555555555",
    "unknown-of-a-later-version": "kept",
}


def test_a_clone_inherits_all_but_what_belongs_to_its_source() -> None:
    draft = draft_clone(SOURCE, name="new", description="a line")
    gone = SOURCE.keys() - draft.texts.keys()
    assert gone == {"template", "lock", "meta", "parent", "vmstate", "unused0"}
    assert draft.texts["name"] == "new"
    assert draft.texts["description"] == "a line"
    assert list(draft.volumes) == ["ide2", "scsi0", "efidisk0", "tpmstate0"]
    assert [key for key, volume in draft.volumes.items() if is_cloudinit(volume)] == ["ide2"]


def test_identity_is_new_and_everything_beside_it_stays() -> None:
    one, other = renewed(SOURCE), renewed(SOURCE)
    for key in ("net0", "net1", "smbios1", "vmgenid"):
        assert len({one[key], other[key], SOURCE[key]}) == 3, key
    assert one["net0"].endswith(",bridge=vmbr0,firewall=1")
    assert one["net0"].startswith("virtio=BC:24:11:")
    assert "forward" not in one["net1"]  # a port of the host has one guest
    assert one["smbios1"].startswith("uuid=") and one["smbios1"].endswith(",product=x")
    same = SOURCE.keys() - {"net0", "net1", "smbios1", "vmgenid"}
    assert {key: one[key] for key in same} == {key: SOURCE[key] for key in same}


@pytest.mark.parametrize("vmgenid", [None, "0"])
def test_a_guest_without_a_generation_id_gets_none(vmgenid: str | None) -> None:
    texts = {} if vmgenid is None else {"vmgenid": vmgenid}
    assert renewed(texts).get("vmgenid") == vmgenid


@pytest.mark.parametrize(
    ("pattern", "count", "name"),
    [
        (None, 1, "Copy-of-VM-web"),
        (None, 3, "Copy-of-VM-web-2"),
        ("db", 1, "db"),
        ("db", 3, "db-2"),
        ("db{n}.lan", 3, "db2.lan"),
        ("vm{vmid}", 3, "vm101"),
        ("vm{vmid}-{n}", 1, "vm101-2"),
    ],
)
def test_names_are_made_of_a_pattern(pattern: str | None, count: int, name: str) -> None:
    assert clone_name(pattern, "web", number=2, vmid=101, count=count) == name


def test_a_pattern_that_makes_no_name_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        clone_name("no name {n}", "web", number=1, vmid=101, count=2)
    assert "no name 1" in refused.value.parameters["name"]
