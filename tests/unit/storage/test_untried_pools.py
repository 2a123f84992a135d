"""LVM, and ZFS, which was not yet run on a real kernel: the exact command of every verb, and how their tables read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.storage.block.commands import BlockCommands, Point
from tarmac.drivers.storage.block.lvm import LvmCommands, LvmThinCommands
from tarmac.drivers.storage.block.storage import BlockStorage, Means
from tarmac.drivers.storage.block.zfs import ZfsCommands
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.storage import definition_of

MIB = 1 << 20
POOLS: dict[str, BlockCommands] = {
    "lvm": LvmCommands("vg"),
    "wipe": LvmCommands("vg", wipe=True, step_mib=4),
    "thin": LvmThinCommands("vg", "data"),
    "zfs": ZfsCommands("tank/vms"),
    "sparse": ZfsCommands("tank", sparse=True, block_size="16k"),
}
TABLE: list[tuple[str, str, tuple[Any, ...], list[str]]] = [
    (
        "lvm",
        "create",
        ("vm-1-disk-0", 5 * MIB + 1, 1, "m"),
        [
            "lvcreate -aly -Wy --yes --size 5121k --name vm-1-disk-0 --addtag pve-vm-1 --addtag tarmac-m"
            " --setautoactivation n vg"
        ],
    ),
    ("lvm", "open", ("vm-1-disk-0",), ["lvchange -aly -K vg/vm-1-disk-0"]),
    ("lvm", "rename", ("a", "b"), ["lvrename vg a b"]),
    ("lvm", "remove", ("vm-1-disk-0", ()), ["lvremove -f vg/vm-1-disk-0"]),
    (
        "wipe",
        "remove",
        ("vm-1-disk-0", ()),
        [
            "lvchange -aly -K vg/vm-1-disk-0",
            "lvrename vg vm-1-disk-0 del-vm-1-disk-0",
            "blkdiscard --zeroout --step 4194304 /dev/vg/del-vm-1-disk-0",
            "lvremove -f vg/del-vm-1-disk-0",
        ],
    ),
    ("lvm", "resize", ("vm-1-disk-0", 8 * MIB), ["lvextend --size 8192k vg/vm-1-disk-0"]),
    ("lvm", "activate", (), ["vgs --noheadings --options vg_name vg"]),
    ("lvm", "names", (), ["lvs --noheadings --options lv_name vg"]),
    ("lvm", "points", ("a",), ["lvs --noheadings --options lv_name vg/a"]),
    ("lvm", "mark", ("a",), ["lvs --noheadings --options lv_tags vg/a"]),
    (
        "lvm",
        "status",
        (),
        [
            'vgs --noheadings --nosuffix --units b --separator : --config report/time_format="%s"'
            " --options vg_size,vg_free vg"
        ],
    ),
    (
        "lvm",
        "listing",
        (),
        [
            'lvs --noheadings --nosuffix --units b --separator : --config report/time_format="%s"'
            " --options lv_name,lv_size,lv_attr,pool_lv,origin,data_percent,lv_time,lv_tags vg"
        ],
    ),
    ("lvm", "drop", ("a", Point(name="s")), ["lvremove -f vg/snap_a_s"]),
    (
        "thin",
        "create",
        ("vm-1-disk-0", 4 * MIB, 1, "m"),
        [
            "lvcreate -aly -V 4096k --name vm-1-disk-0 --thinpool vg/data --addtag pve-vm-1 --addtag tarmac-m",
            "lvchange --setautoactivation n vg/vm-1-disk-0",
        ],
    ),
    (
        "thin",
        "clone",
        ("base-9-disk-0", "vm-1-disk-0", 1, "m"),
        [
            "lvcreate -n vm-1-disk-0 -prw -kn --addtag pve-vm-1 --addtag tarmac-m -s vg/base-9-disk-0",
            "lvchange --setautoactivation n vg/vm-1-disk-0",
        ],
    ),
    ("thin", "snapshot", ("vm-1-disk-0", "s"), ["lvcreate -n snap_vm-1-disk-0_s -pr -s vg/vm-1-disk-0"]),
    ("thin", "drop", ("vm-1-disk-0", Point(name="s")), ["lvremove -f vg/snap_vm-1-disk-0_s"]),
    (
        "thin",
        "remove",
        ("a", [Point(name="s"), Point(name="t")]),
        ["lvremove -f vg/snap_a_s", "lvremove -f vg/snap_a_t", "lvremove -f vg/a"],
    ),
    (
        "thin",
        "rollback",
        ("a", "s", [Point(name="s")], "part", True),
        [
            "lvcreate -kn -n part -prw -s vg/snap_a_s",
            "lvchange --setautoactivation n vg/part",
            "lvremove -f vg/a",
            "lvrename vg part a",
        ],
    ),
    (
        "thin",
        "rollback",
        ("a", "s", [Point(name="s")], "part", False),
        ["lvcreate -kn -n part -prw -s vg/snap_a_s", "lvchange --setautoactivation n vg/part", "lvrename vg part a"],
    ),
    ("thin", "seal", ("base-9-disk-0", ()), ["lvchange -an -pr -ky vg/base-9-disk-0"]),
    ("thin", "seal", ("base-9-disk-0", [Point(name="__base__")]), []),
    ("thin", "unseal", ("base-9-disk-0", [Point(name="__base__")]), ["lvchange -prw -kn vg/base-9-disk-0"]),
    ("thin", "unseal", ("base-9-disk-0", ()), []),
    ("thin", "remove", ("base-9-disk-0", [Point(name="__base__")]), ["lvremove -f vg/base-9-disk-0"]),
    ("thin", "open", ("a", "s"), ["lvchange -aly -K vg/snap_a_s"]),
    ("thin", "activate", (), ["lvchange -ay -K vg/data"]),
    (
        "thin",
        "status",
        (),
        [
            'lvs --noheadings --nosuffix --units b --separator : --config report/time_format="%s"'
            " --options lv_size,data_percent vg/data"
        ],
    ),
    (
        "thin",
        "points",
        ("vm-1-disk-0",),
        [
            "lvs --noheadings --options lv_name,lv_attr --sort lv_time --select"
            r" lv_name=vm-1-disk-0 || lv_name=~^snap_vm\-1\-disk\-0_ vg"
        ],
    ),
    (
        "zfs",
        "create",
        ("vm-1-disk-0", 5 * MIB + 1, 1, "m"),
        ["zfs create -V 6144k -o tarmac:mark=m tank/vms/vm-1-disk-0"],
    ),
    (
        "sparse",
        "create",
        ("vm-1-disk-0", MIB, 1, "m"),
        ["zfs create -s -b 16k -V 1024k -o tarmac:mark=m tank/vm-1-disk-0"],
    ),
    (
        "zfs",
        "clone",
        ("base-9-disk-0", "x", 1, "m"),
        ["zfs clone -o tarmac:mark=m tank/vms/base-9-disk-0@__base__ tank/vms/x"],
    ),
    ("zfs", "rename", ("a", "b"), ["zfs rename tank/vms/a tank/vms/b"]),
    ("zfs", "remove", ("a", [Point(name="s")]), ["zfs destroy -r tank/vms/a"]),
    ("zfs", "resize", ("a", 8 * MIB), ["zfs set volsize=8192k tank/vms/a"]),
    ("zfs", "snapshot", ("a", "s"), ["zfs snapshot tank/vms/a@s"]),
    ("zfs", "rollback", ("a", "s", [Point(name="r"), Point(name="s")], "part", True), ["zfs rollback tank/vms/a@s"]),
    ("zfs", "drop", ("a", Point(name="s")), ["zfs destroy tank/vms/a@s"]),
    ("zfs", "seal", ("b", ()), ["zfs snapshot tank/vms/b@__base__"]),
    ("zfs", "seal", ("b", [Point(name="__base__")]), []),
    ("zfs", "unseal", ("b", [Point(name="__base__")]), ["zfs destroy tank/vms/b@__base__"]),
    ("zfs", "open", ("a",), ["udevadm settle --timeout=10 --exit-if-exists=/dev/zvol/tank/vms/a"]),
    (
        "zfs",
        "open",
        ("a", "s"),
        ["zfs set snapdev=visible tank/vms/a", "udevadm settle --timeout=10 --exit-if-exists=/dev/zvol/tank/vms/a@s"],
    ),
    ("zfs", "activate", (), ["zfs list -H -o name tank/vms"]),
    ("zfs", "status", (), ["zfs get -Hp -o value available,used tank/vms"]),
    ("zfs", "names", (), ["zfs list -H -t volume -d 1 -o name tank/vms"]),
    (
        "zfs",
        "listing",
        (),
        ["zfs list -Hp -t volume -d 1 -o name,volsize,origin,usedbydataset,creation,tarmac:mark tank/vms"],
    ),
    (
        "zfs",
        "show",
        ("a",),
        ["zfs list -Hp -t volume -o name,volsize,origin,usedbydataset,creation,tarmac:mark tank/vms/a"],
    ),
    ("zfs", "points", ("a",), ["zfs list -H -t snapshot -d 1 -s createtxg -o name tank/vms/a"]),
    ("zfs", "mark", ("a",), ["zfs get -H -o value tarmac:mark tank/vms/a"]),
]


@pytest.mark.parametrize(("pool", "verb", "arguments", "wanted"), TABLE)
def test_every_verb(pool: str, verb: str, arguments: tuple[Any, ...], wanted: list[str]) -> None:
    found: Sequence[Any] = getattr(POOLS[pool], verb)(*arguments)
    one = bool(found) and isinstance(found[0], str)
    assert [" ".join(argv) for argv in ([found] if one else found)] == wanted


def test_every_verb_stands_in_the_table() -> None:
    verbs = {name for name in vars(BlockCommands) if not name.startswith("_") and callable(vars(BlockCommands)[name])}
    verbs -= {"parse", "clone_name", "location", "node", "files", "devices", "lingers"}
    verbs -= {name for name in verbs if name.startswith(("read_", "is_"))}
    assert verbs - {verb for _, verb, _, _ in TABLE} == set()


def test_what_plain_volumes_cannot() -> None:
    for verb, arguments in (
        ("clone", ("a", "b", 1, "m")),
        ("snapshot", ("a", "s")),
        ("seal", ("a", ())),
        ("rollback", ("a", "s", (), "p", True)),
    ):
        with pytest.raises(InvalidInput, match="in lvm storage"):
            getattr(POOLS["lvm"], verb)(*arguments)
    with pytest.raises(ValueError, match="unable to parse lvm volume name"):
        POOLS["lvm"].parse("base-9-disk-0")
    with pytest.raises(ValueError, match="not most recent snapshot"):
        POOLS["zfs"].rollback("a", "r", [Point(name="r"), Point(name="s")], "part", True)


def test_names_and_devices() -> None:
    thin, zfs = POOLS["thin"], POOLS["zfs"]
    assert str(thin.clone_name(thin.parse("base-9-disk-0"), 1, "vm-1-disk-0")) == "vm-1-disk-0"
    assert str(zfs.clone_name(zfs.parse("base-9-disk-0"), 1, "vm-1-disk-0")) == "base-9-disk-0/vm-1-disk-0"
    assert thin.node("vm-1-disk-0", "s") == {"driver": "host_device", "filename": "/dev/vg/snap_vm-1-disk-0_s"}
    assert zfs.location("vm-1-disk-0") == "/dev/zvol/tank/vms/vm-1-disk-0"
    assert zfs.devices("vm-1-disk-0") == (Path("/dev/zvol/tank/vms/vm-1-disk-0"),)


def test_tables_of_lvm() -> None:
    table = """\
  vm-1-disk-0:1073741824:-wi-a-----::::1700000000:pve-vm-1,tarmac-abc
  vm-2-disk-0:1073741824:Vwi-a-tz--:data::25.00:1700000001:tarmac-def
  snap_vm-2-disk-0_s:1073741824:Vri---tz-k:data:vm-2-disk-0::1700000002:
  data:10737418240:twi-aotz--:::3.00:1700000003:
