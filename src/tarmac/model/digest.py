"""Digests: a change is made only to what its caller has seen. The words are Proxmox's."""

from __future__ import annotations

from tarmac.model.errors import Conflict, Fix

CHANGED = "detected modified configuration - file changed by other user? Try again."
OF_A_GUEST = "checksum mismatch (file change by other user?)"


def check_digest(sent: str | None, present: str, *, words: str = CHANGED, read: str = "") -> None:
    """Raises Conflict (`digest-mismatch`) where a digest was sent and another one is present; `read`: the call that
    gives the present one."""
    if sent is None or sent == present:
        return
    raise Conflict(
        words,
        code="digest-mismatch",
        cause="somebody changed it after you read it",
        evidence=f"you sent {sent}, it is {present}",
        fixes=[Fix(text="read it again and repeat the change", action=read)],
    )
