"""Where GRUB's pieces say that they lie."""

from __future__ import annotations

import struct

import pytest

from tarmac.drivers.images import grub


def test_boot_code_points_at_the_core() -> None:
    image = b"\xeb\x63\x90".ljust(510, b"\x11") + b"\x55\xaa"
    code = grub.boot_code(image, 2048)
    assert len(code) == 440
    assert struct.unpack_from("<Q", code, 0x5C)[0] == 2048
    with pytest.raises(ValueError, match=r"boot\.img"):
        grub.boot_code(image[:100], 2048)


def test_core_lists_the_rest_of_itself() -> None:
    core = grub.core_image(b"\x52" * 1300, 2048, 4096)
    assert len(core) == 3 * 512
    assert struct.unpack_from("<QH", core, 500) == (2049, 2)
    assert core[510:512] == b"\x52\x52"  # the segment stays as mkimage wrote it
    with pytest.raises(ValueError, match="does not fit"):
        grub.core_image(bytes(5000), 2048, 4096)
