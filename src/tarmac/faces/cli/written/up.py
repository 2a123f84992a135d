"""`tarmac up`, which is what `./run` does after the set-up: from nothing to a guest one can log in to.

Each step looks first whether it is done, so that a second call goes on from where things stand, and after a failure
the next call repeats only what failed: the daemon, the image, the keys, the guest, its start, its answer.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tarmac.faces.cli import daemon_control
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written import image, ssh, vm_create
from tarmac.faces.cli.written.serve import daemon_command, data_dir
from tarmac.faces.cli.written.up_report import report

FIRST_PORT, LAST_PORT = 2222, 2321
_ANSWER_SECONDS = 600.0
_LOGIN_SECONDS = 60.0
_OWN_KEYS = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")


def up_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("--setup-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--listen", metavar="HOST:PORT", help="where the API answers, if the daemon is to be started")
    parser.add_argument("--node", metavar="NAME", help="this node's name, if the daemon is to be started")
    parser.add_argument(
        "--password-file", metavar="FILE", help="a password for root@pam, if the daemon is to be started"
    )
    parser.add_argument("--name", default="first", help="the guest's name (default: first)")
    parser.add_argument(
        "--image", default="debian-12", metavar="I", help="the image to make it from (default: debian-12)"
    )
    parser.add_argument("--memory", default="1024", metavar="MiB", help="its memory (default: 1024)")
    parser.add_argument("--user", default="debian", help="the user who may log in (default: debian)")
    parser.add_argument("--no-guest", action="store_true", help="only the daemon and the image")


def up(session: Session) -> int:
    """Bring about what is missing, then say how to use it. Raises CliError at the first step that fails."""
    o = session.options
    if o.url:
        raise CliError("invalid-input", "`tarmac up` is for this machine", fixes=["leave --url out"])
    o.no_wait = False
    ensure_daemon(session)
    ensure_image(session, o.image)
    if o.no_guest:
        return 0
    public = ensure_keys(session)
    node, vmid = ensure_guest(session, public)
    ensure_running(session, node, vmid)
    wait_for_answer(session, node, vmid)
    report(session, node, vmid, ssh_answers=wait_for_login(session, node, vmid))
    return 0


def ensure_daemon(session: Session) -> None:
    """A daemon that answers on the data directory. One that systemd looks after is left to systemd."""
    data = data_dir(session)
    session.options.data_dir = str(data)

    def ask() -> object:
        session.forget()
        return session.client.get("/version")

    if daemon_control.listening(data) and daemon_control.answers(ask):
        session.say(f"==> daemon: answers ({data})")
        return
    shown = session.progress("starting the daemon")
    pid = daemon_control.start(daemon_command(session), data, ask, shown)
    session.say(f"==> daemon: started (process {pid}, log {data / daemon_control.LOG})")
    session.options.node = None  # it was the new daemon's name; from here on the daemon says it


def ensure_image(session: Session, name: str) -> None:
    """The image, built if it is missing."""
    if image.find(session, name, "local") is not None:
        session.say(f"==> image {name}: there")
        return
    session.say(f"==> image {name}: building, which takes some minutes")
    image.start_build(session, name, "local")
    session.say(f"==> image {name}: built")


def ensure_keys(session: Session) -> str:
    """Public keys that may log in: the user's own, and the pair in the data directory, made if it is missing."""
    data = data_dir(session)
    key = data / ssh.KEY
    if not key.exists():
        key.parent.mkdir(mode=0o700, exist_ok=True)
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tarmac", "-f", str(key)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise CliError(
                "host-failure", "ssh-keygen is not installed", fixes=["apt-get install openssh-client"]
            ) from None
        if done.returncode:
            raise CliError("host-failure", f"cannot make the key {key}", evidence=done.stderr.strip())
        session.say(f"==> key pair: made {key}")
    own = [Path.home() / ".ssh" / name for name in _OWN_KEYS]
    return "".join(path.read_text().strip() + "\n" for path in [key.with_suffix(".pub"), *own] if path.is_file())


