"""The daemon of a data directory, as the command line finds it and starts it in the background."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.progress import Progress
from tarmac.lib.places import api_socket

LOG = "daemon.log"
START_SECONDS = 60.0
_TAIL = 12


def answers(ask: Callable[[], object]) -> bool:
    """Whether the daemon answers `ask`, a call of its API. Raises CliError where it answers that we may not."""
    try:
        ask()
    except CliError as error:
        if error.kind in ("unavailable", "outcome-unknown"):
            return False
        raise
    return True


def start(command: Sequence[str], data: Path, ask: Callable[[], object], shown: Progress) -> int:
    """Start the daemon so that it survives this terminal, and wait until it answers. Returns its pid.

    Its output goes to `<data>/daemon.log`. Raises CliError with the log's end when it ends or stays silent; one that
    stays silent is ended first."""
    log = data / LOG
    try:
        data.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    except OSError as error:
        raise _unusable(data, error) from error
    with output:
        begin = output.tell()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    started = time.monotonic()
    while not answers(ask):
        if (code := child.poll()) is not None:
            raise _failed(f"the daemon ended at once (exit code {code})", log, begin)
        if time.monotonic() - started > START_SECONDS:
            child.terminate()
            child.wait()
            raise _failed(f"the daemon did not answer within {START_SECONDS:.0f} s", log, begin)
        shown.update()
        time.sleep(0.1)
    shown.end()
    return child.pid


def listening(data: Path) -> bool:
    """Whether there is a socket at all: without one nothing can answer. Raises CliError where we may not look."""
    try:
        path = api_socket(data)
        return path is not None and path.exists()
    except PermissionError as error:
        raise _unusable(data, error) from error


def _unusable(data: Path, error: OSError) -> CliError:
    denied = isinstance(error, PermissionError)
    return CliError(
        "denied" if denied else "host-failure",
        f"{data} cannot be a data directory",
        code="data-dir-unusable",
        cause=f"user {os.geteuid()} may not read and write there"
        if denied
        else "it is no directory that could be made or used",
        evidence=str(error),
        fixes=["name another one: --data-dir DIR", *(["as root, with sudo"] if denied else [])],
    )


def _failed(message: str, log: Path, begin: int) -> CliError:
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read()[-8192:].decode(errors="replace").splitlines()
    evidence = "\n".join(lines[-_TAIL:]) or "(it wrote nothing)"
    return CliError("unavailable", message, code="daemon-start", evidence=evidence, fixes=[f"its whole log: {log}"])
