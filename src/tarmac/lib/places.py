"""Where things lie on this machine: the data directory, the runtime directory, the command line's socket.

The daemon and the command line agree through this one module; it imports almost nothing, because the command line's
start passes through it. The rules: the data directory is `/var/lib/tarmac` for root and `~/.local/share/tarmac`
otherwise; the instance id stands in `<data>/instance`; sockets and other things that do not outlive a boot lie in
`/run/tarmac/<instance>` for root, in `$XDG_RUNTIME_DIR/tarmac/<instance>` otherwise, and where there is no such
variable (cron, su) in `/run/user/<uid>` or else `/tmp/tarmac-<uid>`. The daemon writes down which one it took, so
that a command line under another user or another environment finds it too.
"""

from __future__ import annotations

import os
from pathlib import Path

INSTANCE_FILE = "instance"
RUNTIME_FILE = "runtime"
SOCKET = "api.sock"
_LIMIT = 4096


def default_data_dir() -> Path:
    """The data directory when none is named. `TARMAC_DATA_DIR` changes it."""
    if named := os.environ.get("TARMAC_DATA_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/tarmac")
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - no pwd import
    return Path(base) / "tarmac"


def runtime_root() -> Path:
    """The directory under which this user's instances have their runtime directories."""
    if os.geteuid() == 0:
        return Path("/run/tarmac")
    if given := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / "tarmac"
    login = Path(f"/run/user/{os.geteuid()}")
    return login / "tarmac" if login.is_dir() else Path(f"/tmp/tarmac-{os.geteuid()}")


def read_instance(data_dir: Path) -> str | None:
    """The instance id of a data directory, or None where no daemon has ever run."""
    return _first_line(data_dir / INSTANCE_FILE)


def runtime_dir(instance: str) -> Path:
    """The runtime directory that a daemon of this user takes for an instance."""
    return runtime_root() / instance


def record_runtime(data_dir: Path, runtime: Path) -> None:
    """The daemon's note for `api_socket`. Whole or not there; losing it at a power cut does no harm."""
    temporary = data_dir / f".{RUNTIME_FILE}.tmp"
    temporary.write_text(f"{runtime}\n")
    temporary.replace(data_dir / RUNTIME_FILE)


def api_socket(data_dir: Path) -> Path | None:
    """The socket on which the daemon of a data directory listens, or would; None where none has ever run."""
    if noted := _first_line(data_dir / RUNTIME_FILE):
        return Path(noted) / SOCKET
    instance = read_instance(data_dir)
    return runtime_dir(instance) / SOCKET if instance else None


def _first_line(path: Path) -> str | None:
    try:
        with path.open() as file:
            return file.read(_LIMIT).partition("\n")[0].strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
