"""Names of what the daemon makes in the kernel's network: from the instance and the guest, at most 15 characters.

Several daemons live on one host. The default instance (written "") has Proxmox's own names, which tools and firewalls
of other people know; every other one has names that begin with a mark of its id.
"""

from __future__ import annotations

import hashlib

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
LONGEST = 15


def tap_prefix(instance: str, vmid: int) -> str:
    """What the names of all taps of one guest begin with; no other guest's name does."""
    if not instance:
        return f"tap{vmid}i"
    return f"{_instance_prefix(instance)}{_base36(vmid)}i"


def tap_name(instance: str, vmid: int, index: int) -> str:
    """The tap of card `net<index>`: `tap100i0`, or `t5e8c2si0` in an instance that is not the default."""
    return f"{tap_prefix(instance, vmid)}{index}"


def _instance_prefix(instance: str) -> str:
    """What the names of all taps of an instance that is not the default begin with."""
    return f"t{hashlib.sha256(instance.encode()).hexdigest()[:4]}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        # Upper case: an `i` of the number must not look like the separator before the index.
        digits = _BASE36[digit].upper() + digits
    return digits or "0"
