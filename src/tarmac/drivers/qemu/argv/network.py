"""Network cards: a tap on a bridge, or QEMU's own user-mode network. Source: print_netdev*_full of PVE::QemuServer."""

from __future__ import annotations

import hashlib

from tarmac.drivers.network.names import tap_name
from tarmac.drivers.qemu.argv.descriptors import queue_names, queues_of, vhost_key
from tarmac.drivers.qemu.argv.draft import Draft, SetupCommand, TapNeed, escape
from tarmac.drivers.qemu.facts import NodeFacts
from tarmac.model.cloudinit import IpConfig
from tarmac.model.errors import Fix, HostFailure, InvalidInput
from tarmac.model.nic import Nic, NicModel
from tarmac.model.user_network import user_network

_DEVICES = {NicModel.VIRTIO: "virtio-net-pci", NicModel.E1000_82540EM: "e1000"}
_MIN_MTU = 576


def add_nics(draft: Draft) -> None:
    """Adds every card. Raises HostFailure for a bridge that is not there, InvalidInput for an MTU it cannot carry."""
    for index, nic in draft.config.net.items():
        key = f"net{index}"
        if nic.macaddr is None:
            draft.notes.append(f"{key}: has no MAC address in the configuration; {_mac(draft, key)} is used")
        if nic.firewall:
            draft.notes.append(f"{key}: firewall=1 has no effect: there is no firewall yet, nothing is filtered")
        if nic.bridge is not None:
            _check_bridge(draft.node, key, nic.bridge)
            draft.taps.append(_tap(draft, key, index, nic, nic.bridge))
            netdev = _tap_netdev(draft, key, nic)
        else:
            netdev = _user_netdev(draft, key, nic, draft.config.ipconfig.get(index))
        draft.devices += ["-netdev", netdev]
        draft.device(device_text(draft, key, nic))
        if nic.link_down:
            draft.setup.append(SetupCommand(command="set_link", arguments={"name": key, "up": False}))


def device_text(draft: Draft, key: str, nic: Nic) -> str:
    """The text of -device for one card."""
    model = _DEVICES.get(nic.model, nic.model.value)
    slot = "" if nic.model is NicModel.NE2K_ISA else draft.slot(key)
    text = f"{model},mac={nic.macaddr or _mac(draft, key)},netdev={key}{slot},id={key}"
    virtio = nic.model is NicModel.VIRTIO
    if virtio and (queues := queues_of(nic)) > 1:
        # One vector in and one out for each queue, one for changes of configuration, one for control.
        text += f",vectors={2 * queues + 2},mq=on" + (",packed=on" if draft.at_least(7, 1) else "")
    if virtio and draft.at_least(7, 1):
        text += ",rx_queue_size=1024,tx_queue_size=256"
    if key in draft.boot_index:
        text += f",bootindex={draft.boot_index[key]}"
    if virtio and nic.bridge is not None and (mtu := _host_mtu(draft, key, nic, nic.bridge)) is not None:
        text += f",host_mtu={mtu}"
    elif nic.mtu is not None and not (virtio and nic.bridge):
        draft.notes.append(f"{key}: mtu {nic.mtu} has no effect, it needs a virtio card on a bridge")
    if virtio and draft.at_least(11, 0, 1):
        text += ",host_tunnel=off"
    return text


def _host_mtu(draft: Draft, key: str, nic: Nic, bridge: str) -> int | None:
    facts = draft.node.bridges.get(bridge)
    limit = facts.mtu if facts is not None else 1500
    mtu = limit if nic.mtu is None or nic.mtu == 1 else nic.mtu
    if mtu < _MIN_MTU:
        raise InvalidInput.of(key, f"MTU '{mtu}' is smaller than the IP minimum MTU '{_MIN_MTU}'")
    if mtu > limit:
        raise InvalidInput.of(key, f"MTU '{mtu}' is bigger than the bridge MTU '{limit}'")
    return mtu if mtu != 1500 or draft.at_least(10, 0, 1) else None


def _check_bridge(node: NodeFacts, key: str, bridge: str) -> None:
    if bridge in node.bridges:
        return
    known = sorted(node.bridges)
    raise HostFailure(
        f"bridge '{bridge}' of {key} does not exist on {node.node}",
        code="bridge-missing",
        cause=f"the bridges of {node.node} are: {', '.join(known) or 'none'}",
        evidence=f"{key}: bridge={bridge}",
        fixes=[
            *(Fix(text=f"use bridge {name}", parameters={key: f"virtio,bridge={name}"}) for name in known[:3]),
            Fix(text="leave `bridge` out for user-mode networking", parameters={key: "virtio"}),
        ],
    )


def _tap(draft: Draft, key: str, index: int, nic: Nic, bridge: str) -> TapNeed:
    facts = draft.node.bridges.get(bridge)
    return TapNeed(
        name=tap_name(draft.node.instance, draft.launch.vmid, index),
        bridge=bridge,
        mac=nic.macaddr or _mac(draft, key),
        mtu=facts.mtu if facts is not None else None,
        queues=queues_of(nic),
        key=key,
        vhost=_vhost(draft, nic),
    )


def _tap_netdev(draft: Draft, key: str, nic: Nic) -> str:
    fds = _fds(draft, key, queues_of(nic))
    text = f"type=tap,id={key},{'fds' if len(fds) > 1 else 'fd'}={':'.join(map(str, fds))}"
    if _vhost(draft, nic) and vhost_key(key) in draft.launch.fds:
        vhost = _fds(draft, vhost_key(key), queues_of(nic))
        text += f",vhost=on,{'vhostfds' if len(vhost) > 1 else 'vhostfd'}={':'.join(map(str, vhost))}"
    return text


def _vhost(draft: Draft, nic: Nic) -> bool:
    return draft.node.vhost_net and nic.model is NicModel.VIRTIO


def _fds(draft: Draft, key: str, queues: int) -> list[int]:
    names = queue_names(key, queues)
    missing = [name for name in names if name not in draft.launch.fds]
    if missing:
        raise HostFailure(
            f"the launch was given no descriptor for {', '.join(missing)}",
            code="descriptor-missing",
            cause="the tap must be opened before the command line is made",
            evidence=f"descriptors: {', '.join(draft.launch.fds) or 'none'}",
        )
    return [draft.launch.fds[name] for name in names]


def _user_netdev(draft: Draft, key: str, nic: Nic, ip: IpConfig | None) -> str:
    text = f"type=user,id={key},hostname={escape(draft.config.name or f'vm{draft.launch.vmid}')}"
    try:
        network = user_network(ip)
    except ValueError as problem:  # with forwards it is refused by `model.vm_rules`
        draft.notes.append(f"{key}: {problem}; the guest will not reach anything")
        network = None
    if network is not None:
        # dhcpstart is also where forwards lead.
        text += f",net={network.network},host={network.gateway},dns={network.names},dhcpstart={network.guest}"
    for forward in nic.forwards:
        text += f",hostfwd={forward.protocol}:{forward.host}:{forward.host_port}-:{forward.guest_port}"
    return text


def _mac(draft: Draft, key: str) -> str:
    """A fixed address in Proxmox's range for a card that has none: the same at every start."""
    seed = f"{draft.node.instance}/{draft.launch.vmid}/{key}".encode()
    return ":".join(["BC", "24", "11", *(f"{b:02X}" for b in hashlib.sha256(seed).digest()[:3])])
