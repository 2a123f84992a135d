"""UEFI's variable store: which of OVMF's templates a new `efidisk0` begins as."""

from __future__ import annotations

from pathlib import Path

from tarmac.model.disk import EfiDisk
from tarmac.model.errors import Fix, HostFailure, InvalidInput, NotBuilt

DIRECTORY = Path("/usr/share/OVMF")


def variables_template(key: str, disk: EfiDisk) -> tuple[Path, int]:
    """The template and its size in bytes. Raises NotBuilt for the old 2 MiB form (Debian ships it no longer in the
    secure form), HostFailure when OVMF is not installed."""
    if disk.efitype != "4m":
        raise InvalidInput.of(key, "only efitype=4m is built", code="not-built")
    name = "OVMF_VARS_4M.ms.fd" if disk.pre_enrolled_keys else "OVMF_VARS_4M.fd"
    path = DIRECTORY / name
    if disk.ms_cert != "2011" and disk.pre_enrolled_keys:
        raise NotBuilt(f"ms-cert={disk.ms_cert} is not built", evidence=f"{key}: ms-cert={disk.ms_cert}")
    try:
        return path, path.stat().st_size
    except OSError as problem:
        raise HostFailure(
            "UEFI firmware is not installed",
            code="no-ovmf",
            cause=f"{path} is missing",
            evidence=str(problem),
            fixes=[Fix(text="install it: apt-get install ovmf")],
        ) from problem
