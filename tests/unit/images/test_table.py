"""Partition tables, judged by sfdisk."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tarmac.drivers.images.table import (
    GPT_BIOS_BOOT,
    GPT_EFI_SYSTEM,
    GPT_LINUX_ROOT,
    MBR_FAT,
    MBR_LINUX,
    SECTOR,
    Partition,
    gpt,
    mbr,
)

SFDISK = shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(SFDISK is None, reason="sfdisk (Debian package fdisk) is not installed")
SECTORS = 64 * 2048


def _written(path: Path, pieces: dict[int, bytes]) -> Path:
    with path.open("wb") as stream:
        stream.truncate(SECTORS * SECTOR)
        for offset, data in pieces.items():
            stream.seek(offset)
            stream.write(data)
    return path


def _read(path: Path) -> dict[str, Any]:
    done = subprocess.run([str(SFDISK), "--json", path], check=True, capture_output=True, text=True)
    table: dict[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


def test_mbr_is_what_sfdisk_reads(tmp_path: Path) -> None:
    parts = [
        Partition(start=2048, sectors=4096, kind=MBR_FAT, active=True),
        Partition(start=8192, sectors=1000, kind=MBR_LINUX),
    ]
    table = _read(_written(tmp_path / "disk", mbr(parts, b"\xeb\xfe", 0x1234ABCD)))
    assert (table["label"], table["id"]) == ("dos", "0x1234abcd")
    first, second = table["partitions"]
    assert (first["start"], first["size"], first["type"], first["bootable"]) == (2048, 4096, "c", True)
    assert (second["start"], second["size"], second["type"]) == (8192, 1000, "83")
    assert (tmp_path / "disk").read_bytes()[:2] == b"\xeb\xfe"


def test_mbr_refuses_what_does_not_fit() -> None:
    part = Partition(start=2048, sectors=1, kind=MBR_LINUX)
    with pytest.raises(ValueError, match="4 partitions"):
        mbr([part] * 5, b"", 0)
    with pytest.raises(ValueError, match="440 bytes"):
        mbr([part], bytes(441), 0)
    with pytest.raises(ValueError, match="does not fit"):
        mbr([Partition(start=1, sectors=1 << 32, kind=MBR_LINUX)], b"", 0)


def _gpt_parts() -> list[Partition]:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    return [
        Partition(start=20480, sectors=2048, kind=GPT_LINUX_ROOT, name="root", number=1, identity=ids[0]),
        Partition(start=2048, sectors=2048, kind=GPT_BIOS_BOOT, name="bios", number=14, identity=ids[1]),
        Partition(start=4096, sectors=8192, kind=GPT_EFI_SYSTEM, name="efi", number=15, identity=ids[2]),
    ]


def test_gpt_is_what_sfdisk_reads_and_verifies(tmp_path: Path) -> None:
    identity = str(uuid.uuid4())
    path = _written(tmp_path / "disk", gpt(_gpt_parts(), SECTORS, identity))
    table = _read(path)
    assert (table["label"], table["id"].lower()) == ("gpt", identity)
    found = {entry["node"].removeprefix(str(path)): entry for entry in table["partitions"]}
    assert set(found) == {"1", "14", "15"}
    assert (found["15"]["start"], found["15"]["size"], found["15"]["type"]) == (4096, 8192, GPT_EFI_SYSTEM)
    done = subprocess.run([str(SFDISK), "--verify", path], capture_output=True, text=True, check=True)
    assert "No errors detected" in done.stdout


def test_gpt_backup_alone_is_enough(tmp_path: Path) -> None:
    pieces = gpt(_gpt_parts(), SECTORS, str(uuid.uuid4()))
    del pieces[SECTOR]
    done = subprocess.run(
        [str(SFDISK), "--json", _written(tmp_path / "disk", pieces)], capture_output=True, text=True, check=True
    )
    assert len(json.loads(done.stdout)["partitiontable"]["partitions"]) == 3
    assert "backup" in done.stderr


def test_gpt_refuses_a_partition_over_its_tables() -> None:
    for start, sectors in ((33, 10), (SECTORS - 40, 10)):
        part = Partition(start=start, sectors=sectors, kind=GPT_LINUX_ROOT, name="x", identity=str(uuid.uuid4()))
        with pytest.raises(ValueError, match="outside the usable sectors"):
            gpt([part], SECTORS, str(uuid.uuid4()))
