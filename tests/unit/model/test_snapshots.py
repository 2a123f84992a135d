"""Snapshots in the configuration, as Proxmox keeps them; the tree of layers."""

from __future__ import annotations

import pytest

from tarmac.drivers.storage.values import SnapshotInfo
from tarmac.model import snapshots as tree
from tarmac.model.conf_file import GuestFile, parse_conf, print_conf
from tarmac.model.errors import InvalidInput, NotFound, WrongState
from tarmac.services.snapshots.plans import removable

DISK = "local:100/vm-100-disk-0.qcow2,size=1G"
FILE = GuestFile(
    current={
        "cores": "2",
        "description": "mine",
        "scsi0": DISK,
        "unused0": "local:100/vm-100-disk-7.qcow2",
        "vmgenid": "11111111-1111-1111-1111-111111111111",
    }
)
NEW_ID = "22222222-2222-2222-2222-222222222222"


def taken(file: GuestFile, name: str, time: int = 1) -> GuestFile:
    return tree.taken(file, name, time=time, description="")


def test_a_section_is_as_proxmox_writes_it() -> None:
    file = tree.taken(FILE, "one", time=1700000000, description="before\nall", state={"vmstate": "local:100/s.raw"})
    text = print_conf(file)
    assert "parent: one\n" in text.split("[one]")[0]
    assert text.split("[one]\n")[1] == (
        "#before\n#all\ncores: 2\n" + f"scsi0: {DISK}\nsnaptime: 1700000000\n"
        "vmgenid: 11111111-1111-1111-1111-111111111111\nvmstate: local:100/s.raw\n"
    )
    assert parse_conf(text) == file


def test_going_back_keeps_what_is_of_now() -> None:
    file = taken(FILE, "one")
    later = GuestFile(
        current={**file.current, "cores": "4", "scsi1": "local:100/vm-100-disk-1.qcow2,size=1G"},
        snapshots=file.snapshots,
        pending={"memory": "4096"},
    )
    now = tree.rolled_back(later, "one", vmgenid=NEW_ID)
    assert now.current == {
        "cores": "2", "description": "mine", "scsi0": DISK, "vmgenid": NEW_ID, "parent": "one",
        "unused0": "local:100/vm-100-disk-7.qcow2", "unused1": "local:100/vm-100-disk-1.qcow2",
    }  # fmt: skip
    assert now.snapshots == file.snapshots and not now.pending


def test_what_stood_on_a_removed_one_stands_on_its_parent() -> None:
    file = taken(taken(taken(FILE, "aa"), "bb"), "cc")
    left = tree.without(file, "bb")
    assert left.snapshots["cc"]["parent"] == "aa" and left.current["parent"] == "cc"
    left = tree.without(left, "aa")
    assert "parent" not in left.snapshots["cc"]
    assert "parent" not in tree.without(left, "cc").current


def test_a_disk_that_only_a_removed_one_knew_becomes_unused() -> None:
    file = taken(FILE, "one")
    file = GuestFile(current={k: v for k, v in file.current.items() if k != "scsi0"}, snapshots=file.snapshots)
    assert "local:100/vm-100-disk-0.qcow2" in tree.without(file, "one").current.values()


def test_one_that_is_half_removed_is_no_way_back() -> None:
    file = tree.marked(taken(FILE, "one"), "one")
    with pytest.raises(WrongState, match="is being removed"):
        tree.check_usable(file, "one")
    with pytest.raises(NotFound, match="snapshot 'two' does not exist"):
        tree.check_usable(file, "two")
    assert parse_conf(print_conf(file)) == file


@pytest.mark.parametrize("name", ["current", "Pending", "a", "1a", "a b", "a" * 41, "a/b"])
def test_names(name: str) -> None:
    with pytest.raises(InvalidInput):
        tree.check_name(name)


def test_rows_end_with_now() -> None:
    file = tree.taken(taken(FILE, "zz", 5), "aa", time=9, description="d")
    found = tree.rows(file, digest="x", running=True)
    assert [row["name"] for row in found] == ["zz", "aa", "current"]
    assert found[1] == {"name": "aa", "snaptime": 9, "vmstate": 0, "description": "d", "parent": "zz"}
    assert found[2] == {
        "name": "current", "digest": "x", "running": 1, "description": "You are here!", "parent": "aa"
    }  # fmt: skip


def test_difference() -> None:
    rows = tree.difference({"cores": "2", "a": "1", "snaptime": "1"}, {"cores": "4", "b": "2", "parent": "x"})
    assert rows == [{"key": "a", "from": "1"}, {"key": "b", "to": "2"}, {"key": "cores", "from": "2", "to": "4"}]


def points(**parents: str | None) -> list[SnapshotInfo]:
    return [SnapshotInfo(name=n, parent=p, used=1, merges=1) for n, p in parents.items()]


REMOVALS = [
    # layers, active, name, kept -> order of removal
    ({"a": None, "b": "a"}, "b", "a", {"b"}, ["a"]),
    ({"a": None, "b": "a"}, "b", "b", {"a"}, ["b"]),
    ({"a": None, "b": "a"}, "a", "a", {"b"}, []),  # b and the active layer stand on it
    ({"a": None, "b": "a"}, "a", "b", set(), ["b", "a"]),  # the hidden one goes with its last branch
    ({"a": None, "b": "a", "c": "a"}, "c", "b", {"c"}, ["b", "a"]),
    ({"a": None, "b": "a", "c": "a"}, "b", "c", {"a", "b"}, ["c"]),
    ({"a": None, "b": "a", "c": "b", "d": "b"}, "d", "c", {"d"}, ["c", "b", "a"]),
    ({"a": None, "b": "a", "c": "b", "d": "b"}, "a", "d", {"c"}, ["d", "b"]),
]


@pytest.mark.parametrize(("layers", "active", "name", "kept", "order"), REMOVALS)
def test_what_a_removal_takes_along(
    layers: dict[str, str | None], active: str, name: str, kept: set[str], order: list[str]
) -> None:
    going = removable(points(**layers), active, name, kept, layers=True)
    assert sorted(p.name for p in going) == sorted(order)
    assert not order or going[0].name == name


def test_copies_stand_on_nothing() -> None:
    assert [p.name for p in removable(points(a=None, b=None), None, "a", {"b"}, layers=False)] == ["a"]


@pytest.mark.parametrize("of", ["", "900/base-900-disk-0.qcow2/"])
def test_an_image_that_stands_on_a_frozen_state_is_the_same_image(of: str) -> None:
    """Snapshots from before it stood there call it otherwise."""
    old, now = "local:100/vm-100-disk-0.qcow2", f"local:{of}100/vm-100-disk-0.qcow2"
    file = taken(FILE, "old")
    file = GuestFile(current={**file.current, "scsi0": f"{now},size=1G"}, snapshots=file.snapshots)
    assert tree.image_of(now) == old
    assert tree.kept_by(file, now) == ["old"]
    back = tree.rolled_back(file, "old", vmgenid=NEW_ID)
    assert back.current["scsi0"] == DISK and "unused1" not in back.current
    assert "unused1" not in tree.without(file, "old").current


def test_names_of_storages_without_directories() -> None:
    assert tree.image_of("rbd:base-9-disk-0/vm-100-disk-0") == "rbd:vm-100-disk-0"
    assert tree.image_of("rbd:vm-100-disk-0") == "rbd:vm-100-disk-0"
