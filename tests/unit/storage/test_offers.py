"""What is said to an NBD server and an iSCSI portal, and how their answers read."""

from __future__ import annotations

import pytest

from tarmac.drivers.storage.block.iscsi import IscsiOffer
from tarmac.drivers.storage.block.nbd import NbdOffer
from tarmac.model.errors import InvalidInput
from tarmac.model.storage import definition_of

TARGETS = """\
Target:iqn.a:one Portal:10.0.0.9:3260,1
Lun:0    Type:STORAGE_ARRAY_CONTROLLER
Lun:1    Type:DIRECT_ACCESS (Size:7M)
Target:iqn.a:two Portal:10.0.0.9:3260,1
Lun:0    Type:DIRECT_ACCESS (Size:1G)
Lun:12    Type:DIRECT_ACCESS (Size:1G)
Lun:13    Type:MMC
"""


def test_only_disks_of_the_own_target_count() -> None:
    assert IscsiOffer("10.0.0.9", "iqn.a:two").read_listing(TARGETS) == ["lun0", "lun12"]
    assert IscsiOffer("10.0.0.9", "iqn.a:none").read_listing(TARGETS) == []


@pytest.mark.parametrize(
    ("portal", "wanted"),
    [
        ("10.0.0.9", "10.0.0.9:3260"),
        ("san:1", "san:1"),
        ("[fd00::9]", "[fd00::9]:3260"),
        ("[::9]:4", "[::9]:4"),
    ],
)
def test_portals(portal: str, wanted: str) -> None:
    offer = IscsiOffer(portal, "iqn.a:two")
    assert offer.node("lun3") == {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": wanted,
        "target": "iqn.a:two",
        "lun": 3,
    }
    assert offer.location("lun3") == f"iscsi://{wanted}/iqn.a:two/3"
    assert definition_of({"storage": "san", "type": "iscsidirect", "portal": portal, "target": "t"}).portal == portal


def test_exports() -> None:
    offer = NbdOffer("fd00::8", 10809)
    listed = "exports available: 2\n export: 'data'\n  size:  8388608\n export: ''\n  size: 1\n"
    assert offer.read_listing(listed) == ["data", ""]
    assert offer.node("data")["server"] == {"type": "inet", "host": "fd00::8", "port": "10809"}
    assert offer.location("data") == "nbd:[fd00::8]:10809:exportname=data"


@pytest.mark.parametrize("name", ["", "32", "1disk", "a/b", "cloudinit", "vm-100-cloudinit", "a b", "x" * 200, "a:b"])
def test_exports_that_are_no_volumes(name: str) -> None:
    assert not NbdOffer("a", 1).knows(name)


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        ({"type": "iscsidirect", "portal": "a,b", "target": "t"}, "portal"),
        ({"type": "iscsidirect", "portal": "a:99999", "target": "t"}, "portal"),
        ({"type": "iscsidirect", "portal": "a", "target": "t x"}, "target"),
        ({"type": "nbd", "server": "a", "port": "0"}, "port"),
        ({"type": "nbd", "server": "a", "content": "iso"}, "content"),
        ({"type": "rbd", "pool": "../x"}, "pool"),
        ({"type": "rbd", "content": "images,backup"}, "content"),
    ],
)
def test_definitions_that_are_refused(texts: dict[str, str], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        definition_of({"storage": "far", **texts})
    assert place in caught.value.parameters
