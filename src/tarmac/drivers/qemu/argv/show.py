"""The command line of a configuration's text on a described node, without touching the host: `showcmd`."""

from __future__ import annotations

from tarmac.drivers.qemu.argv.build import build
from tarmac.drivers.qemu.argv.descriptors import descriptors
from tarmac.drivers.qemu.argv.draft import Launch
from tarmac.drivers.qemu.facts import LaunchFacts, NodeFacts, VolumeFacts
from tarmac.model.conf_file import parse_conf
from tarmac.model.errors import HostFailure
from tarmac.model.ids import VolumeId
from tarmac.model.vm import VmConfig
from tarmac.model.vm_rules import is_new_volume

_DIRECTORIES = {"iso": "template/iso", "vztmpl": "template/cache", "import": "import", "snippets": "snippets"}


def show(text: str, node: NodeFacts, *, vmid: int = 100, runtime_dir: str | None = None) -> Launch:
    """What would be started for a `.conf` text. Raises InvalidInput as `parse_conf` and `build` do.

    Volumes are taken to be where Proxmox's layout puts them in the node's storages; of what lies below only the base
    image is known that the name of a linked clone tells."""
    config = VmConfig.parse(parse_conf(text).current)
    launch = LaunchFacts(
        vmid=vmid,
        runtime_dir=runtime_dir or f"/run/tarmac/{node.instance or 'default'}/{vmid}",
        volumes=_volumes(config, node),
        fds=descriptors(config, vhost=node.vhost_net),
    )
    return build(config, node, launch)


def volume_path(volume: VolumeId, root: str) -> tuple[str, str]:
    """Path and format of a volume in a directory storage, Proxmox's layout."""
    kind, slash, rest = volume.name.partition("/")
    place = f"{_DIRECTORIES[kind]}/{rest}" if slash and kind in _DIRECTORIES else f"images/{volume.name}"
    suffix = volume.name.rpartition(".")[2]
    return f"{root}/{place}", suffix if suffix in ("qcow2", "vmdk", "qcow", "qed") else "raw"


def _volumes(config: VmConfig, node: NodeFacts) -> dict[str, VolumeFacts]:
    """The volumes that a launch opens; what is still to be allocated is none (`build` says so)."""
    opened = {key: file for key, file in config.volumes.items() if not key.startswith(("unused", "vmstate"))}
    return {file: _volume(key, file, node) for key, file in opened.items() if not is_new_volume(file)}


def _volume(key: str, file: str, node: NodeFacts) -> VolumeFacts:
    volume = VolumeId.parse(file)
    root = node.storages.get(volume.storage)
    if root is None:
        raise HostFailure(
            f"storage '{volume.storage}' of {key} is not described",
            code="storage-missing",
            cause=f"the node's storages are: {', '.join(sorted(node.storages)) or 'none'}",
            evidence=f"{key}: {file}",
        )
    base, own = _linked(volume)
    path, format_ = volume_path(own, root)
    if base is None:
        return VolumeFacts(path=path, format=format_)
    below, below_format = volume_path(base, root)
    backing = VolumeFacts(path=below, format=below_format, read_only=True)
    return VolumeFacts(path=path, format=format_, backing=backing)


def _linked(volume: VolumeId) -> tuple[VolumeId | None, VolumeId]:
    """`9000/base-9000-disk-0.qcow2/101/vm-101-disk-0.qcow2` as base and own image; no base for all others."""
    parts = volume.name.split("/")
    if len(parts) != 4:
        return None, volume
    return VolumeId(volume.storage, "/".join(parts[:2])), VolumeId(volume.storage, "/".join(parts[2:]))
