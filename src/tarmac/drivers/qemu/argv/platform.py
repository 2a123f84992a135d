"""What the operating system inside asks of the machine: clock, timers, power states, memory, balloon, small devices.

Source: PVE::QemuServer, ::Cfg2Cmd::Timer, ::Machine, ::RNG."""

from __future__ import annotations

from tarmac.drivers.qemu.argv.draft import Draft
from tarmac.model.errors import HostFailure
from tarmac.model.os_type import OsType
from tarmac.model.units import MIB

# The RAM block's name in a saved state: the machine's own default, whether the memory is in a file or not.
RAM_BLOCK = "pc.ram"


def add_clock(draft: Draft) -> None:
    """-rtc and the timers: Windows wants local time, corrected drift and no HPET."""
    config, flags = draft.config, []
    windows = config.ostype.windows_version
    drift = config.tdf if config.tdf is not None else windows >= 5 and config.acpi
    local = config.localtime if config.localtime is not None else windows >= 5
    if windows >= 6 and draft.kvm:
        draft.option("-global", "kvm-pit.lost_tick_policy=discard")
    if windows >= 6 or (config.ostype is OsType.L26 and draft.at_least(10, 1)):
        draft.machine_flags.append("hpet=off")
    if drift:
        flags.append("driftfix=slew")
    if config.startdate != "now":
        flags.append(f"base={config.startdate}")
    elif local:
        flags.append("base=localtime")
    if flags:
        draft.option("-rtc", ",".join(flags))


def add_power(draft: Draft) -> None:
    """ACPI and its sleep states, which Proxmox offers no more from machine 9.2+pve1 on."""
    config = draft.config
    if not config.acpi:
        draft.machine_flags.append("acpi=off")
    offered = not draft.at_least(9, 2, 1)
    chip = "ICH9-LPC" if draft.q35 else "PIIX4_PM"
    # Without ACPI the i440fx has no such chip: from QEMU 10 on it says that the words were for nothing.
    silent = not config.acpi and not draft.q35
    for state, wish in (("s3", config.machine.enable_s3), ("s4", config.machine.enable_s4)):
        if not silent and not (offered if wish is None else wish):
            draft.option("-global", f"{chip}.disable_{state}=1")
    if _needs_old_hotplug(draft):
        draft.option("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")


def _needs_old_hotplug(draft: Draft) -> bool:
    """A Linux on an unpinned q35 from before QEMU 6.1 would find its network cards under new names."""
    config = draft.config
    created = config.meta.creation_qemu if config.meta is not None else None
    if created is not None and tuple(int(n) for n in created.split(".")[:2]) >= (6, 1):
        return False
    unpinned = config.machine.version is None
    return unpinned and draft.q35 and config.ostype is OsType.L26 and draft.at_least(6, 1)


def add_memory(draft: Draft) -> None:
    """-m; the RAM block keeps the machine's own name (`pc.ram`), which saved states rely on."""
    draft.option("-m", str(draft.config.memory_mib))
    if draft.config.instant:
        if "ram" not in draft.launch.fds:
            raise HostFailure(
                "the launch was given no descriptor for the guest's memory",
                code="descriptor-missing",
                cause="the memory file of a guest with `instant: 1` must be opened before the command line is made",
                evidence=f"descriptors: {', '.join(draft.launch.fds) or 'none'}",
            )
        draft.machine_flags.append(f"memory-backend={RAM_BLOCK}")
        draft.object(memory_file(draft.config.memory_mib * MIB, draft.launch.fds["ram"], share=True))
    if not draft.config.allow_ksm:
        draft.machine_flags.append("mem-merge=off")


def memory_file(size: int, fd: int, *, share: bool, sealed: bool = False) -> str:
    """RAM in an open file, as text of -object. By path and not as memory-backend-memfd, because newer QEMU leaves only
    named files out of a saved state.

    `share`: what the guest writes goes to the file, which is filled in full first, by QEMU and so charged to its own
    control group. Else the file is only read, and each page becomes the guest's own when it writes there; `sealed`
    says that the file cannot be opened for writing at all (QEMU 8.2 and later can do with that)."""
    how = f"share={'on' if share else 'off'},prealloc={'on' if share else 'off'}"
    if sealed:
        how += ",readonly=on,rom=off"
    return (
        f"memory-backend-file,id={RAM_BLOCK},size={size},mem-path=/proc/self/fd/{fd},{how}"
        ",x-use-canonical-path-for-ramblock-id=off"
    )


def add_balloon(draft: Draft) -> None:
    if draft.config.balloon == 0:
        return
    # An instant clone must never give a page back: it would be torn out of the memory that all clones share.
    reporting = ",free-page-reporting=on" if draft.at_least(6, 2) and not draft.config.instant else ""
    draft.device(f"virtio-balloon-pci,id=balloon0{draft.slot('balloon0')}{reporting}")


def add_agent(draft: Draft) -> None:
    """The guest agent's channel, a socket in the runtime directory."""
    agent = draft.config.agent
    if not agent.enabled:
        return
    draft.chardev(f"socket,id=qga0,{draft.socket('qga.sock')}")
    if agent.type == "isa":
        draft.device("isa-serial,chardev=qga0")
        return
    draft.device(f"virtio-serial,id=qga0{draft.slot('qga0')}")
    draft.device("virtserialport,chardev=qga0,name=org.qemu.guest_agent.0")


def add_rng(draft: Draft) -> None:
    rng = draft.config.rng0
    if rng is None:
        return
    draft.object(f"rng-random,filename={rng.source},id=rng0")
    limit = f",max-bytes={rng.max_bytes},period={rng.period}" if rng.max_bytes else ""
    draft.device(f"virtio-rng-pci,rng=rng0{limit}{draft.slot('rng0')}")


def add_watchdog(draft: Draft) -> None:
    watchdog = draft.config.watchdog
    if watchdog is None:
        return
    place = draft.slot("watchdog") if watchdog.model == "i6300esb" else ""  # the ib700 is no PCI device
    draft.device(f"{watchdog.model},id=watchdog0{place}")
    if watchdog.action is not None:
        draft.option("-action", f"watchdog={watchdog.action}")
