"""`-cpu` and `-smp`: the model the guest sees, its flags, and how many there are.

Under emulation an unset model is x86-64-v2-AES: a fixed model, so that a saved state can be restored and moved (`max`
changes with every QEMU), enough for today's distributions, and no slower at booting than any other that was measured.
What emulation cannot do is left out and noted. Source: PVE::QemuServer::CPUConfig.
"""

from __future__ import annotations

from tarmac.drivers.qemu.argv.draft import Draft
from tarmac.model.cpu import LEVELS, VENDORS
from tarmac.model.errors import Fix, InvalidInput
from tarmac.model.os_type import OsType

Flags = dict[str, str]  # flag -> "+", "-", "" (a bare word) or "=value"
EMULATED_DEFAULT = "x86-64-v2-AES"
_RENAMED = {"Icelake-Client": "Icelake-Server", "Icelake-Client-noTSX": "Icelake-Server-noTSX"}
# Switches of a configuration that need the real processor (target/i386/cpu.c: TCG_*_FEATURES).
_NOT_EMULATED = frozenset({
    "md-clear", "pcid", "spec-ctrl", "ssbd", "ibpb", "virt-ssbd", "amd-ssbd", "amd-no-ssb", "hv-tlbflush", "hv-evmcs",
    "vmx", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl",
})  # fmt: skip
_AVX_SINCE = (7, 2)
_AVX = frozenset({"avx", "avx2", "f16c", "fma"})


def add_cpu(draft: Draft) -> str:
    """Adds -cpu and -smp; returns the text of -cpu. Raises InvalidInput for `host` without KVM."""
    text = cpu_text(draft)
    draft.option("-cpu", text)
    _add_smp(draft, text.split(",", 1)[0])
    return text


def cpu_text(draft: Draft) -> str:
    cpu = draft.config.cpu
    asked = cpu.cputype or ("kvm64" if draft.kvm else EMULATED_DEFAULT)
    if asked == "host" and not draft.kvm:
        raise _host_without_kvm(draft)
    model = "qemu64" if asked in LEVELS else _RENAMED.get(asked, asked)
    flags: Flags = _base_flags(draft, model)
    flags.update(_enlightenments(draft))
    flags.update(dict.fromkeys(LEVELS.get(asked, ()), "+"))
    flags.update(_switches(draft))
    if draft.kvm and model != "host":
        flags["enforce"] = ""
    if cpu.hidden and draft.kvm:
        flags["kvm"] = "=off"
    if VENDORS[model] != "default":
        flags["vendor"] = f"={VENDORS[model]}"
    if not draft.kvm:
        if flags.get("aes") == "+":
            # Linux's aesni_intel takes it for granted. KVM lets the instruction through, emulation refuses what CPUID
            # does not name, and the guest's kernel oopses.
            flags.setdefault("pclmulqdq", "+")
        _leave_out(draft, asked, flags)
    return model + _level(draft) + "".join(_print_flag(name, flags[name]) for name in sorted(flags)) + _bits(draft)


def _base_flags(draft: Draft, model: str) -> Flags:
    flags: Flags = {}
    if model == "kvm64":
        flags["lahf_lm"] = "+"  # Windows 8.1 and later
    if model in ("kvm64", "kvm32"):
        flags["sep"] = "+"
    if draft.config.ostype is OsType.SOLARIS:
        flags["x2apic"] = "-"
    if model.startswith("Opteron"):
        flags["rdtscp"] = "-"
    if draft.kvm:
        flags["kvm_pv_unhalt"] = flags["kvm_pv_eoi"] = "+"
    if draft.node.version >= (11, 0):
        if draft.config.ostype.windows_version >= 11:
            flags["cet-ibt"] = flags["cet-ss"] = "-"  # Windows with virtualization-based security
        if model == "host" and not draft.at_least(11, 0):
            flags["vmx-mbec"] = "-"  # appeared in 11.0; a state saved before does not have it
    return flags


