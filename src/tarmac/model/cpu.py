"""A guest's processor: the text of `cpu`, and the models that Proxmox defines itself.

Source: PVE::QemuServer::CPUConfig and CPUFlags of Proxmox VE 9, target/i386/cpu.c of QEMU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tarmac.model.formats import register
from tarmac.model.settings import setting

# Flags that one guest's configuration may switch, as Proxmox limits them.
FLAGS = (
    "nested-virt", "md-clear", "pcid", "spec-ctrl", "ssbd", "ibpb", "virt-ssbd", "amd-ssbd", "amd-no-ssb", "pdpe1gb",
    "hv-tlbflush", "hv-evmcs", "aes",
)  # fmt: skip

_V2 = ("popcnt", "pni", "sse4.1", "sse4.2", "ssse3")
_V3 = ("aes", *_V2, "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave")

# Models of Proxmox's own: the flags they add to qemu64.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "x86-64-v2": _V2,
    "x86-64-v2-AES": ("aes", *_V2),
    "x86-64-v3": _V3,
    "x86-64-v4": (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}

MODELS_32_BIT = frozenset({"486", "pentium", "pentium2", "pentium3", "coreduo", "athlon", "kvm32", "qemu32"})

# QEMU's models by vendor; `default` takes the vendor of the host.
_INTEL = (
    "486 pentium pentium2 pentium3 coreduo core2duo Conroe Penryn Nehalem Nehalem-IBRS Westmere Westmere-IBRS"
    " SandyBridge SandyBridge-IBRS IvyBridge IvyBridge-IBRS Haswell Haswell-IBRS Haswell-noTSX Haswell-noTSX-IBRS"
    " Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS Skylake-Client Skylake-Client-IBRS"
    " Skylake-Client-noTSX-IBRS Skylake-Client-v4 Skylake-Server Skylake-Server-IBRS Skylake-Server-noTSX-IBRS"
    " Skylake-Server-v4 Skylake-Server-v5 Cascadelake-Server Cascadelake-Server-v2 Cascadelake-Server-noTSX"
    " Cascadelake-Server-v4 Cascadelake-Server-v5 Cooperlake Cooperlake-v2 KnightsMill Icelake-Client"
    " Icelake-Client-noTSX Icelake-Server Icelake-Server-noTSX Icelake-Server-v3 Icelake-Server-v4 Icelake-Server-v5"
    " Icelake-Server-v6 Icelake-Server-v7 SapphireRapids SapphireRapids-v2 SapphireRapids-v3 SapphireRapids-v4"
    " GraniteRapids GraniteRapids-v2 GraniteRapids-v3 SierraForest SierraForest-v2 SierraForest-v3 ClearwaterForest"
)
_AMD = (
    "athlon phenom Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 EPYC EPYC-IBPB EPYC-v3 EPYC-v4 EPYC-v5"
    " EPYC-Rome EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Rome-v4 EPYC-Rome-v5 EPYC-Milan EPYC-Milan-v2 EPYC-Milan-v3 EPYC-Genoa"
    " EPYC-Genoa-v2 EPYC-Turin"
)
_GENERIC = "kvm32 kvm64 qemu32 qemu64 max host"
VENDORS: Mapping[str, str] = {
    **dict.fromkeys(_INTEL.split(), "GenuineIntel"),
    **dict.fromkeys(_AMD.split(), "AuthenticAMD"),
    **dict.fromkeys(_GENERIC.split(), "default"),
    **dict.fromkeys(LEVELS, "default"),
}


@register("cpu-model")
def _model(text: str) -> None:
    if text.startswith("custom-"):
        raise ValueError(f"custom CPU model '{text}' does not exist")
    if text not in VENDORS:
        raise ValueError(f"Built-in cputype '{text}' is not defined (missing 'custom-' prefix?)")


@register("cpu-flags")
def _flags(text: str) -> None:
    for flag in text.split(";"):
        if flag[:1] not in ("+", "-") or flag[1:] not in FLAGS:
            raise ValueError(f"VM-specific CPU flags must be a subset of: {', '.join(FLAGS)} (got '{flag}')")


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """The text of `cpu`: `host,flags=+aes;-pcid`."""

    cputype: str | None = setting(
        None, format="cpu-model", default_key=True, default_text="kvm64 under KVM, x86-64-v2-AES emulated",
        help="The processor the guest sees.",
    )  # fmt: skip
    flags: str | None = setting(None, format="cpu-flags", help="Flags to add or take away: +aes;-pcid")
    hidden: bool = setting(False, help="Do not tell the guest that it runs under KVM.")
    hv_vendor_id: str | None = setting(
        None, name="hv-vendor-id", pattern=r"[a-zA-Z0-9]{1,12}", help="Hyper-V vendor name shown to Windows."
    )
    phys_bits: str | None = setting(
        None, name="phys-bits", format="pve-phys-bits", help="Bits of a physical address: a number, or `host`."
    )
    guest_phys_bits: int | None = setting(
        None, name="guest-phys-bits", ge=32, le=64, built=False, help="Bits of a physical address the guest may use."
    )
    level: int | None = setting(None, ge=0, le=4294967295, help="Highest basic CPUID leaf that the guest can ask.")
    reported_model: str | None = setting(
        None, name="reported-model", built=False, help="Model reported by a custom CPU model."
    )

    @property
    def flag_list(self) -> tuple[tuple[str, str], ...]:
        """The flags as (sign, name)."""
        return tuple((f[0], f[1:]) for f in self.flags.split(";")) if self.flags else ()
