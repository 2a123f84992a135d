"""A Debian kernel repacked so that it starts quickly.

Debian packs its ordinary kernel with XZ. Unpacking that takes 3.5 s of the 6 s that a small guest needs under
emulation. The same kernel packed with LZ4 is a third larger and needs 0.2 s. So the image that `vmlinuz` unpacks to
is taken out, laid out as it will lie in memory, packed with LZ4, and given Debian's own 16-bit setup code in front
and a stub of 432 bytes (`boot_stub.S`) that switches to 64-bit mode, unpacks and jumps to it. Code and data of the
kernel stay Debian's; only address randomisation, which the original unpacker does, is lost.

Sources: Documentation/arch/x86/boot.rst (header fields, entry conditions), lz4_Frame_format.md (legacy frame).
"""

from __future__ import annotations

import lzma
import struct
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.images import tools
from tarmac.model.errors import Fix, HostFailure

# boot_stub.S, assembled: as --64 -o stub.o boot_stub.S && ld -Ttext 0 --oformat binary -o stub.bin stub.o
STUB = bytes.fromhex(
    "fafc8da6e8010000e8000000005d83ed0d8da5008000008dbd00100000b90018"
    "000031c0f3ab8d85072000008985001000008d85073000008dbd00200000b904"
    "0000008907050010000083c708e2f48dbd00300000b883000000b90008000089"
    "07050000200083c708e2f40f20e083c8200f22e08d85001000000f22d8b98000"
    "00c00f320d000100000f308d858801000089858a0100000f0195880100006a10"
    "8d85b3000000500f20c00d010000800f22c0cbb8180000008ed88ec08ed089f3"
    "89ed488db5008000008bbda8010000ad85c00f84a40000004c8d040631c0ac89"
    "c2c1e80483f80f75100fb60e48ffc601c881f9ff00000074f04c8d0c074c8d14"
    "06488b064889074883c6084883c7084c39cf72ed4c89cf4c89d64c39c673b066"
    "ad0fb7c04989fa4929c283e20f83fa0f75100fb60e48ffc601ca81f9ff000000"
    "74f04c8d4c170483f808721b498b024889074983c2084883c7084c39cf72ed4c"
    "89cfe975ffffff418a02880749ffc248ffc74c39cf72f0e960ffffff8b85ac01"
    "000089deffe066901f000000000000000000000000000000ffff0000009baf00"
    "ffff00000093cf000000000000000000"
)
_STUB_DEST, _STUB_ENTRY = 0x1A8, 0x1AC
_PAYLOAD = 0x8000  # the stub's page tables and stack lie between it and the payload
_MIB = 1 << 20
_LZ4_LEGACY = struct.pack("<I", 0x184C2102)


@dataclass(frozen=True, slots=True)
class FlatKernel:
    """A kernel as it lies in memory: `data` belongs at physical address `start`; the kernel uses memory up to `top`."""

    data: bytes
    start: int
    top: int
    entry: int


async def repack(vmlinuz: bytes, scratch: Path) -> bytes:
    """`vmlinuz` (a bzImage that holds an XZ-packed ELF) as a bzImage that holds the same kernel packed with LZ4.

    Raises HostFailure (`kernel-format`) when it is packed otherwise, or when lz4 is missing or fails.
    """
    flat = flatten(unpack(vmlinuz))
    source, packed = scratch / "kernel.flat", scratch / "kernel.lz4"
    source.write_bytes(flat.data)
    await tools.run("lz4", "-q", "-f", "-12", "-l", source, packed)
    return assemble(vmlinuz, flat, packed.read_bytes())


def unpack(vmlinuz: bytes) -> bytes:
    """The ELF file in a bzImage. Raises HostFailure (`kernel-format`)."""
    if vmlinuz[0x202:0x206] != b"HdrS":
        raise _unknown("it has no boot header", vmlinuz[0x202:0x206].hex())
    offset, length = struct.unpack_from("<II", vmlinuz, 0x248)
    start = (vmlinuz[0x1F1] + 1) * 512 + offset
    payload = vmlinuz[start : start + length]
    if not payload.startswith(b"\xfd7zXZ\x00"):
        raise _unknown("it is not packed with XZ", payload[:6].hex())
    # a stream object, because the unpacked size follows the stream
    elf = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
    if not elf.startswith(b"\x7fELF"):
        raise _unknown("it does not unpack to an ELF file", elf[:4].hex())
    return elf


