"""What differs between two configurations, and going back from one to the other."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tarmac.model.conf_diff import changes, restorable, to_restore
from tarmac.model.conf_file import GuestFile
from tarmac.model.vm_change import change_config

OLD = GuestFile(
    current={"memory": "512", "scsi0": "local:100/vm-100-disk-0.qcow2,size=1G", "cipassword": "$6$a"},
    pending={"cores": "2"},
    snapshots={"one": {"memory": "512"}},
)
NEW = GuestFile(
    current={"memory": "1024", "scsi0": "local:100/vm-100-disk-0.qcow2,size=2G", "cipassword": "$6$b", "name": "web"},
    pending_delete={"name": False},
)


def test_each_section_is_looked_at_and_secrets_are_masked() -> None:
    rows = [change.row() for change in changes(OLD, NEW)]
    assert {"key": "memory", "old": "512", "new": "1024"} in rows
    assert {"key": "cipassword", "old": "**********", "new": "**********"} in rows
    assert {"key": "name", "new": "web"} in rows
    assert {"key": "cores", "section": "pending", "old": "2"} in rows
    assert {"key": "name", "section": "pending", "new": "(deleted)"} in rows
    assert {"key": "one", "section": "snapshot", "old": "there"} in rows
    assert "$6$" not in str(rows)


def test_going_back_keeps_sizes_and_makes_no_volume() -> None:
    texts, deletes = to_restore(NEW.current, OLD.current)
    assert texts == {"memory": "512", "cipassword": "$6$a"}
    assert deletes == ["name"]
    assert to_restore(NEW.current, OLD.current, ["memory"]) == ({"memory": "512"}, [])


def test_a_medium_is_made_anew_and_a_disk_keeps_what_else_it_had() -> None:
    wanted = {
        "ide2": "local:100/vm-100-cloudinit.qcow2,media=cdrom",
        "scsi0": "local:100/vm-100-disk-0.qcow2,discard=on,size=1G",
    }
    present = {"scsi0": "local:100/vm-100-disk-0.qcow2,size=2G"}
    texts, _ = to_restore(present, wanted)
    assert texts == {"ide2": "local:cloudinit", "scsi0": wanted["scsi0"]}


def test_what_has_verbs_of_its_own_is_left_alone() -> None:
    for key in ("template", "lock", "parent", "meta", "vmgenid", "unused0", "vmstate", "no-such-key"):
        assert not restorable(key)
    assert to_restore({"template": "1", "unused0": "local:1/a"}, {"parent": "one"}) == ({}, [])


KEYS = {
    "memory": st.sampled_from(["512", "1024"]),
    "cores": st.sampled_from(["1", "2"]),
    "name": st.sampled_from(["a", "b"]),
    "net0": st.sampled_from(["virtio=BC:24:11:00:00:01", "e1000=BC:24:11:00:00:01"]),
    "scsi0": st.sampled_from([f"local:100/vm-100-disk-{i}.qcow2,size=1G" for i in range(2)]),
    "scsi1": st.sampled_from(["local:100/vm-100-disk-2.qcow2,size=1G"]),
}
CONFIGS = st.fixed_dictionaries({}, optional=KEYS)


@given(present=CONFIGS, wanted=CONFIGS, pending=CONFIGS, running=st.booleans())
def test_the_next_start_has_what_was_wanted_and_no_volume_is_lost(
    present: Any, wanted: Any, pending: Any, running: bool
) -> None:
    waits = pending if running else {}
    merged = GuestFile(current=present, pending=waits).merged()
    texts, deletes = to_restore(merged, wanted)
    change = change_config(
        current=present, pending=waits, pending_delete={}, running=running, set_=texts, delete=deletes
    )
    after = GuestFile(current=change.current, pending=change.pending, pending_delete=change.pending_delete).merged()
    assert {k: v for k, v in after.items() if not k.startswith("unused")} == wanted
    assert change.freed == []
    assert not set(texts) & set(deletes)
