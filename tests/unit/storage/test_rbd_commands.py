"""What is said to `rbd` and to QEMU of a Ceph pool, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.storage.block import rbd
from tarmac.drivers.storage.block.commands import Point
from tarmac.drivers.storage.block.ground import Means
from tarmac.drivers.storage.block.rbd import RbdCommands, monitors
from tarmac.drivers.storage.jail import Jail
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.storage import definition_of


def commands(**settings: Any) -> RbdCommands:
    usual = {"monitors": "a", "pool": "vms", "namespace": None, "data_pool": None, "user": "tarmac", "keyring": None}
    return RbdCommands(**{**usual, "folder": Path("/private/pool"), **settings})


TOOL = "rbd --conf /private/pool/ceph.conf --id tarmac"


def said(argv: Sequence[Sequence[str]]) -> list[str]:
    return [" ".join(words).removeprefix(TOOL + " ") for words in argv]


GUARDED = [Point(name="a"), Point(name="__base__", guarded=True)]


@pytest.mark.parametrize(
    ("verb", "arguments", "wanted"),
    [
        (
            "create",
            ("vm-1-disk-0", 5 << 20, 1, "m"),
            [
                "create --image-format 2 --size 5242880B vms/vm-1-disk-0",
                "image-meta set vms/vm-1-disk-0 tarmac.made-by m",
            ],
        ),
        (
            "clone",
            ("base-1-disk-0", "vm-2-disk-0", 2, "m"),
            ["clone vms/base-1-disk-0@__base__ vms/vm-2-disk-0", "image-meta set vms/vm-2-disk-0 tarmac.made-by m"],
        ),
        ("rename", ("a", "b"), ["rename vms/a vms/b"]),
        (
            "remove",
            ("base-1-disk-0", GUARDED),
            [
                "snap rm --no-progress vms/base-1-disk-0@a",
                "snap unprotect vms/base-1-disk-0@__base__",
                "snap rm --no-progress vms/base-1-disk-0@__base__",
                "rm --no-progress vms/base-1-disk-0",
            ],
        ),
        ("resize", ("a", 7), ["resize --no-progress --size 7B vms/a"]),
        ("snapshot", ("a", "s"), ["snap create --no-progress vms/a@s"]),
        ("rollback", ("a", "s", (), "p", True), ["snap rollback --no-progress vms/a@s"]),
        ("seal", ("b", ()), ["snap create --no-progress vms/b@__base__", "snap protect vms/b@__base__"]),
        ("seal", ("b", [Point(name="__base__")]), ["snap protect vms/b@__base__"]),
        ("seal", ("b", GUARDED), []),
        ("unseal", ("b", GUARDED), ["snap unprotect vms/b@__base__", "snap rm --no-progress vms/b@__base__"]),
    ],
)
def test_every_verb(verb: str, arguments: tuple[Any, ...], wanted: list[str]) -> None:
    assert said(getattr(commands(), verb)(*arguments)) == wanted


def test_a_namespace_and_a_data_pool() -> None:
    pool = commands(namespace="ns", data_pool="ec")
    assert said(pool.create("vm-1-disk-0", 1, 1, "m"))[0] == (
        "create --image-format 2 --size 1B --data-pool ec vms/ns/vm-1-disk-0"
    )
    assert said([pool.names()]) == ["ls --format json --pool vms --namespace ns"]
    assert pool.location("vm-1-disk-0") == "rbd:vms/ns/vm-1-disk-0"
    assert pool.node("vm-1-disk-0", "s") == {
        "driver": "rbd",
        "pool": "vms",
        "namespace": "ns",
        "image": "vm-1-disk-0",
        "snapshot": "s",
        "conf": "/private/pool/ceph.conf",
        "user": "tarmac",
    }


def test_the_files_and_no_key_on_a_command_line() -> None:
    pool = commands(keyring="[client.tarmac]\n\tkey = secret")
    files = pool.files()
    assert files[Path("/private/pool/keyring")] == "[client.tarmac]\n\tkey = secret\n"
    assert "keyring = /private/pool/keyring" in files[Path("/private/pool/ceph.conf")]
    assert "secret" not in files[Path("/private/pool/ceph.conf")]
    alone = commands(keyring="secret\n").files()
    assert alone[Path("/private/pool/keyring")] == "[client.tarmac]\n\tkey = secret\n"
    assert list(commands().files()) == [Path("/private/pool/ceph.conf")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:6789,10.0.0.2;mon3", "[v2:10.0.0.1:6789],[v1:10.0.0.1:6789],10.0.0.2,mon3"),
        ("[fd00::1]:3300 [fd00::2]", "[v2:[fd00::1]:3300],[v1:[fd00::1]:3300],[fd00::2]"),
        ("mon:6789", "mon:6789"),
    ],
)
def test_monitors(text: str, wanted: str) -> None:
    assert monitors(text) == wanted
    assert definition_of({"storage": "pool", "type": "rbd", "monhost": text}).monhost == text


@pytest.mark.parametrize("text", ["a:0", "a:70000", "a:b", "[::1", "a,b:x"])
def test_monitors_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        definition_of({"storage": "pool", "type": "rbd", "monhost": text})


def test_the_kernels_driver_is_not_built(tmp_path: Path) -> None:
    means = Means(jail=Jail(), private=tmp_path, scratch=tmp_path)
    with pytest.raises(NotBuilt):
        rbd.build(definition_of({"storage": "pool", "type": "rbd", "krbd": "1"}), {}, means)


def test_what_the_outputs_say() -> None:
    pool = commands()
    df = '{"pools":[{"name":"vms","stats":{"stored":5,"bytes_used":9,"max_avail":95}}]}'
    status = pool.read_status([df, ""])
    assert (status.total, status.used, status.available) == (100, 5, 95)
    with pytest.raises(ValueError, match="could not get usage stats for pool 'vms'"):
        pool.read_status(['{"pools":[]}', ""])
    listing = (
        '[{"image":"vm-2-x","size":8,"parent":{"image":"base-1-x","snapshot":"__base__"}},'
        '{"image":"vm-3-x","size":8,"parent":{"image":"vm-1-x","snapshot":"a"}},'
        '{"image":"vm-2-x","snapshot":"a","size":8}]'
    )
    assert [(one.name, one.size, one.parent) for one in pool.read_listing(listing)] == [
        ("vm-2-x", 8, "base-1-x"),
        ("vm-3-x", 8, None),
    ]
    points = '[{"id":9,"name":"b","protected":"false"},{"id":4,"name":"__base__","protected":"true"}]'
    assert pool.read_points("x", points) == [Point(name="__base__", guarded=True), Point(name="b")]
    watched = "rbd: error: image still has watchers\nThis means the image is still open"
    assert pool.is_busy(watched) and pool.lingers(watched)
    assert not pool.lingers("rbd: unprotecting snap failed: (16) Device or resource busy")
    assert pool.is_missing("rbd: error opening image x: (2) No such file or directory")
    assert not pool.is_missing("rbd: error opening pool 'x': (2) No such file or directory")
