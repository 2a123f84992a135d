"""`tarmac vm create`: a guest in one line. What is not named is filled in so that the guest can be used at once:
a disk from the image, a network card, a serial console, the agent, and a cloud-init drive where a login is wanted."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tarmac.faces.cli import commands, declared
from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written.cloudinit import put_document, read_document
from tarmac.faces.cli.written.image import needed

_DISKS = ("scsi", "virtio", "sata", "ide")
_CLOUDINIT = ("ciuser", "cipassword", "sshkeys", "nameserver", "searchdomain", "cicustom", "ciupgrade")
_OWN = ("node", "vmid", "sshkeys", "start", "import-working-storage")
_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")


def create_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    own = parser.add_argument_group("the usual")
    own.add_argument("--image", metavar="I", help="the image of its disk: a name (debian-12) or a volume id")
    own.add_argument("--vmid", metavar="ID", type=int, help="its number (default: the next free one)")
    own.add_argument("--storage", default="local", metavar="S", help="where its disk lies (default: local)")
    own.add_argument("--image-storage", default="local", metavar="S", help="where the image lies (default: local)")
    own.add_argument("--disk-size", metavar="SIZE", help="its size: 32G; at least the image's")
    own.add_argument("--sshkeys", metavar="FILE", help="public keys that may log in: a file, or the key itself")
    own.add_argument("--user-data", metavar="FILE", help="cloud-init's user-data of one's own (-: standard input)")
    own.add_argument("--network-config", metavar="FILE", help="cloud-init's network configuration of one's own")
    own.add_argument("--start", action="store_true", help="start it when it is there")
    own.add_argument("--wait", action="store_true", help="wait for the end (this is the default; see --no-wait)")
    own.add_argument("--node", help="the node (default: the one that answers)")
    if (spec := declared.table().get("vm create")) is not None:
        commands.add_parameters(parser, spec, argv, skip=(*_OWN, "storage"), optional=True)


def create(session: Session) -> int:
    """Create, resize and start: three tasks, each waited for. With `--no-wait` only the first is begun, so what comes
    after it cannot be asked for then."""
    o = session.options
    spec = declared.table()["vm create"]
    texts = commands.given(spec, o, skip=(*_OWN, "storage"))
    files = (("user", o.user_data), ("network", o.network_config))
    documents = {kind: read_document(file) for kind, file in files if file}
    if o.no_wait and (o.disk_size or o.start or documents):
        raise usage("--no-wait allows no --disk-size, --start and no documents", "wait, or do that afterwards")
    if o.sshkeys:
        texts["sshkeys"] = encoded_keys(o.sshkeys)
    node = session.node()
    image = needed(session, o.image, o.image_storage) if o.image else ""
    texts, disk = complete(texts, image, o.storage, documents=bool(documents))
    if o.disk_size and not disk:
        raise usage("--disk-size needs an image", "--image debian-12", "--scsi0 local:32 for an empty disk of 32 GiB")
    vmid = o.vmid or int(session.client.get("/cluster/nextid"))
    grown = disk if o.disk_size else ""
    status = run_steps(session, node, vmid, texts, grown, o.disk_size or "", start=o.start, documents=documents)
    if session.output != "table":
        session.show({"vmid": vmid, "node": node, "upid": status.get("upid")})
    elif o.no_wait:
        print(status.get("upid", ""))
    else:
        print(vmid)
        session.say(f"guest {vmid} is {'started' if o.start else f'created; start it: tarmac vm start {vmid}'}")
        if disk and o.image != "tiny" and not has_cloudinit(texts):
            session.say("Nobody was given a login: where the image has none of its own, create it with --sshkeys FILE")
    return 0


def run_steps(
    session: Session,
    node: str,
    vmid: int,
    texts: dict[str, Any],
    disk: str,
    size: str,
    *,
    start: bool,
    documents: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Create the guest, bring its disk to `size`, set its cloud-init documents, start it. Returns the status of the
    creation. Raises CliError; the guest stays as far as it came."""
    base = f"/nodes/{node}/qemu"
    try:
        status = session.task("POST", base, {"vmid": vmid, **texts}, f"creating guest {vmid}")
    except SystemExit:
        if size or documents or start:
            session.say("What was asked for besides is not done then: its size, its documents, its start.")
        raise
    if size:
        session.task("PUT", f"{base}/{vmid}/resize", {"disk": disk, "size": size}, f"resizing {disk} to {size}")
    for kind, text in (documents or {}).items():
        put_document(session, f"{base}/{vmid}", kind, text)
    if start:
        session.task("POST", f"{base}/{vmid}/status/start", {}, f"starting guest {vmid}")
    return status


def complete(texts: dict[str, Any], image: str, storage: str, *, documents: bool = False) -> tuple[dict[str, Any], str]:
    """The configuration with what was not said filled in, and the key of the disk that comes from the image."""
    full = dict(texts)
    disk = ""
    if image:
        disk = "scsi0" if "scsi0" not in full else "virtio0"
        if disk in full:
            raise usage(f"both scsi0 and virtio0 are taken; {image} needs one of them")
        full[disk] = f"{storage}:0,import-from={image},discard=on"
        full.setdefault("scsihw", "virtio-scsi-single")
        full.setdefault("boot", f"order={disk}")
        full.setdefault("ostype", "l26")
        full.setdefault("serial0", "socket")
        full.setdefault("agent", "1")
        full.setdefault("rng0", "source=/dev/urandom")
    if not any(key.startswith("net") and key[3:].isdigit() for key in full):
        full["net0"] = "virtio"
    wants_login = documents or any(key in full for key in _CLOUDINIT) or any(key.startswith("ipconfig") for key in full)
    if wants_login and not has_cloudinit(full):
        full["ide2"] = f"{storage}:cloudinit"
        full.setdefault("ipconfig0", "ip=dhcp")
    return full, disk


def has_cloudinit(texts: Mapping[str, Any]) -> bool:
    """Whether a drive of the configuration carries cloud-init's medium."""
    return any("cloudinit" in str(texts[key]) for key in texts if key.startswith(_DISKS))


def encoded_keys(word: str) -> str:
    """The `sshkeys` value of the API from a file of public keys or from a key itself. Raises CliError."""
    text = word if word.startswith(_KEY_TYPES) else _read(Path(word))
    if "PRIVATE KEY" in text:
        raise usage(f"{word} is a private key", "give the public one, which ends in .pub")
    if not (encoded := encode(text)):
        raise usage(f"{word} holds no key")
    return encoded


def encode(text: str) -> str:
    """Lines of public keys as the API wants them: percent-encoded, without comments and blank lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return quote("\n".join(lines), safe="-_.!~*'()")


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text()
    except OSError as error:
        raise usage(f"cannot read {path}: {error.strerror}", "--sshkeys ~/.ssh/id_ed25519.pub") from error
