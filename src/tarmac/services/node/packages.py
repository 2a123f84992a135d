"""The host's Debian packages, as far as guests depend on them, and what could be updated. Asked of dpkg and apt."""

from __future__ import annotations

import re
from typing import Any

from tarmac.lib.process import run
from tarmac.version import VERSION

NAMES = (
    "dnsmasq-base",
    "nftables",
    "ovmf",
    "qemu-block-extra",
    "qemu-system-x86",
    "qemu-utils",
    "swtpm",
)
_FIELDS = "Package Version Architecture db:Status-Status Section Priority Origin binary:Summary"
_FORMAT = "\\t".join(f"${{{field}}}" for field in _FIELDS.split()) + "\\n"
_STATES = {"installed": "Installed", "config-files": "ConfigFiles", "unpacked": "UnPacked"}
_UPGRADE = re.compile(r"^Inst (\S+) \[(\S+)\] \((\S+) (.*) \[(\S+)\]\)")


async def versions() -> list[dict[str, Any]]:
    """What runs guests here: Tarmac itself under Proxmox's name for it, and the packages of `NAMES`."""
    done = await run(["dpkg-query", "-W", f"-f={_FORMAT}", *NAMES], ok=(0, 1))
    own = {
        "Package": "pve-manager",
        "Title": "Tarmac",
        "Description": "Tarmac, which answers as Proxmox VE",
        "Version": VERSION,
        "OldVersion": VERSION,
        "ManagerVersion": VERSION,
        "CurrentState": "Installed",
        "Arch": "all",
        "Section": "admin",
        "Priority": "optional",
        "Origin": "Tarmac",
    }
    return [own, *(_version(line.split("\t")) for line in done.text.splitlines() if line.count("\t") == 7)]


def _version(words: list[str]) -> dict[str, Any]:
    package, version, arch, state, section, priority, origin, title = words
    return {
        "Package": package,
        "Title": title,
        "Description": title,
        "Version": version,
        "OldVersion": version,
        "CurrentState": _STATES.get(state, "NotInstalled"),
        "Arch": arch or "all",
        "Section": section,
        "Priority": priority,
        "Origin": origin or "Debian",
    }


async def updates() -> list[dict[str, Any]]:
    """What `apt-get dist-upgrade` would bring, from the lists as they were last fetched; nothing is changed."""
    done = await run(["apt-get", "--simulate", "-q", "dist-upgrade"], limit=4 << 20)
    found = (_UPGRADE.match(line) for line in done.text.splitlines())
    return [
        {
            "Package": m[1],
            "OldVersion": m[2],
            "Version": m[3],
            "Origin": m[4].partition(":")[0],
            "Arch": m[5],
            "Title": m[1],
            "Description": m[4],
            "Section": "",
            "Priority": "optional",
        }
        for m in found
        if m is not None
    ]
