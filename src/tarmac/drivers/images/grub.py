"""GRUB on a GPT disk without mounting it or attaching it: what grub-install and grub-bios-setup would write.

BIOS: the first sector is GRUB's boot.img, which loads the core image from the BIOS boot partition; both hold the
sector numbers in fixed places. UEFI: Debian's signed shim and GRUB, found by every firmware as EFI/BOOT/BOOTX64.EFI.
Sources: grub include/grub/i386/pc/boot.h and offsets.h, util/setup.c; Debian's grubx64 reads EFI/debian/grub.cfg.
"""

from __future__ import annotations

import struct

from tarmac.drivers.images.table import SECTOR

_KERNEL_SECTOR = 0x5C  # GRUB_BOOT_MACHINE_KERNEL_SECTOR in boot.img
_BLOCK_LIST = SECTOR - 12  # the core image's first block list entry: sector (8), count (2), segment (2)
CODE_SIZE = 440

CORE_MODULES = ("biosdisk", "part_gpt", "part_msdos", "ext2", "search", "search_fs_uuid", "normal", "linux", "echo")


def boot_code(boot_img: bytes, core_start: int) -> bytes:
    """boot.img as it goes into the first sector, told where the core image starts (in sectors). Raises ValueError."""
    if len(boot_img) != SECTOR or boot_img[510:] != b"\x55\xaa":
        raise ValueError("this is not GRUB's boot.img")
    code = bytearray(boot_img)
    struct.pack_into("<Q", code, _KERNEL_SECTOR, core_start)
    return bytes(code[:CODE_SIZE])


def core_image(core_img: bytes, core_start: int, room: int) -> bytes:
    """The core image with its block list: the rest of itself follows its first sector. Raises ValueError when it is
    larger than `room` bytes."""
    sectors = -(-len(core_img) // SECTOR)
    if sectors * SECTOR > room or sectors < 2:
        raise ValueError(f"a core image of {len(core_img)} bytes does not fit {room} bytes")
    core = bytearray(core_img.ljust(sectors * SECTOR, b"\0"))
    struct.pack_into("<QH", core, _BLOCK_LIST, core_start + 1, sectors - 1)
    return bytes(core)


def early_configuration(root_uuid: str) -> str:
    """What the core image and the signed EFI GRUB run first: find the root file system, read its grub.cfg."""
    return (
        f"search.fs_uuid {root_uuid} root\n"
        "set prefix=($root)/boot/grub\n"
        "configfile $prefix/grub.cfg\n"
    )  # fmt: skip


def menu(root_uuid: str, command_line: str) -> str:
    """grub.cfg until the guest's own update-grub writes one: start /vmlinuz, the newest kernel, without waiting."""
    return (
        "# Written by the image builder; update-grub replaces it.\n"
        "set timeout=0\nset default=0\n"
        'menuentry "Debian" {\n'
        f"\tsearch --no-floppy --fs-uuid --set=root {root_uuid}\n"
        f"\tlinux /vmlinuz root=UUID={root_uuid} ro {command_line}\n"
        "\tinitrd /initrd.img\n}\n"
    )
