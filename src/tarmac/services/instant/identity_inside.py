"""A new identity for a guest that goes on from another one's memory, given through its agent.

Order: first words with a fresh id, thaw, then one shell script for the clock and everything else, then the network.
Under emulation each process in the guest costs tens of milliseconds and some cost seconds, so the script uses the
shell's own words only, but for `date` and one `systemctl`, and keys are made on the host. What a system does not have
is passed over.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tarmac.drivers.qemu.agent import Agent
from tarmac.model.errors import HostFailure, TarmacError

ANSWER_SECONDS = 120.0
SCRIPT_SECONDS = 180.0
RSA_BITS = 3072  # as ssh-keygen makes them
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class NewIdentity:
    """What a guest is to be. `macs`: its cards' old addresses -> new ones; `names`: new address -> the name that the
    card had in the guest; `keys`: SSH host keys by type (private, public)."""

    hostname: str
    machine_id: str
    macs: Mapping[str, str]
    names: Mapping[str, str]
    keys: Mapping[str, tuple[str, str]]


async def first_words(agent: Agent) -> None:
    """Wait for the agent: `guest-sync-delimited` with a number of its own comes before anything else.

    Raises the agent's last error when it does not answer within ANSWER_SECONDS."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            await agent.greet(within=max(1.0, min(15.0, deadline - time.monotonic())))
            return
        except TarmacError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def set_clock(agent: Agent) -> None:
    """By the agent's own command, for a guest whose shell could not. Besides, the agent starts `hwclock`, which waits
    for the right moment of a second, and the longer the busier the guest is: twenty seconds were seen."""
    await agent.call("guest-set-time", {"time": time.time_ns()}, within=ANSWER_SECONDS)


async def card_names(agent: Agent, macs: Mapping[str, str]) -> dict[str, str]:
    """New MAC address -> the name of the card in the guest, for those it has by their old addresses."""
    found = {}
    for entry in await agent.network_interfaces(within=ANSWER_SECONDS):
        old = str(entry.get("hardware-address", "")).lower()
        name = str(entry.get("name", ""))
        # A guest's words go into a file of its own; still, nothing but a plain name.
        if old in macs and name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) < 16:
            found[macs[old]] = name
    return found


async def assume(agent: Agent, identity: NewIdentity) -> bool:
    """Run the script; whether it set the clock. Raises HostFailure with the guest's words when it fails."""
    script = script_of(identity, time.time())
    try:
        async with asyncio.timeout(SCRIPT_SECONDS):
            done = await agent.run(["/bin/sh", "-s"], input=script.encode(), within=ANSWER_SECONDS)
    except TimeoutError:
        raise HostFailure(
            f"{agent.label}: its new identity was not taken on in time",
            code="identity-timeout",
            cause="the script in the guest did not end: the guest is busy, or hangs",
            evidence=f"not done after {SCRIPT_SECONDS:.0f} s",
        ) from None
    if done.exit_code != 0:
        raise HostFailure(
            f"{agent.label}: its new identity was not taken on",
            code="identity-failed",
            cause=f"the script in the guest ended with {done.exit_code}",
            evidence=(done.error or done.output).decode(errors="replace")[-500:],
        )
    return b"clock" in done.output.split()


async def has_rsa_key(agent: Agent) -> bool:
    """Whether the guest has an RSA host key: the one type that takes long to make, so it is made only when needed."""
    try:
        path = "/etc/ssh/ssh_host_rsa_key.pub"
        handle = await agent.call("guest-file-open", {"path": path, "mode": "r"}, within=ANSWER_SECONDS)
    except HostFailure:
        return False
    await agent.call("guest-file-close", {"handle": handle}, within=ANSWER_SECONDS)
    return True


def make_keys(*, with_rsa: bool) -> dict[str, tuple[str, str]]:
    """New SSH host keys, private and public, in OpenSSH's form. Blocks for some milliseconds, with an RSA key for some
    tenths of a second; an emulated guest would take seconds for that."""
    keys: list[tuple[str, PrivateKey]] = [
        ("ed25519", ed25519.Ed25519PrivateKey.generate()),
        ("ecdsa", ec.generate_private_key(ec.SECP256R1())),
    ]
    if with_rsa:
        keys.append(("rsa", rsa.generate_private_key(65537, RSA_BITS)))
    made = {}
    for name, key in keys:
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        made[name] = (private.decode(), public.decode())
    return made


def new_machine_id() -> str:
    return secrets.token_hex(16)


