"""The services of the host that Proxmox knows, as far as this host has them: what systemd says of them.

Source of the names: Proxmox's `/nodes/{node}/services`. Its own daemons' names lead to Tarmac's one service.
"""

from __future__ import annotations

from typing import Any

from tarmac.lib.process import run
from tarmac.model.errors import HostFailure, NotFound

SERVICES = {
    "chrony": "chrony.service",
    "cron": "cron.service",
    "ksmtuned": "ksmtuned.service",
    "postfix": "postfix.service",
    "pvedaemon": "tarmac.service",
    "pveproxy": "tarmac.service",
    "sshd": "ssh.service",
    "syslog": "rsyslog.service",
    "systemd-journald": "systemd-journald.service",
    "systemd-timesyncd": "systemd-timesyncd.service",
}
_FIELDS = {
    "desc": "Description",
    "active-state": "ActiveState",
    "state": "SubState",
    "unit-state": "UnitFileState",
}


async def rows() -> list[dict[str, str]]:
    """The services that are installed here, by name."""
    found = await _shown()
    return [_row(name, found[unit]) for name, unit in SERVICES.items() if found[unit].get("LoadState") == "loaded"]


async def row(service: str) -> dict[str, str]:
    """One service's state; one that is not installed says `not-found`. Raises NotFound for a name outside the table."""
    return _row(service, (await _shown())[unit_of(service)])


def unit_of(service: str) -> str:
    """The unit behind a name. Raises NotFound for one that Tarmac has nothing for."""
    unit = SERVICES.get(service)
    if unit is None:
        raise NotFound(
            f"service '{service}' does not exist here",
            code="no-such-service",
            cause="it is a part of Proxmox VE that has no counterpart in Tarmac",
            evidence=f"known are {', '.join(SERVICES)}",
        )
    return unit


def _row(service: str, shown: dict[str, str]) -> dict[str, Any]:
    states = {key: shown.get(word) or "unknown" for key, word in _FIELDS.items()}
    if shown.get("LoadState") == "not-found":
        states["unit-state"] = "not-found"
    return {"service": service, "name": service, **states}


async def _shown() -> dict[str, dict[str, str]]:
    """Each unit's properties; empty ones where the host is not run by systemd."""
    names = sorted(set(SERVICES.values()))
    properties = ",".join((*_FIELDS.values(), "LoadState"))
    try:
        done = await run(["systemctl", "show", f"--property={properties}", "--", *names])
    except HostFailure:
        return {name: {} for name in names}
    blocks = done.text.strip("\n").split("\n\n")
    parsed = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return dict(zip(names, parsed, strict=True)) if len(parsed) == len(names) else {name: {} for name in names}
