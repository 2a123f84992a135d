"""A login for whoever is on the machine itself: a password of root@pam that is good once. Ours: Proxmox has nothing
like it; there root always has a password."""

from __future__ import annotations

from typing import Any

from tarmac.faces.api.declare import OBJECT, Allow, Call, NoParams, post
from tarmac.model.errors import Denied, Fix


async def _on_the_machine(call: Call, p: Any) -> None:
    """Only over the local socket, which only root and the daemon's own user reach: a token, however mighty, must not
    be turned into a login as root."""
    if not call.peer.startswith("unix:"):
        raise Denied(
            "Permission check failed - only on the machine itself",
            code="not-local",
            cause="a login as root@pam is given out over the local socket only",
            evidence=f"the request came from {call.peer}",
            fixes=[Fix(text="on the machine itself", action="tarmac login-link")],
        )


@post(
    "/access/login-link",
    params=NoParams,
    allow=Allow.by(_on_the_machine, "whoever reaches the local socket: root and the daemon's own user"),
    returns=OBJECT,
    help="A password for root@pam that is good once, within an hour, and the link that carries it.",
)
async def login_link(call: Call, p: NoParams) -> dict[str, str]:
    secret = await call.services.login.one_time_secret()
    web = call.services.web
    # Behind `#`, so that it reaches neither a server's log nor a proxy's.
    return {"url": f"{web}#once={secret}", "web": web, "username": "root@pam", "password": secret}