def ensure_guest(session: Session, public: str) -> tuple[str, int]:
    """Node and number of the guest, created if there is none of its name."""
    o = session.options
    try:
        node, vmid = session.client.guest(o.name)
    except CliError as error:
        if error.kind != "not-found":
            raise
    else:
        session.say(f"==> guest {o.name}: there (number {vmid})")
        return node, vmid
    node = session.node()
    texts: dict[str, Any] = {
        "name": o.name,
        "memory": o.memory,
        "cores": min(2, os.cpu_count() or 1),
        "net0": f"virtio,forward=tcp:127.0.0.1:{free_port(session)}:22",
        "ciuser": o.user,
        "ciupgrade": 0,  # fetching package lists would keep a guest busy for its first minute
        "sshkeys": vm_create.encode(public),
        "description": "Made by `tarmac up`.",
    }
    texts, _ = vm_create.complete(texts, image.needed(session, o.image, "local"), "local")
    vmid = int(session.client.get("/cluster/nextid"))
    vm_create.run_steps(session, node, vmid, texts, "", "", start=False)
    session.say(f"==> guest {o.name}: created (number {vmid})")
    return node, vmid


def free_port(session: Session) -> int:
    """A port of the loopback address that nobody listens on and no guest of ours wants."""
    import socket

    taken = set()
    for row in session.client.get("/cluster/resources", {"type": "vm"}) or []:
        if row.get("type") == "qemu":
            config = session.client.get(f"/nodes/{row['node']}/qemu/{row['vmid']}/config")
            if (forward := ssh.forward_of(config)) is not None:
                taken.add(forward[1])
    for port in range(FIRST_PORT, LAST_PORT + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in taken:
            return port
    raise CliError("conflict", f"no port is free on 127.0.0.1 from {FIRST_PORT} to {LAST_PORT}")


def ensure_running(session: Session, node: str, vmid: int) -> None:
    """The guest runs: started if it is stopped, resumed if it is paused."""
    base = f"/nodes/{node}/qemu/{vmid}/status"
    current = session.client.get(f"{base}/current")
    if current.get("status") != "running":
        session.task("POST", f"{base}/start", {}, f"starting guest {vmid}")
        session.say(f"==> guest {vmid}: started")
    elif current.get("qmpstatus") == "paused":
        session.task("POST", f"{base}/resume", {}, f"resuming guest {vmid}")
        session.say(f"==> guest {vmid}: resumed")
    else:
        session.say(f"==> guest {vmid}: runs")


def wait_for_answer(session: Session, node: str, vmid: int) -> None:
    """Wait until the agent in the guest answers. Raises CliError when the guest ends or the time is up."""
    base = f"/nodes/{node}/qemu/{vmid}"
    shown = session.progress(f"waiting until guest {vmid} answers")
    started = time.monotonic()
    while True:
        try:
            session.client.post(f"{base}/agent/ping")
            break
        except CliError as error:
            if error.kind in ("denied", "unauthenticated", "invalid-input", "not-built"):
                raise
            last = error
        elapsed = time.monotonic() - started
        if session.client.get(f"{base}/status/current").get("status") != "running":
            shown.end()
            raise CliError(
                "wrong-state",
                f"guest {vmid} has ended before it answered",
                fixes=[f"tarmac up --data-dir {data_dir(session)}"],
            )
        if elapsed > _ANSWER_SECONDS:
            shown.end()
            raise CliError(
                "unavailable",
                f"guest {vmid} did not answer within {_ANSWER_SECONDS:.0f} s",
                evidence=last.message,
                fixes=[f"see what it says: tarmac vm console {vmid} --data-dir {shlex.quote(str(data_dir(session)))}"],
            )
        shown.update(note="it boots")
        time.sleep(min(0.5, 0.05 + elapsed / 20))
    shown.end()
    session.say(f"==> guest {vmid}: answers")


def wait_for_login(session: Session, node: str, vmid: int) -> bool:
    """Wait until ssh answers behind the forwarded port; whether it does. An image without ssh is no failure."""
    if (forward := ssh.forward_of(session.client.get(f"/nodes/{node}/qemu/{vmid}/config"))) is None:
        return False
    shown = session.progress(f"waiting for ssh on port {forward[1]}")
    started = time.monotonic()
    while not (answers := _speaks_ssh(*forward)) and time.monotonic() - started < _LOGIN_SECONDS:
        shown.update()
        time.sleep(0.3)
    shown.end()
    session.say(f"==> guest {vmid}: {'ssh answers' if answers else 'no ssh server answers in it'}")
    return answers


def _speaks_ssh(address: str, port: int) -> bool:
    """QEMU takes the connection whether or not the guest listens; only the server's first words count."""
    import socket

    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
