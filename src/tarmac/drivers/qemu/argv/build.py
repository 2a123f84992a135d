"""The order of the parts: configuration, node and launch in, QEMU's argument list out. Pure."""

from __future__ import annotations

from tarmac.drivers.qemu.argv import disks, display, firmware, network, pci, platform
from tarmac.drivers.qemu.argv.accel import accelerator_option, choose_accelerator, choose_machine
from tarmac.drivers.qemu.argv.cpu import add_cpu
from tarmac.drivers.qemu.argv.draft import Draft, Launch, SetupCommand, escape
from tarmac.drivers.qemu.facts import LaunchFacts, NodeFacts
from tarmac.model.devices import ScsiHw
from tarmac.model.vm import VmConfig
from tarmac.model.vm_rules import check_startable

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def build(config: VmConfig, node: NodeFacts, launch: LaunchFacts) -> Launch:
    """The command line of a guest. QEMU ends when the guest powers off (no -no-shutdown: nothing has to notice it and
    quit QEMU, so a guest that powers off while the daemon is away leaves nothing behind).

    Raises InvalidInput for a configuration that cannot start (unbuilt keys, broken values, rules between keys),
    HostFailure for what the node or the launch does not have."""
    check_startable(config)
    kvm, notes = choose_accelerator(config, node)
    machine, version = choose_machine(config, node)
    draft = Draft(
        config=config,
        node=node,
        launch=launch,
        version=version,
        machine=machine,
        kvm=kvm,
        boot_index=firmware.boot_indexes(config),
        notes=notes,
    )
    identity = _add_head(draft)
    cpu = _add_board(draft)
    _add_devices(draft)
    return Launch(
        argv=_line(draft),
        taps=tuple(draft.taps),
        setup=tuple(draft.setup),
        accelerator="kvm" if kvm else "tcg",
        machine=machine,
        cpu=cpu,
        uuid=identity,
        notes=tuple(draft.notes),
    )


def _add_head(draft: Draft) -> str:
    config, launch = draft.config, draft.launch
    name = escape(config.name or f"vm{launch.vmid}")
    threads = ",debug-threads=on" if draft.node.version < (11, 0) else ""
    draft.option("-name", f"guest={name}{threads}")
    if launch.sandbox:
        draft.option("-sandbox", SANDBOX)
    draft.option("-no-user-config", "-nodefaults")
    # First contact over an inherited socket pair; a client on the listening one is safe only after that has answered.
    if "qmp" in launch.fds:
        draft.option("-chardev", f"socket,id=qmp0,fd={launch.fds['qmp']}", "-mon", "chardev=qmp0,mode=control")
    draft.option("-chardev", f"socket,id=qmp1,{draft.socket('qmp.sock')}", "-mon", "chardev=qmp1,mode=control")
    return firmware.add_identity(draft)


def _add_board(draft: Draft) -> str:
    cpu = add_cpu(draft)
    platform.add_memory(draft)
    platform.add_clock(draft)
    platform.add_power(draft)
    firmware.add_boot(draft)
    firmware.add_firmware(draft)
    return cpu


def _add_devices(draft: Draft) -> None:
    display.add_tablet(draft)
    display.add_serial(draft)
    display.add_display(draft)
    platform.add_agent(draft)
    platform.add_rng(draft)
    platform.add_balloon(draft)
    platform.add_watchdog(draft)
    disks.add_disks(draft)
    network.add_nics(draft)


def _line(draft: Draft) -> tuple[str, ...]:
    board = [*pci.Q35_BOARD] if draft.q35 else []
    single = draft.config.scsihw is ScsiHw.VIRTIO_SCSI_SINGLE
    board += pci.bridges(q35=draft.q35, used=draft.buses, single=single)
    return (
        draft.node.qemu,
        *draft.options,
        *_start(draft),
        "-machine",
        ",".join((f"type={draft.machine}", *draft.machine_flags)),
        "-accel",
        accelerator_option(draft.kvm),
        *draft.objects,
        *(word for text in board for word in ("-device", text)),
        *draft.devices,
    )


def _start(draft: Draft) -> list[str]:
    """Whether the guest waits: because it shall (`freeze`), because the launch says so, or for the set-up commands,
    whose last one then lets it run."""
    if draft.launch.incoming is not None:
        return ["-S", "-incoming", draft.launch.incoming]
    if draft.config.freeze or draft.launch.paused:
        return ["-S"]
    if draft.setup:
        draft.setup.append(SetupCommand(command="cont"))
        return ["-S"]
    return []
