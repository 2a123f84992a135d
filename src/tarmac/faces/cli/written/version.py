"""`tarmac version`."""

from __future__ import annotations

from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.session import Session
from tarmac.version import PVE_VERSION, VERSION


def version(session: Session) -> int:
    """This program's version; the daemon's beside it where one answers."""
    told = {"tarmac": VERSION, "api": PVE_VERSION}
    try:
        told["daemon"] = str(session.client.get("/version").get("tarmac") or session.client.get("/version")["version"])
    except CliError:
        pass  # asking for the version must work where nothing runs
    if session.output == "table":
        daemon = f", the daemon's {told['daemon']}" if "daemon" in told else ""
        print(f"tarmac {VERSION} (API of Proxmox VE {PVE_VERSION}{daemon})")
    else:
        session.show(told)
    return 0
