"""Repacking a kernel: its parts are checked here, the whole by booting it (tests/qemu/test_image_tiny.py)."""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tarmac.drivers.images import kernel
from tarmac.model.errors import HostFailure

SOURCE = Path(kernel.__file__).with_name("boot_stub.S")
_BASE = 0xFFFFFFFF81000000


def _elf() -> bytes:
    """A kernel-like ELF file: one text segment, one data segment that ends in .bss."""
    names = b"\0.bss\0"
    text, data = b"T" * 0x1800, b"D" * 0x800
    headers = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, _BASE, 0x1000000, len(text), len(text), 0x1000)
    headers += struct.pack("<IIQQQQQQ", 1, 6, 0x3000, _BASE + 0x2000, 0x1002000, 0x1000, 0x9000, 0x1000)
    sections = bytes(64) + struct.pack("<IIQQQQIIQQ", 1, 8, 3, _BASE + 0x2800, 0, 0x100, 0, 0, 0, 0)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 0x4000, len(names), 0, 0, 0, 0)
    start = b"\x7fELF\x02\x01\x01".ljust(24, b"\0") + struct.pack("<QQQ", 0x1000000, 64, 0x5000)
    start += struct.pack("<IHHHHHH", 0, 64, 56, 2, 64, 3, 2)
    image = bytearray(0x5000)
    image[: len(start)] = start
    image[64 : 64 + len(headers)] = headers
    image[0x1000 : 0x1000 + len(text)] = text
    image[0x3000 : 0x3000 + len(data)] = data
    image[0x4000 : 0x4000 + len(names)] = names
    return bytes(image) + sections


def _bzimage(payload: bytes) -> bytes:
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", setup, 0x248, 16, len(payload))
    return bytes(setup) + bytes(16) + payload


def test_the_elf_is_taken_out_and_laid_out() -> None:
    elf = _elf()
    unpacked = kernel.unpack(_bzimage(lzma.compress(elf, check=lzma.CHECK_CRC32) + struct.pack("<I", len(elf))))
    assert unpacked == elf
    flat = kernel.flatten(unpacked)
    assert (flat.start, flat.top, flat.entry, len(flat.data)) == (0x1000000, 0x100B000, 0x1000000, 0x2800)
    assert flat.data == b"T" * 0x1800 + bytes(0x800) + b"D" * 0x800


@pytest.mark.parametrize("content", [b"\x02\x21\x4c\x18lz4", b"\x28\xb5\x2f\xfdzstd"])
def test_a_kernel_packed_otherwise_is_refused(content: bytes) -> None:
    with pytest.raises(HostFailure) as caught:
        kernel.unpack(_bzimage(content))
    assert caught.value.error_code == "kernel-format"
    assert content[:4].hex() in caught.value.evidence


async def test_repacked_header_follows_the_boot_protocol(tmp_path: Path) -> None:
    elf = _elf()
    original = _bzimage(lzma.compress(elf, check=lzma.CHECK_CRC32) + struct.pack("<I", len(elf)))
    image = await kernel.repack(original, tmp_path)
    body = image[5 * 512 :]
    assert struct.unpack_from("<I", image, 0x1F4)[0] * 16 == len(body)
    preferred = struct.unpack_from("<Q", image, 0x258)[0]
    assert preferred >= 0x1000000 + 0x2800
    assert preferred % 0x1000 == 0
    assert struct.unpack_from("<II", body, 0x1A8) == (0x1000000, 0x1000000)
    frame = tmp_path / "frame.lz4"
    frame.write_bytes(struct.pack("<I", 0x184C2102) + body[0x8000:].rstrip(b"\0"))
    out = subprocess.run(["lz4", "-d", "-c", frame], capture_output=True, check=True)
    assert out.stdout == kernel.flatten(elf).data


@pytest.mark.skipif(shutil.which("as") is None or shutil.which("ld") is None, reason="binutils is not installed")
def test_the_stub_is_its_source(tmp_path: Path) -> None:
    subprocess.run(["as", "--64", "-o", tmp_path / "stub.o", SOURCE], check=True)
    flags = ["-Ttext", "0", "--oformat", "binary"]
    subprocess.run(["ld", *flags, "-o", tmp_path / "stub.bin", tmp_path / "stub.o"], check=True)
    assert (tmp_path / "stub.bin").read_bytes() == kernel.STUB
