"""Names on storages without directories, and what services ask drivers instead of making names themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.image import as_options, as_word
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import Layer
from tarmac.drivers.storage.volume_names import Content, parse_flat_name
from tarmac.model.ids import VolumeId


@pytest.mark.parametrize(
    ("text", "vmid", "base", "is_base"),
    [
        ("vm-100-disk-0", 100, None, False),
        ("base-9000-disk-0", 9000, None, True),
        ("base-9000-disk-0/vm-100-disk-1", 100, (9000, "base-9000-disk-0"), False),
        ("base-9000-disk-0/base-100-disk-1", 100, (9000, "base-9000-disk-0"), True),
        ("vm-100-cloudinit", 100, None, False),
    ],
)
def test_flat_names(text: str, vmid: int, base: tuple[int, str] | None, is_base: bool) -> None:
    name = parse_flat_name(text, "rbd")
    assert (str(name), name.vmid, name.base, name.is_base) == (text, vmid, base, is_base)
    assert (name.content, name.format) == (Content.IMAGES, "raw")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "disk",
        "vm-0-disk",
        "vm-1-",
        "vm-1-a b",
        "vm-1-a@snap",
        "vm-1-x/vm-2-y",
        "../vm-1-x",
        "vm-1-a\x01",
        "vm-1-a/b",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse rbd volume name"):
        parse_flat_name(text, "rbd")


def test_a_directory_says_its_names(tmp_path: Path) -> None:
    storage = DirectoryStorage("local", tmp_path, jail=Jail())
    assert str(storage.image_name(100, "vm-100-disk-0", "raw")) == "100/vm-100-disk-0.raw"
    base = storage.parse(VolumeId.parse("local:9000/base-9000-disk-0.raw"))
    clone = storage.clone_name(base, 100, "vm-100-disk-0")
    assert (str(clone), clone.format) == ("9000/base-9000-disk-0.raw/100/vm-100-disk-0.qcow2", "qcow2")
    volid = VolumeId.parse("local:100/vm-100-disk-0.qcow2")
    assert storage.location(volid) == str(tmp_path / "images/100/vm-100-disk-0.qcow2")
    assert storage.planned(volid).path == tmp_path / "images/100/vm-100-disk-0.qcow2"


def test_a_volume_that_is_no_file_for_qemu_img() -> None:
    layer = Layer(
        path=Path("x"),
        format="raw",
        direct=True,
        protocol={"driver": "nbd", "export": "a,b", "server": {"type": "inet", "port": "1"}, "tls": False},
    )
    assert as_options(layer) == (
        "driver=raw,file.driver=nbd,file.export=a,,b,file.server.port=1,file.server.type=inet,file.tls=off"
    )
    assert as_word(layer) == (
        'json:{"driver": "raw", "file": {"driver": "nbd", "export": "a,b", '
        '"server": {"port": "1", "type": "inet"}, "tls": false}}'
    )
