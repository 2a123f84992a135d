"""What a change of configuration does to the sections and the volumes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.model.errors import InvalidInput
from tarmac.model.vm_change import AT_START, ON_MEDIUM, Change, apply_pending, change_config

DISK = "local:100/vm-100-disk-0.qcow2,size=1G"
OTHER = "local:100/vm-100-disk-1.qcow2,size=2G"


def change(current: dict[str, str], **given_: Any) -> Change:
    return change_config(
        **{"current": current, "pending": {}, "pending_delete": {}, "running": False, "set_": {}} | given_
    )


def test_a_stopped_guest_takes_everything_at_once() -> None:
    done = change({"cores": "1"}, set_={"cores": "2", "memory": "512"})
    assert (done.current, done.pending) == ({"cores": "2", "memory": "512"}, {})
    assert done.live == ["cores", "memory"]


def test_a_running_guest_keeps_what_it_runs_with() -> None:
    done = change({"cores": "1", "name": "a"}, running=True, set_={"cores": "2", "name": "b"})
    assert (done.current, done.pending) == ({"cores": "1", "name": "b"}, {"cores": "2"})
    assert done.effects({"cores": "1", "name": "a"}) == ("name: a -> b", "cores: 1 -> 2 at the next cold boot")
    assert done.rows({"cores": "1", "name": "a"}) == (
        {"key": "name", "old": "a", "new": "b", "when": "now"},
        {"key": "cores", "old": "1", "new": "2", "when": "reboot", "reason": AT_START.reason},
    )


WHEN = [  # (what it has, what is set, when the running guest has it)
    ({}, {"tags": "a"}, "now"),
    ({}, {"shares": "10"}, "now"),
    ({}, {"cpulimit": "1"}, "now"),
    ({}, {"ciuser": "ann"}, "now"),  # it has no medium that would have to be written
    ({"balloon": "64"}, {"balloon": "32"}, "now"),
    ({}, {"balloon": "0"}, "reboot"),
    ({"balloon": "0"}, {"balloon": "64"}, "reboot"),
    ({"agent": "1"}, {"agent": "1,freeze-fs=0"}, "now"),
    ({"agent": "0"}, {"agent": "enabled=0"}, "now"),
    ({}, {"agent": "1"}, "reboot"),
    ({"agent": "1"}, {"agent": "1,type=isa"}, "reboot"),
    ({}, {"cores": "2"}, "reboot"),
    ({}, {"memory": "256"}, "reboot"),
    ({}, {"machine": "q35"}, "reboot"),
    ({}, {"boot": "order=net0"}, "reboot"),
    ({}, {"vga": "virtio"}, "reboot"),
    ({}, {"serial0": "socket"}, "reboot"),
]


@pytest.mark.parametrize(("has", "wanted", "when"), WHEN)
def test_when_a_running_guest_has_what_is_set(has: dict[str, str], wanted: dict[str, str], when: str) -> None:
    done = change(has, running=True, set_=wanted)
    assert [row["when"] for row in done.rows(has)] == [when]
    assert bool(done.pending) is (when == "reboot")
    back = change(done.current | done.pending, running=True, delete=list(set(wanted) - set(has)))
    assert all(row["when"] == when for row in back.rows(wanted)), "as it came, so it goes"
    assert [row["when"] for row in change(has, set_=wanted).rows(has)] == ["now"], "a stopped one has all at once"


def test_what_a_running_guest_reads_from_a_medium_is_written_now_and_read_later() -> None:
    done = change({}, running=True, set_={"ciuser": "ann"}, reasons={"ciuser": ON_MEDIUM})
    assert done.current == {"ciuser": "ann"} and not done.pending
    assert done.rows({}) == ({"key": "ciuser", "new": "ann", "when": "reboot", "reason": ON_MEDIUM.reason},)


def test_setting_the_active_value_again_clears_what_was_pending() -> None:
    done = change({"cores": "1"}, running=True, pending={"cores": "4"}, set_={"cores": "1"})
    assert done.pending == {}


def test_revert_forgets_pending_sets_and_deletes() -> None:
    done = change(
        {"cores": "1", "boot": "c"}, pending={"cores": "4"}, pending_delete={"boot": False}, revert=["cores", "boot"]
    )
    assert (done.pending, done.pending_delete) == ({}, {})


def test_a_disk_taken_out_becomes_unused_and_only_then_can_be_given_up() -> None:
    out = change({"scsi0": DISK}, delete=["scsi0"])
    assert out.current == {"unused0": "local:100/vm-100-disk-0.qcow2"} and out.freed == []
    gone = change(out.current, delete=["unused0"])
    assert gone.current == {} and gone.freed == ["local:100/vm-100-disk-0.qcow2"]


def test_a_replaced_disk_becomes_unused_and_comes_back() -> None:
    done = change({"scsi0": DISK}, set_={"scsi0": OTHER})
    assert done.current == {"scsi0": OTHER, "unused0": "local:100/vm-100-disk-0.qcow2"}
    back = change(done.current, set_={"scsi1": DISK})
    assert back.current == {"scsi0": OTHER, "scsi1": DISK}


def test_options_of_a_disk_change_without_losing_it() -> None:
    assert change({"scsi0": DISK}, set_={"scsi0": DISK + ",ssd=1"}).current == {"scsi0": DISK + ",ssd=1"}


def test_cdroms_leave_nothing_and_cloudinit_media_are_given_up() -> None:
    current = {"ide2": "local:iso/x.iso,media=cdrom", "ide0": "local:100/vm-100-cloudinit.qcow2,media=cdrom"}
    done = change(current, delete=["ide2", "ide0"])
    assert done.current == {} and done.freed == ["local:100/vm-100-cloudinit.qcow2"]


def test_by_force_a_disk_goes_with_its_volume_at_once_or_at_the_next_boot() -> None:
    cdrom = {"ide2": "local:iso/x.iso,media=cdrom"}
    done = change({"scsi0": DISK, **cdrom}, delete=["scsi0", "ide2"], force=True)
    assert done.current == {} and done.freed == [DISK.split(",")[0]]
    waits = change({"scsi0": DISK}, delete=["scsi0"], force=True, running=True)
    assert waits.pending_delete == {"scsi0": True} and waits.freed == []
    booted = apply_pending(waits.current, waits.pending, waits.pending_delete)
    assert booted.current == {} and booted.freed == [DISK.split(",")[0]]
    # Asked again without force: it stays by force, as in Proxmox.
    again = change({"scsi0": DISK}, delete=["scsi0"], pending_delete={"scsi0": True}, running=True)
    assert again.pending_delete == {"scsi0": True}


@pytest.mark.parametrize("bad", [{"delete": ["cores"], "set_": {"cores": "2"}}, {"delete": ["nonsense"]}])
def test_what_makes_no_sense_is_refused_by_name(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        change({}, **bad)
    assert set(caught.value.parameters) & {"cores", "delete"}


KEYS = st.sampled_from(["cores", "memory", "name", "scsi0", "scsi1", "virtio0", "onboot"])
VOLUMES = st.sampled_from([DISK, OTHER, "local:100/vm-100-disk-2.qcow2"])


@st.composite
def settings(draw: st.DrawFn) -> dict[str, str]:
    keys = draw(st.sets(KEYS))
    return {k: draw(VOLUMES) if k[-1].isdigit() else {"name": "a", "onboot": "1"}.get(k, "16") for k in keys}


def volumes(texts: dict[str, str]) -> set[str]:
    return {t.split(",")[0] for t in texts.values() if ":" in t}


@given(current=settings(), new=settings(), running=st.booleans(), data=st.data())
def test_no_volume_is_ever_lost(
    current: dict[str, str], new: dict[str, str], running: bool, data: st.DataObject
) -> None:
    delete = data.draw(st.sets(KEYS).map(lambda keys: sorted(keys - set(new))))
    done = change(current, set_=new, delete=delete, running=running)
    booted = apply_pending(done.current, done.pending, done.pending_delete)
    assert volumes(current) | volumes(new) <= volumes(booted.current) | set(booted.freed)
    assert not booted.freed and not booted.pending


def test_a_secret_is_not_told() -> None:
    done = change_config(
        current={"cipassword": "$6$old"}, pending={}, pending_delete={}, running=False, set_={"cipassword": "$6$new"}
    )
    assert "$6$" not in str(done.rows({"cipassword": "$6$old"})) + str(done.effects({"cipassword": "$6$old"}))