def script_of(identity: NewIdentity, now: float) -> str:
    """The script, in POSIX shell; `now`: seconds since the epoch. It says `clock` when it has set that."""
    lines = [
        f"t={int(now)} f={int(now % 1 * 1000):03}",
        _CLOCK,
        f"new={shlex.quote(identity.hostname)}",
        "old=; [ -r /proc/sys/kernel/hostname ] && read -r old </proc/sys/kernel/hostname",
        'echo "$new" >/proc/sys/kernel/hostname',
        '[ -e /etc/hostname ] && echo "$new" >/etc/hostname',
        _FUNCTIONS,
        "hosts",
        f"id={identity.machine_id}",
        "for f in /etc/machine-id /var/lib/dbus/machine-id; do [ -s $f ] && [ ! -h $f ] && echo $id >$f; done",
        "for f in /var/lib/dhcp/*.leases /var/lib/dhclient/*.leases /var/lib/NetworkManager/*.lease"
        " /var/lib/dhcpcd/duid /var/lib/dhcpcd/*.lease /etc/dhcpcd.duid; do [ -f $f ] && : >$f; done",
    ]
    for old, new in identity.macs.items():
        lines.append(
            "for f in /etc/systemd/network/*.network /etc/systemd/network/*.link /run/systemd/network/*.network"
            " /etc/netplan/*.yaml /etc/network/interfaces /etc/network/interfaces.d/*"
            f" /etc/udev/rules.d/70-persistent-net.rules; do edit $f {old.lower()} {new.lower()}; done"
        )
    for mac, name in identity.names.items():
        lines.append(
            f"[ -d /etc/systemd/network ] && printf '[Match]\\nMACAddress={mac.lower()}\\n[Link]\\nName={name}\\n'"
            f" >/etc/systemd/network/05-tarmac-{name}.link"
        )
    lines += _key_lines(identity.keys)
    seed = base64.b64encode(secrets.token_bytes(48)).decode()
    lines.append(f"printf %s {seed} >/dev/urandom")
    lines.append("[ -d /run/systemd/netif ] && systemctl --no-block try-restart systemd-networkd.service")
    lines.append("exit 0")
    return "\n".join(lines) + "\n"


# Before anything that takes time: what waited for a moment that has passed meanwhile waits no longer. A guest that had
# to wait for its processor looks at its hardware clock, which is the host's and shows whole seconds (or local time).
_CLOCK = """\
r=; [ -r /sys/class/rtc/rtc0/since_epoch ] && read -r r </sys/class/rtc/rtc0/since_epoch
case "$r" in
"" | *[!0-9]*) ;;
*) [ "$r" -gt $t ] && [ "$r" -lt $((t + 600)) ] && t=$r f=000 ;;
esac
{ date -u -s "@$t.$f" || date -u -s "@$t"; } >/dev/null 2>&1 && echo clock"""
# `edit FILE OLD NEW` replaces a word in a file line by line; a file without it is not touched. `hosts` renames the
# guest in the line of its own address, or in that of the loopback.
_FUNCTIONS = """\
edit() {
	[ -f "$1" ] && [ -n "$2" ] || return 0
	hit=; out=
	while IFS= read -r line || [ -n "$line" ]; do
		rest=$line; line=
		while :; do
			case "$rest" in
			*"$2"*) line="$line${rest%%"$2"*}$3"; rest=${rest#*"$2"}; hit=1 ;;
			*) break ;;
			esac
		done
		out="$out$line$rest
"
	done <"$1"
	[ -n "$hit" ] && printf %s "$out" >"$1"
	return 0
}
hosts() {
	[ -f /etc/hosts ] || return 0
	out=
	while IFS= read -r line || [ -n "$line" ]; do
		case "$line" in
		127.0.1.1*) line="127.0.1.1 $new" ;;
		"127.0.0.1 localhost $old") line="127.0.0.1 localhost $new" ;;
		esac
		out="$out$line
"
	done </etc/hosts
	printf %s "$out" >/etc/hosts
}"""


def _key_lines(keys: Mapping[str, tuple[str, str]]) -> list[str]:
    """Host keys of the types that the guest has; of those that are not given (DSA) the guest makes its own, in the
    background, because that takes seconds."""
    lines = []
    for name, (private, public) in keys.items():
        path = f"/etc/ssh/ssh_host_{name}_key"
        lines.append(
            f"if [ -f {path} ]; then umask 077; printf %s {shlex.quote(private)} >{path}; umask 022;"
            f" echo {shlex.quote(public)} >{path}.pub; hup=1; fi"
        )
    others = " ".join(name for name in ("rsa", "dsa") if name not in keys)
    lines.append(
        f"for t in {others}"
        "; do f=/etc/ssh/ssh_host_${t}_key; [ -f $f ] && { rm -f $f $f.pub;"
        " (ssh-keygen -q -t $t -N '' -f $f </dev/null >/dev/null 2>&1;"
        " [ -s /run/sshd.pid ] && read -r p </run/sshd.pid && kill -HUP $p) >/dev/null 2>&1 & }; done"
    )
    lines.append('[ -n "$hup" ] && [ -s /run/sshd.pid ] && read -r p </run/sshd.pid && kill -HUP $p')
    return lines
