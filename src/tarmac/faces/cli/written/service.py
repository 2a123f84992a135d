"""`tarmac install-service` and `tarmac uninstall`: have systemd look after the daemon, and take that away again."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.units import DAEMON, GUESTS, unit_texts
from tarmac.faces.cli.written.serve import daemon_command, data_dir
from tarmac.lib.places import api_socket, read_instance

SYSTEM_UNITS = Path("/etc/systemd/system")
_END_SECONDS = 15.0


def install_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", help="where the API answers")
    parser.add_argument("--node", metavar="NAME", help="this node's name")
    parser.add_argument("--password-file", metavar="FILE", help="its first line becomes the password of root@pam")
    parser.add_argument("--print", action="store_true", dest="show", help="print the units, and do nothing")
    parser.add_argument("--unit-dir", metavar="DIR", help="only write the units there, and start nothing")
    parser.add_argument("--no-start", action="store_true", help="enable the units, and do not start them now")


def install(session: Session) -> int:
    """Write, enable and start the units. A daemon that runs in the background is ended first; its guests go on and
    are taken over. Raises CliError; written units stay then."""
    o = session.options
    data = data_dir(session)
    serve = daemon_command(session)
    texts = unit_texts(serve, [*serve[: serve.index("serve")], "--data-dir", str(data)], user=os.geteuid() != 0)
    if o.show:
        print("\n".join(f"# {name}\n{text}" for name, text in texts.items()), end="")
        return 0
    directory = Path(o.unit_dir) if o.unit_dir else unit_directory()
    if not o.unit_dir:
        need_systemd()
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text)
        session.say(f"wrote {directory / name}")
    if o.unit_dir:
        return 0
    systemctl("daemon-reload")
    systemctl("enable", DAEMON, GUESTS)
    if not o.no_start:
        end_background_daemon(session, data)
        systemctl("start", DAEMON, GUESTS)
        session.say(f"{DAEMON} runs; its log: journalctl -u {DAEMON}")
    warn_of_lingering(session)
    return 0


def uninstall_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("--purge", action="store_true", help="also remove all guests, disks and settings, for good")
    parser.add_argument("--yes", action="store_true", help="do not ask before --purge")
    parser.add_argument("--unit-dir", metavar="DIR", help="only remove the units there, and stop nothing")


def uninstall(session: Session) -> int:
    """Stop the daemon and remove the units; running guests go on. With `--purge` the data too: refused while a guest
    runs, and asked for first. Raises CliError."""
    o = session.options
    data = data_dir(session)
    if o.purge:
        confirm_purge(session, data, sure=o.yes)
    directory = Path(o.unit_dir) if o.unit_dir else unit_directory()
    present = [directory / name for name in (DAEMON, GUESTS) if (directory / name).exists()]
    if present and not o.unit_dir:
        need_systemd()
        systemctl("disable", "--now", *(path.name for path in present))
    for path in present:
        path.unlink()
        session.say(f"removed {path}")
    if present and not o.unit_dir:
        systemctl("daemon-reload")
    if not present:
        session.say(f"there are no units of ours in {directory}")
    if o.purge:
        end_background_daemon(session, data)
        remove_networks(data)
        remove_runtime(data)
        remove_data(data)
        session.say(f"removed {data}")
    elif data.exists():
        session.say(f"guests and data stay in {data}; `tarmac uninstall --purge` would remove them")
    session.say(f"the program itself lies in {Path(sys.prefix)}: remove that directory if you want it gone")
    return 0


def remove_data(data: Path) -> None:
    """Remove everything. Templates' disks are guarded against everybody (`chattr +i`): that is lifted first."""
    from tarmac.drivers.storage.directory.layers import set_immutable

    for base in data.rglob("base-*"):
        set_immutable(base, False)
    shutil.rmtree(data)


def remove_networks(data: Path) -> None:
    """End the DHCP of the instance's networks and remove its bridges, as far as this user may."""
    from tarmac.drivers.network.bridge import Bridges
    from tarmac.drivers.network.dnsmasq import Dnsmasq

    async def remove() -> None:
        dhcp, bridges = Dnsmasq(data / "networks"), Bridges(read_instance(data) or "")
        for vnet in {*dhcp.strays(()), *bridges.ours()}:
            await dhcp.end(vnet)
            await bridges.remove(vnet)

    if os.geteuid() == 0:
        asyncio.run(remove())


def remove_runtime(data: Path) -> None:
    """Remove the instance's runtime directory. Its path stands in a file, so it is removed only where such a
    directory can be: `tarmac/<instance>`."""
    socket, instance = api_socket(data), read_instance(data)
    if socket is not None and socket.parent.name == instance and socket.parent.parent.name.startswith("tarmac"):
        shutil.rmtree(socket.parent, ignore_errors=True)


def unit_directory() -> Path:
    """Where this user's units belong."""
    if os.geteuid() == 0:
        return SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"


def need_systemd() -> None:
    """Raises CliError where systemd does not run."""
    if not Path("/run/systemd/system").is_dir():
        raise CliError(
            "not-built",
            "systemd does not run on this machine",
            evidence="/run/systemd/system does not exist",
            fixes=["run the daemon yourself: tarmac serve", "see the units: tarmac install-service --print"],
        )


def systemctl(*words: str) -> None:
    """Raises CliError with systemctl's own words."""
    command = ["systemctl", *([] if os.geteuid() == 0 else ["--user"]), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CliError("host-failure", f"`{' '.join(command)}` failed", evidence=done.stderr.strip())


def warn_of_lingering(session: Session) -> None:
    """Without lingering a user's systemd ends with the last login, and the daemon with it."""
    user = os.environ.get("USER") or str(os.geteuid())
    if os.geteuid() != 0 and not Path(f"/var/lib/systemd/linger/{user}").exists():
        session.say(f"The daemon will end when you log out. To have it stay: loginctl enable-linger {user}")


def confirm_purge(session: Session, data: Path, *, sure: bool) -> None:
    """Raises CliError unless nothing runs, the directory is one of ours, and somebody said yes."""
    if not (data / "instance").exists():
        raise usage(f"{data} is not a data directory of tarmac")
    running = [
        row for row in session.client.get("/cluster/resources", {"type": "vm"}) or [] if row.get("status") == "running"
    ]
    if running:
        raise CliError(
            "wrong-state",
            f"{len(running)} guests are running",
            evidence=", ".join(str(row["vmid"]) for row in running),
            fixes=["shut them down first: tarmac node stopall"],
        )
    if sure:
        return
    if not sys.stdin.isatty():
        raise usage("--purge removes every guest and disk for good", "--yes says that you mean it")
    if input(f"Remove every guest, disk and setting in {data} for good? Type the word purge: ").strip() != "purge":
        raise usage("nothing was removed")


def end_background_daemon(session: Session, data: Path) -> None:
    """End the daemon that holds the data directory, if one does, and wait for it. Raises CliError if it stays."""
    pid = holder_of(data)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while holder_of(data) == pid:
        if time.monotonic() > deadline:
            raise CliError(
                "busy", f"the daemon (process {pid}) does not end", fixes=[f"kill -9 {pid}: guests survive it"]
            )
        time.sleep(0.05)
    session.say(f"ended the daemon (process {pid}); its guests go on")


def holder_of(data: Path) -> int | None:
    """The pid of the daemon that holds the lock of a data directory, or None. Asked of the lock itself: the pid that
    is written there may be an old one."""
    import fcntl

    try:
        with (data / "lock").open("r+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = lock.read(32).decode("ascii", "replace").strip()
                return int(text) if text.isdigit() and int(text) > 1 else None
    except FileNotFoundError:
        pass
    return None