"""
    (plain,) = POOLS["lvm"].read_listing(table)
    assert (plain.name, plain.size, plain.used, plain.mark, plain.ctime) == (
        "vm-1-disk-0", 1 << 30, 1 << 30, "abc", 1700000000,
    )  # fmt: skip
    (thin,) = POOLS["thin"].read_listing(table)
    assert (thin.name, thin.used, thin.mark) == ("vm-2-disk-0", 1 << 28, "def")
    assert [i.name for i in LvmCommands("vg", tagged_only=True).read_listing(table)] == ["vm-1-disk-0"]
    assert POOLS["lvm"].read_listing(table.replace("pve-vm-1,", ""))[0].mark == "abc"
    assert POOLS["lvm"].read_mark("  pve-vm-1,tarmac-abc\n") == "abc"
    points = POOLS["thin"].read_points("a", "  a Vwi-a-tz--\n  snap_a_one Vri---tz-k\n  snap_a_two Vri---tz-k\n")
    assert points == [Point(name="one"), Point(name="two")]
    assert POOLS["thin"].read_points("base-9-disk-0", "  base-9-disk-0 Vri---tz-k\n") == [Point(name="__base__")]
    with pytest.raises(LookupError):
        POOLS["thin"].read_points("a", "")
    status = POOLS["thin"].read_status(["  1000:25.00\n"])
    assert (status.total, status.used, status.available) == (1000, 250, 750)
    assert POOLS["lvm"].read_status(["  1000:400\n"]).used == 600


def test_tables_of_zfs() -> None:
    table = (
        "tank/vms/base-9-disk-0\t1073741824\t-\t4096\t1700000000\tm\n"
        "tank/vms/vm-1-disk-0\t1073741824\ttank/vms/base-9-disk-0@__base__\t8192\t1700000001\t-\n"
        "tank/vms/vm-2-disk-0\t1073741824\ttank/vms/vm-1-disk-0@mine\t8192\t1700000001\t-\n"
    )
    images = POOLS["zfs"].read_listing(table)
    assert [(i.name, i.parent, i.used, i.mark) for i in images] == [
        ("base-9-disk-0", None, 4096, "m"),
        ("vm-1-disk-0", "base-9-disk-0", 8192, ""),
        ("vm-2-disk-0", None, 8192, ""),
    ]
    assert POOLS["zfs"].read_points("a", "tank/vms/a@one\ntank/vms/a@__base__\n")[1] == Point(name="__base__")
    assert POOLS["zfs"].read_status(["700\n300\n"]).total == 1000


@pytest.mark.parametrize(
    "texts",
    [
        {"type": "lvm", "vgname": "vg", "saferemove": "1"},
        {"type": "lvmthin", "vgname": "vg", "thinpool": "data"},
        {"type": "zfspool", "pool": "tank/vms", "sparse": "1"},
    ],
)
def test_they_are_built_from_their_definitions(texts: dict[str, str], tmp_path: Path) -> None:
    means = Means(jail=Jail(), private=tmp_path, scratch=tmp_path)
    made = build_storage(definition_of({"storage": "pool", **texts}), {}, means=means)
    assert isinstance(made, BlockStorage) and made.capabilities.grows_first and not made.capabilities.files


def test_what_of_lvm_is_not_built(tmp_path: Path) -> None:
    means = Means(jail=Jail(), private=tmp_path, scratch=tmp_path)
    for more in ({"base": "san:lun1"}, {"saferemove_throughput": "10"}):
        with pytest.raises(NotBuilt):
            build_storage(definition_of({"storage": "pool", "type": "lvm", "vgname": "vg", **more}), {}, means=means)
