"""Which system runs inside a guest: `ostype`, from which the argv builder draws what suits it."""

from __future__ import annotations

import enum


class OsType(enum.StrEnum):
    """Append-only words of Proxmox."""

    OTHER = "other"
    WXP = "wxp"
    W2K = "w2k"
    W2K3 = "w2k3"
    W2K8 = "w2k8"
    WVISTA = "wvista"
    WIN7 = "win7"
    WIN8 = "win8"
    WIN10 = "win10"
    WIN11 = "win11"
    L24 = "l24"
    L26 = "l26"
    SOLARIS = "solaris"

    @property
    def windows(self) -> bool:
        return self.value.startswith("w")

    @property
    def windows_version(self) -> int:
        """Proxmox's number of a Windows release (5 XP, 6 Vista/7, 8, 10, 11); 0 for everything else."""
        return {"wxp": 5, "w2k3": 5, "w2k": 5, "w2k8": 6, "wvista": 6, "win7": 7, "win8": 8, "win10": 10}.get(
            self.value, 11 if self is OsType.WIN11 else 0
        )
