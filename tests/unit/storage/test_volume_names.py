"""Volume names: Proxmox's forms, there and back, and never out of the directory."""

from __future__ import annotations

import os.path
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.drivers.storage.volume_names import (
    LAYOUT,
    free_disk_name,
    image_name,
    normalize_file_name,
    parse_volume_name,
    upload_name,
)
from tarmac.model.errors import InvalidInput

# From Proxmox VE: names as they stand in configurations, and where its dir plugin keeps them.
KNOWN = [
    ("100/vm-100-disk-0.qcow2", "images/100/vm-100-disk-0.qcow2", "images", "qcow2", 100),
    ("100/vm-100-disk-1.raw", "images/100/vm-100-disk-1.raw", "images", "raw", 100),
    ("9999/vm-9999-pvc-1f.raw", "images/9999/vm-9999-pvc-1f.raw", "images", "raw", 9999),
    ("100/vm-100-cloudinit.qcow2", "images/100/vm-100-cloudinit.qcow2", "images", "qcow2", 100),
    ("900/base-900-disk-0.qcow2", "images/900/base-900-disk-0.qcow2", "images", "qcow2", 900),
    ("900/base-900-disk-0.qcow2/100/vm-100-disk-0.qcow2", "images/100/vm-100-disk-0.qcow2", "images", "qcow2", 100),
    ("iso/debian 12.iso", "template/iso/debian 12.iso", "iso", "raw", None),
    ("iso/x.IMG", "template/iso/x.IMG", "iso", "raw", None),
    ("import/x.qcow2", "import/x.qcow2", "import", "qcow2", None),
    ("import/x.vhd", "import/x.vhd", "import", "vpc", None),
    ("snippets/user.yaml", "snippets/user.yaml", "snippets", "raw", None),
    ("vztmpl/d.tar.zst", "template/cache/d.tar.zst", "vztmpl", "raw", None),
    ("backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst", "dump/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst",
     "backup", "raw", 100),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "content", "format", "vmid"), KNOWN)
def test_known_names(text: str, path: str, content: str, format: str, vmid: int | None) -> None:
    name = parse_volume_name(text)
    assert (str(name), str(name.path()), name.content, name.format, name.vmid) == (text, path, content, format, vmid)


def test_base_and_clone() -> None:
    assert parse_volume_name("900/base-900-disk-0.qcow2").is_base
    clone = parse_volume_name("900/base-900-disk-0.qcow2/100/vm-100-disk-0.qcow2")
    assert clone.base == (900, "base-900-disk-0.qcow2") and not clone.is_base


@pytest.mark.parametrize(
    "text",
    ["", "x", "100/", "100/x", "100/a b.raw", "0100/vm.raw", "iso/x.exe", "iso/../x.iso", "iso/.x.iso", "rootdir/../x",
     "../100/vm-100-disk-0.raw", "100/../vm.raw", "/etc/passwd", "import/a/b.qcow2", "iso/x\n.iso", "iso/x\0.iso",
     "100/..raw", "1/2/3/4.raw", "snippets/" + "x" * 300, "import/ü.qcow2", "images/100/vm-100-disk-0.raw"],
)  # fmt: skip
def test_refused_names(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse"):
        parse_volume_name(text)


PIECES = st.sampled_from(
    ["100", "9", "iso", "import", "snippets", "backup", "vztmpl", "/", "..", ".", "vm-100-disk-0", "base-1", ".raw",
     ".qcow2", ".iso", " ", "\n", "\0", "a", "\\", ":", "é", "\udcff"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join)))
def test_any_text_is_refused_or_a_name_inside(text: str) -> None:
    try:
        name = parse_volume_name(text)
    except ValueError:
        return
    assert str(name) == text
    path = name.path()
    assert path.is_relative_to(LAYOUT[name.content])
    assert os.path.normpath(path) == str(path)
    assert not any(part.startswith(".") for part in path.parts)
    assert PurePosixPath("/store") / path != PurePosixPath("/store")


@given(st.text(max_size=80), st.sampled_from(["iso", "import", "vztmpl", "snippets", "images", "nonsense"]))
def test_upload_names_stay_plain(file: str, content: str) -> None:
    try:
        name = upload_name(content, file)
    except InvalidInput as problem:
        assert set(problem.parameters) <= {"filename", "content"}
        return
    assert name.file == normalize_file_name(file)
    assert parse_volume_name(str(name)) == name


def test_upload_names_in_proxmoxs_words() -> None:
    assert str(upload_name("iso", "../../C:\\x\\Debian 12.iso")) == "iso/Debian_12.iso"
    for content, file, key, text in [
        ("iso", "x.qcow2", "filename", "wrong file extension"),
        ("vztmpl", "x.zip", "filename", "wrong file extension"),
        ("import", "x.exe", "filename", "invalid filename or wrong extension"),
        ("snippets", "x.yaml", "content", "upload content type 'snippets' not allowed"),
        ("iso", "..", "filename", "wrong file extension"),
    ]:
        with pytest.raises(InvalidInput) as caught:
            upload_name(content, file)
        assert caught.value.parameters == {key: text}


@given(st.sets(st.integers(0, 40)), st.sampled_from(["raw", "qcow2"]))
def test_free_names(numbers: set[int], format: str) -> None:
    taken = [f"{'base' if n % 3 else 'vm'}-100-disk-{n}.{'raw' if n % 2 else 'qcow2'}" for n in numbers]
    name = free_disk_name(100, [*taken, "vm-100-cloudinit.qcow2", "vm-101-disk-0.raw"], format)
    lowest = min(set(range(42)) - numbers)
    assert name == f"vm-100-disk-{lowest}.{format}"
    assert image_name(100, name).format == format
