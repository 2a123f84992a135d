"""The table of docs/storage.md says what the drivers say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.block.lvm import LvmCommands, LvmThinCommands
from tarmac.drivers.storage.block.offered import OFFERED
from tarmac.drivers.storage.block.zfs import ZfsCommands
from tarmac.drivers.storage.directory.mounted import MountedStorage
from tarmac.drivers.storage.directory.mounts import Mount
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import Capabilities

ROWS = {
    "dir": "`dir` on ext4 and others",
    "dir-xfs": "`dir` on xfs or btrfs",
    "dir-btrfs": "`dir` on xfs or btrfs",
    "btrfs": "`btrfs`",
    "rbd": "`rbd`",
    "nfs": "`nfs`, `cifs`",
    "nfs3": "`nfs`, `cifs`",
    "cifs": "`nfs`, `cifs`",
    "lvm": "`lvm`",
    "lvmthin": "`lvmthin`",
}


def table() -> dict[str, list[str]]:
    text = (Path(__file__).resolve().parents[2] / "docs/storage.md").read_text()
    lines = text.split("| storage | formats |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def as_row(can: Capabilities) -> list[str]:
    def word(yes: bool) -> str:
        return "yes" if yes else "no"

    return [
        ", ".join(sorted(can.formats)),
        ", ".join(f"{format}: {kind}" for format, kind in sorted(can.snapshots.items())) or "none",
        word(can.linked_clones),
        "shared blocks" if can.shares_blocks else "copied",
        word(can.resize_online),
        word(can.thin),
    ]


async def test_the_table(storage: Storage, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["storage"]
    row = table()[ROWS[kind]]
    assert row[:-1] == as_row(storage.capabilities)
    assert (row[-1] == "yes") == storage.capabilities.shared


def test_network_file_systems(tmp_path: Path) -> None:
    made = MountedStorage("nas", Mount(type="nfs", source="a:/b", target=tmp_path), jail=Jail(), shared=True)
    row = table()["`nfs`, `cifs`"]
    assert row == [*as_row(made.capabilities), "yes" if made.capabilities.shared else "no"]


def test_what_servers_offer() -> None:
    assert table()["`iscsidirect`, `nbd`"] == [*as_row(OFFERED), "yes" if OFFERED.shared else "no"]


LVM = {
    "`lvm`": LvmCommands("vg").capabilities,
    "`lvmthin`": LvmThinCommands("vg", "data").capabilities,
}


@pytest.mark.parametrize("row", LVM)
def test_volume_groups(row: str) -> None:
    assert table()[row][:-1] == as_row(LVM[row])


UNTRIED = {
    "`zfspool` with `sparse 1` (not yet run)": ZfsCommands("tank", sparse=True).capabilities,
}


@pytest.mark.parametrize("row", UNTRIED)
def test_what_nobody_has_run_yet(row: str) -> None:
    assert table()[row][:-1] == as_row(UNTRIED[row])


def test_no_row_is_left_over() -> None:
    assert set(table()) == {*ROWS.values(), "`iscsidirect`, `nbd`", *UNTRIED}
