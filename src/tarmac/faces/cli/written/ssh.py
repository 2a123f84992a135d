"""`tarmac vm ssh`: the ssh command that reaches a guest, found from its configuration and its agent."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.session import Session

KEY = "keys/id_ed25519"
_FORWARD = re.compile(r"tcp:(?P<address>\[[^\]]*\]|[^:\[]*):(?P<port>\d+):22")
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Login(NamedTuple):
    """How to reach a guest by ssh. `alias` stands for its host key: another guest at the same port is another host."""

    user: str
    address: str
    port: int
    alias: str


def ssh_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("guest", metavar="GUEST", help="number or name")
    parser.add_argument("-l", "--user", help="the user there (default: the guest's ciuser, or root)")
    parser.add_argument(
        "-i", "--identity", metavar="FILE", help="the private key (default: the one made by `tarmac up`)"
    )
    parser.add_argument("--print", action="store_true", dest="show", help="print the command instead of running it")
    parser.add_argument("--node", help="the guest's node")


def ssh(session: Session) -> int:
    """Become ssh. Returns only with `--print`, or when there is no ssh here."""
    o = session.options
    node, vmid = session.guest(o.guest)
    login = login_of(session, node, vmid, o.user)
    words = command(login, session.client.data_dir, o.identity) + list(o.command)
    if o.show:
        print(shlex.join(words))
        return 0
    try:
        os.execvp(words[0], words)
    except FileNotFoundError:
        raise CliError("host-failure", "ssh is not installed", fixes=["apt-get install openssh-client"]) from None


def login_of(session: Session, node: str, vmid: int, user: str | None = None) -> Login:
    """Where a guest answers to ssh: a port forward of its user-mode network, else the first address that its agent
    tells. Raises CliError when there is neither."""
    guest = f"/nodes/{node}/qemu/{vmid}"
    config: dict[str, Any] = session.client.get(f"{guest}/config")
    user = user or str(config.get("ciuser") or "root")
    if not _USER.fullmatch(user):
        raise CliError("invalid-input", f"'{user}' cannot be a user's name")
    uuid = re.search(r"uuid=([0-9a-fA-F-]+)", str(config.get("smbios1", "")))
    alias = f"tarmac-{uuid[1] if uuid else vmid}"
    if (forward := forward_of(config)) is not None:
        return Login(user, forward[0], forward[1], alias)
    _check_reachable(config, vmid)
    return Login(user, _agent_address(session, guest, vmid), 22, alias)


def forward_of(config: Mapping[str, Any]) -> tuple[str, int] | None:
    """Address and port on the node that lead to the guest's port 22."""
    for key in sorted(key for key in config if re.fullmatch(r"net\d+", key)):
        if match := _FORWARD.search(str(config[key])):
            address = match["address"].strip("[]")
            return ("127.0.0.1" if address in ("", "0.0.0.0", "::") else address), int(match["port"])
    return None


def _check_reachable(config: Mapping[str, Any], vmid: int) -> None:
    """Raises CliError where every card is in QEMU's user-mode network: what the agent tells leads nowhere."""
    cards = {key: str(value) for key, value in config.items() if re.fullmatch(r"net\d+", key)}
    if not cards or any("bridge=" in card for card in cards.values()):
        return
    key, card = min(cards.items())
    raise CliError(
        "unavailable",
        f"guest {vmid} cannot be reached by ssh",
        code="no-way-in",
        cause="its network leads out only: it has neither a bridge nor a forwarded port",
        evidence=f"{key}: {card}",
        fixes=[
            f"tarmac vm set {vmid} --{key} '{card},forward=tcp:127.0.0.1:2222:22'",
            f"go in without network: tarmac vm console {vmid}, tarmac vm exec {vmid} -- sh",
        ],
    )


def _agent_address(session: Session, guest: str, vmid: int) -> str:
    reply = session.client.get(f"{guest}/agent/network-get-interfaces") or {}
    for link in reply.get("result") or []:
        for one in link.get("ip-addresses") or []:
            address = str(one.get("ip-address", ""))
            usable = not address.startswith(("127.", "::1", "fe80", "169.254.")) and _ADDRESS.fullmatch(address)
            if usable and link.get("name") != "lo":
                return address
    raise CliError(
        "unavailable",
        f"guest {vmid} has no address that ssh could use",
        cause="no port is forwarded to its port 22, and its agent tells no address",
        fixes=[
            f"go in without network: tarmac vm console {vmid}, tarmac vm exec {vmid} -- sh",
        ],
    )


def command(login: Login, data_dir: Path | None, identity: str | None = None) -> list[str]:
    """The ssh command. Host keys are kept beside the data, each under its guest's own name, so that guests that take
    turns at one port do not look like an attack."""
    words = [
        "ssh",
        "-p",
        str(login.port),
        "-o",
        f"HostKeyAlias={login.alias}",
        "-o",
        "StrictHostKeyChecking=accept-new",
    ]
    key = Path(identity) if identity else (data_dir / KEY if data_dir else None)
    if key is not None and (identity or key.exists()):
        words += ["-i", str(key)]
        known = key.parent / "known_hosts"
        if not identity:
            words += ["-o", f"UserKnownHostsFile={known}"]
    return [*words, f"{login.user}@{login.address}"]