def _enlightenments(draft: Draft) -> Flags:
    """What tells Windows that it runs virtualized, Hyper-V's way; KVM only."""
    windows = draft.config.ostype.windows_version
    if not draft.kvm or windows < 6 or (draft.config.bios == "ovmf" and windows < 8):
        return {}
    flags = dict.fromkeys(("hv_vapic", "hv_time", "hv_reset", "hv_vpindex", "hv_runtime"), "")
    flags["hv_spinlocks"] = "=0x1fff"
    if windows >= 7:
        flags.update(dict.fromkeys(("hv_relaxed", "hv_synic", "hv_stimer", "hv_ipi"), ""))
    if draft.config.cpu.hv_vendor_id is not None:
        flags["hv_vendor_id"] = f"={draft.config.cpu.hv_vendor_id}"
    if windows >= 11 and draft.node.cpu_vendor == "GenuineIntel" and draft.at_least(11, 0, 2):
        flags["hv_evmcs"] = ""
    return flags


def _switches(draft: Draft) -> Flags:
    """The configuration's own flags; `nested-virt` becomes the host's."""
    flags: Flags = {}
    for sign, name in draft.config.cpu.flag_list:
        if name != "nested-virt":
            flags[name] = sign
            continue
        found = next((f for f in ("vmx", "svm") if f in draft.node.cpu_flags), None)
        if found is not None:
            flags[found] = sign
        else:
            draft.notes.append("cpu: nested-virt is left out, because the host's CPU shows neither vmx nor svm")
    return flags


def _leave_out(draft: Draft, asked: str, flags: Flags) -> None:
    missing = set(_NOT_EMULATED)
    if draft.node.version < _AVX_SINCE:
        missing |= _AVX
    dropped = sorted(name for name in missing if flags.get(name) == "+")
    for name in missing & set(flags):
        del flags[name]
    if dropped:
        draft.notes.append(f"cpu: emulation cannot do {', '.join(dropped)}: left out")
    if VENDORS[_RENAMED.get(asked, asked)] != "default":
        draft.notes.append(f"cpu: QEMU leaves out what emulation cannot do of {asked}")


def _print_flag(name: str, how: str) -> str:
    return f",{name}{how}" if how.startswith("=") else f",{how}{name}"


def _level(draft: Draft) -> str:
    level = draft.config.cpu.level
    return f",level={level}" if level is not None else ""


def _bits(draft: Draft) -> str:
    bits = draft.config.cpu.phys_bits
    if bits is None:
        return ""
    if bits == "host" and not draft.kvm:
        draft.notes.append("cpu: phys-bits=host is left out under emulation")
        return ""
    return ",host-phys-bits=true" if bits == "host" else f",phys-bits={bits}"


def _add_smp(draft: Draft, model: str) -> None:
    config = draft.config
    total = config.max_vcpus
    topology = f"sockets={config.sockets},cores={config.cores},maxcpus={total}"
    if total > draft.node.cpus:
        draft.notes.append(f"{total} virtual CPUs on the {draft.node.cpus} of {draft.node.node}")
    if "cpu" not in config.hotplug_classes:
        draft.option("-smp", f"{config.present_vcpus},{topology}")
        return
    # The first CPU is always there; the others are devices, so that they can be taken away again.
    draft.option("-smp", f"1,{topology}")
    for number in range(1, config.present_vcpus):
        socket, core = divmod(number, config.cores)
        place = f"socket-id={socket},core-id={core},thread-id=0"
        draft.option("-device", f"{model}-x86_64-cpu,id=cpu{number + 1},{place}")


def _host_without_kvm(draft: Draft) -> InvalidInput:
    return InvalidInput(
        "Parameter verification failed.",
        code="cpu-host-needs-kvm",
        cause="`host` hands the real processor to the guest, which only KVM can do; "
        + ("kvm is 0" if draft.config.kvm is False else f"KVM does not work here: {draft.node.kvm.reason}"),
        evidence=f"cpu: {draft.config.texts.get('cpu', 'host')}",
        fixes=[
            Fix(text="use the default for emulation", parameters={"delete": "cpu"}),
            Fix(text="use everything that emulation can do", parameters={"cpu": "max"}),
        ],
        parameters={"cpu": "cputype 'host' needs KVM, and the guest would be emulated"},
    )
