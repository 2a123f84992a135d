"""The machine code of the accelerator probe's guest, byte by byte; `probe_guest.S` beside it is the same as assembly.

It is kept as bytes because a host has no assembler; a test assembles the source where there is one, and compares.
"""

from __future__ import annotations

STAGES = {
    "": "before its first instruction",
    "r": "entering protected mode",
    "p": "entering 64-bit mode with paging",
    "l": "mapping one page at two addresses",
    "m": "handling a page fault",
    "f": "using a model-specific register",
    "g": "asking CPUID for 64-bit mode",
    "c": "going to ring 3 and back",
    "u": "being woken from HLT by the timer's interrupt",
    "t": "a loop of 50 million turns",
    "s": "ending",
}
"""What the guest was doing when this was the last letter that it told."""

FINISHED_EXIT_CODE = 0x2A << 1 | 1
"""QEMU's exit code when the guest got through: what isa-debug-exit makes of 0x2a."""

_SIZE = 64 * 1024
_AT = 0xF000
_CODE = (
    # offset, what it does, bytes
    (
        0x000,
        "real mode: tell, load the GDT, set PE in CR0, jump to 32-bit code",
        "fa b0 72 e6 e9 2e 66 0f 01 16 f8 f2 0f 20 c0 66 25 ff ff ff 9f 66 83 c8 01 0f 22 c0 66 ea 24 f0 0f 00 08 00 ",
    ),
    (
        0x024,
        "32-bit: clear 0x1000-0x9fff, build the page tables, PAE and PGE, EFER.LME, PG and WP, jump to 64-bit code",
        "b8 10 00 00 00 8e d8 8e c0 8e d0 bc 00 c0 00 00 b0 70 e6 e9 fc bf 00 10 00 00 31 c0 b9 00 24 00 00 "
        "f3 ab c7 05 00 10 00 00 07 20 00 00 c7 05 00 20 00 00 07 30 00 00 c7 05 00 30 00 00 87 00 00 00 c7 "
        "05 18 20 00 00 03 90 00 00 c7 05 b8 9f 00 00 93 00 e0 fe c7 05 10 30 00 00 07 40 00 00 c7 05 00 40 "
        "00 00 07 70 00 00 c7 05 08 40 00 00 07 70 00 00 0f 20 e0 0d a0 00 00 00 0f 22 e0 b8 00 10 00 00 0f "
        "22 d8 b9 80 00 00 c0 0f 32 0d 00 01 00 00 0f 30 0f 20 c0 0d 00 00 01 80 0f 22 c0 ea ca f0 0f 00 18 "
        "00 ",
    ),
    (0x0CA, "64-bit: tell", "b0 6c e6 e9 "),
    (
        0x0CE,
        "write by one address, read by the other; point the other at another page, invlpg, read again",
        "c7 04 25 10 00 40 00 78 56 34 12 81 3c 25 10 10 40 00 78 56 34 12 0f 85 7d 01 00 00 c7 04 25 10 80 "
        "00 00 21 43 65 87 c7 04 25 08 40 00 00 07 80 00 00 0f 01 3c 25 00 10 40 00 81 3c 25 10 10 40 00 21 "
        "43 65 87 0f 85 4e 01 00 00 b0 6d e6 e9 ",
    ),
    (
        0x11D,
        "three gates into the IDT, lidt, touch a page that is not mapped",
        "bf e0 50 00 00 b8 86 f2 0f 00 b2 8e e8 40 01 00 00 bf 00 52 00 00 b8 a5 f2 0f 00 e8 31 01 00 00 bf "
        "00 53 00 00 b8 03 f2 0f 00 b2 ee e8 20 01 00 00 0f 01 1c 25 08 f3 0f 00 31 db c7 04 25 20 20 40 00 "
        "fe ca 00 00 83 fb 01 0f 85 fb 00 00 00 81 3c 25 20 20 40 00 fe ca 00 00 0f 85 ea 00 00 00 b0 66 e6 "
        "e9 ",
    ),
    (
        0x181,
        "wrmsr GS base, read through gs",
        "b9 01 01 00 c0 b8 00 00 40 00 31 d2 0f 30 65 81 3c 25 10 00 00 00 78 56 34 12 0f 85 c6 00 00 00 b0 67 e6 e9 ",
    ),
    (0x1A5, "cpuid 0x80000001, bit 29 of EDX", "b8 01 00 00 80 0f a2 0f ba e2 1d 0f 83 b1 00 00 00 b0 63 e6 e9 "),
    (
        0x1BA,
        "copy the GDT to RAM, TSS with RSP0, ltr, iretq to user code",
        "be b8 f2 0f 00 bf 00 68 00 00 b9 10 00 00 00 f3 a5 0f 01 14 25 fe f2 0f 00 c7 04 25 04 60 00 00 00 "
        "d0 00 00 b8 30 00 00 00 0f 00 d8 89 e5 6a 2b 68 00 b0 00 00 6a 02 6a 23 68 fa f1 0f 00 48 cf ",
    ),
    (0x1FA, "ring 3: int 48", "bb 5a 5a 00 00 cd 30 0f 0b "),
    (0x203, "ring 0 again: was it there?", "89 ec 81 fb 5a 5a 00 00 75 5a b0 75 e6 e9 "),
    (
        0x211,
        "local APIC timer, periodic; sti and hlt until three ticks came",
        "be 00 00 e0 fe c7 86 f0 00 00 00 ff 01 00 00 c7 86 e0 03 00 00 0b 00 00 00 c7 86 20 03 00 00 20 00 "
        "02 00 c7 86 80 03 00 00 40 42 0f 00 31 db fb f4 fa 83 fb 03 72 f8 c7 86 20 03 00 00 00 00 01 00 b0 "
        "74 e6 e9 ",
    ),
    (
        0x256,
        "50,000,000 times dec and jnz; then the code for success",
        "b9 80 f0 fa 02 ff c9 75 fc b0 73 e6 e9 b0 2a eb 02 ",
    ),
    (0x267, "the code for failure", "b0 01 "),
    (0x269, "out to isa-debug-exit", "e6 f4 f4 eb fd "),
    (0x26E, "write a gate of the IDT", "66 89 07 66 c7 47 02 18 00 c6 47 04 00 88 57 05 c1 e8 10 66 89 47 06 c3 "),
    (
        0x286,
        "handler: CR2 as expected? map the page, count, return to the instruction",
        "50 0f 20 d0 3d 20 20 40 00 75 d6 c7 04 25 10 40 00 00 07 80 00 00 ff c3 58 48 83 c4 08 48 cf ",
    ),
    (0x2A5, "handler: count, end of interrupt", "ff c3 c7 86 b0 00 00 00 00 00 00 00 48 cf 8d b4 00 00 90 "),
    (
        0x2B8,
        "null, code32, data, code64, user code64, user data, TSS (two entries)",
        "00 00 00 00 00 00 00 00 ff ff 00 00 00 9b cf 00 ff ff 00 00 00 93 cf 00 ff ff 00 00 00 9b af 00 ff "
        "ff 00 00 00 fb af 00 ff ff 00 00 00 f3 cf 00 67 00 00 60 00 89 00 00 00 00 00 00 00 00 00 00 ",
    ),
    (0x2F8, "limit and address of it here", "3f 00 b8 f2 0f 00 "),
    (0x2FE, "limit and address of the copy", "3f 00 00 68 00 00 00 00 00 00 "),
    (0x308, "limit and address of the IDT", "0f 03 00 50 00 00 00 00 00 00 "),
    (0xFF0, "the reset vector: ljmpw 0xf000:0xf000", "ea 00 f0 00 f0 "),
)


def firmware() -> bytes:
    """The image for QEMU's `-bios`: 64 KiB, of which the last 4 KiB are the code, ending with the reset vector."""
    image = bytearray(b"\xff" * _AT + b"\0" * (_SIZE - _AT))
    for offset, _, text in _CODE:
        code = bytes.fromhex(text)
        image[_AT + offset : _AT + offset + len(code)] = code
    return bytes(image)