def flatten(elf: bytes) -> FlatKernel:
    """The loadable segments at their physical addresses, up to .bss, which the kernel clears itself."""
    entry, header_at, sections_at = struct.unpack_from("<QQQ", elf, 24)
    count, _size, section_count, names_index = struct.unpack_from("<HHHH", elf, 56)
    loads = []
    for index in range(count):
        kind, _flags, *numbers = struct.unpack_from("<IIQQQQQQ", elf, header_at + 56 * index)
        if kind == 1:
            loads.append(numbers)
    bss = _section_address(elf, sections_at, section_count, names_index, b".bss")
    _offset, virtual, physical, _file_size, memory_size, _align = loads[-1]
    start, end, top = loads[0][2], bss - virtual + physical, physical + memory_size
    image = bytearray(end - start)
    for offset, _virtual, physical, file_size, _memory, _align in loads:
        size = min(file_size, end - physical)
        image[physical - start : physical - start + size] = elf[offset : offset + size]
    return FlatKernel(bytes(image), start, top, entry)


def assemble(vmlinuz: bytes, flat: FlatKernel, packed: bytes) -> bytes:
    """Setup code of `vmlinuz`, stub and payload as one bzImage. `packed` is an LZ4 legacy frame of `flat.data`."""
    if not packed.startswith(_LZ4_LEGACY):
        raise _unknown("lz4 wrote another format than asked for", packed[:4].hex())
    stub = bytearray(STUB)
    struct.pack_into("<I", stub, _STUB_DEST, flat.start)
    struct.pack_into("<I", stub, _STUB_ENTRY, flat.entry)
    body = bytes(stub).ljust(_PAYLOAD, b"\0") + packed[4:] + bytes(4)
    body += bytes(-len(body) % 16)
    # Loaded behind what it unpacks, so that no block is overwritten before it is read.
    base = (flat.start + len(flat.data) + 2 * _MIB - 1) & ~(_MIB - 1)
    setup = bytearray(vmlinuz[: (vmlinuz[0x1F1] + 1) * 512])
    struct.pack_into("<I", setup, 0x1F4, len(body) // 16)  # syssize
    struct.pack_into("<I", setup, 0x230, 0x1000)  # kernel_alignment
    struct.pack_into("<BB", setup, 0x234, 1, 12)  # relocatable_kernel, min_alignment (as a power of two)
    struct.pack_into("<H", setup, 0x236, 0)  # xloadflags: 32-bit entry only
    struct.pack_into("<II", setup, 0x248, 0, 0)  # payload offset and length: not in a form that tools know
    struct.pack_into("<Q", setup, 0x258, base)  # pref_address
    struct.pack_into("<I", setup, 0x260, max(flat.top - base, len(body) + _MIB))  # init_size
    struct.pack_into("<I", setup, 0x264, 0)  # handover_offset: no EFI entry
    return bytes(setup) + body


def _section_address(elf: bytes, table: int, count: int, names_index: int, wanted: bytes) -> int:
    sections: list[tuple[int, ...]] = [struct.unpack_from("<IIQQQQ", elf, table + 64 * index) for index in range(count)]
    names = sections[names_index][4]
    for name, _kind, _flags, address, _offset, _size in sections:
        if elf[names + name : names + name + len(wanted) + 1] == wanted + b"\0":
            return address
    raise _unknown(f"it has no section {wanted.decode()}", f"{count} sections")


def _unknown(cause: str, evidence: str) -> HostFailure:
    return HostFailure(
        "This kernel cannot be repacked.",
        code="kernel-format",
        cause=cause,
        evidence=f"found {evidence}",
        fixes=[Fix(text="report the kernel's version, so that its format can be added")],
    )
