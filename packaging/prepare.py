"""The set-up of a checkout, before anything of Tarmac can be imported: standard library of Python 3.11 only.

    python3 packaging/prepare.py [--dev] [--no-page]

Brings about, in this order, what is missing: the Debian packages of `debian-packages.txt` (as root; otherwise it names
the one command to type and stops), the virtual environment `.venv`, the Python packages of `requirements.lock` with
their hashes checked (`--dev`: `requirements-dev.lock`), Tarmac itself in that environment, and the web page. A stamp in
the environment, made of everything the set-up depends on, makes a second call a matter of milliseconds.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv"
LOG = ROOT / ".setup.log"
SERVERS = {"slapd", "tgt"}
"""Packages for the tests that begin to serve the network when they are installed."""
PACKAGES = HERE / "debian-packages.txt"


class Stop(Exception):
    """The set-up cannot go on; the text says why and what to type."""


def sections(text: str) -> dict[str, list[str]]:
    """The package list by section; a line keeps its alternatives (`a | b`)."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), [])
        elif line:
            current.append(line)
    return found


def missing_packages(wanted: Sequence[str]) -> list[str]:
    """Which of the lines have no installed alternative; each answered by its first alternative.
    Raises FileNotFoundError where there is no dpkg."""
    asked = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"]
    names = [name.strip() for line in wanted for name in line.split("|")]
    done = subprocess.run([*asked, *names], capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    installed = {words[1] for words in lines if len(words) == 2 and words[0] == "ii"}
    return [line.split("|")[0].strip() for line in wanted if not installed & {name.strip() for name in line.split("|")}]


def run(title: str, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run one step of the set-up, its output to the log; shows that it is alive: on a terminal every 0.2 s, elsewhere
    a line every 10 s. Raises Stop with the end of the log when it fails."""
    terminal = sys.stderr.isatty()
    started = last = time.monotonic()
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        if not terminal:
            say(f"==> {title}")
        try:
            while child.poll() is None:
                time.sleep(0.2)
                now = time.monotonic()
                if terminal:
                    sys.stderr.write(f"\r==> {title} {'|/-'[int(now * 5) % 3]} {now - started:.0f} s ")
                    sys.stderr.flush()
                elif now - last >= 10:
                    last = now
                    say(f"    {now - started:.0f} s ...")
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if terminal:
        sys.stderr.write(
            f"\r\x1b[K==> {title}: {'done' if child.returncode == 0 else 'failed'}"
            f" ({time.monotonic() - started:.0f} s)\n"
        )
    if child.returncode != 0:
        tail = "\n".join("    " + line for line in LOG.read_text(errors="replace").splitlines()[-15:])
        raise Stop(f"{title} failed (exit code {child.returncode}). The end of {LOG}:\n{tail}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def ensure_packages(wanted: Sequence[str]) -> None:
    """Install the Debian packages that are missing. Raises Stop where that takes somebody else's hands."""
    try:
        missing = missing_packages(wanted)
    except FileNotFoundError:
        if shutil.which("qemu-system-x86_64") is None:
            raise Stop(
                "This is neither Debian nor Ubuntu, and qemu-system-x86_64 is not installed.\n"
                f"Install what corresponds to the packages in {PACKAGES}, then start again."
            ) from None
        say("==> no dpkg here: the system's packages are yours to look after")
        return
    if not missing:
        return
    if os.geteuid() != 0:
        raise Stop(
            "Some Debian packages are missing. Type this, then start again:\n"
            f"  sudo apt-get install -y --no-install-recommends {' '.join(missing)}"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "a"}
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
    run("reading Debian's package lists", [*apt, "update", "-q"], quiet)
    run(
        f"installing {len(missing)} Debian packages: {' '.join(missing)}",
        [*apt, "install", "-y", "-q", "--no-install-recommends", *missing],
        quiet,
    )
    for name in SERVERS & set(missing):
        if Path("/run/systemd/system").exists():
            run(f"switching off {name}, which the tests start by themselves", ["systemctl", "disable", "--now", name])


def stamp_of(lock: Path) -> str:
    """What the environment's contents depend on, as one hash."""
    digest = hashlib.sha256()
    for part in (lock.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode(), str(ROOT).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def ensure_environment(lock: Path) -> None:
    """Make `.venv` hold exactly the versions of `lock`, and Tarmac. Interrupted anywhere, the next call repairs it:
    the stamp is written last."""
    stamp = VENV / f".{lock.stem}.stamp"
    wanted = stamp_of(lock)
    if stamp.exists() and stamp.read_text() == wanted and works(VENV / "bin" / "python"):
        return
    for old in VENV.glob(".requirements*.stamp"):
        old.unlink()
    python = VENV / "bin" / "python"
    if not works(python):
        run("making the virtual environment", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    run("installing the Python packages", [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock)])
    run("installing Tarmac", [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(wanted)


def ensure_page() -> None:
    """The web page is that of the sources in `ui/`: `page.py` builds it when it is not."""
    done = subprocess.run([str(VENV / "bin" / "python"), str(HERE / "page.py"), "--check"], check=False)
    if done.returncode:
        run("building the web page", [str(VENV / "bin" / "python"), str(HERE / "page.py")])


def works(python: Path) -> bool:
    """Whether the environment's interpreter is there, of our version, and has pip."""
    if not python.exists():
        return False
    asked = "import sys, importlib.util as u; print(sys.version); sys.exit(u.find_spec('pip') is None)"
    done = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == sys.version.strip()


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Set up this checkout of Tarmac.")
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    parser.add_argument("--no-page", action="store_true", help="leave the web page; what it is made of comes")
    options = parser.parse_args(words)
    listed = sections(PACKAGES.read_text())
    wanted = [*listed["python"], *listed["runtime"], *listed["image-building"]]
    if options.dev:
        wanted += listed["tests"]
    try:
        with (ROOT / ".setup.lock").open("w") as guard:
            # Two set-ups of one checkout at the same time would tread on each other's environment.
            fcntl.flock(guard, fcntl.LOCK_EX)
            ensure_packages(wanted)
            dev = HERE / "requirements-dev.lock"
            ensure_environment(dev if options.dev else _present(HERE / "requirements.lock", dev))
            if not options.no_page:
                ensure_page()
    except Stop as stop:
        say(f"\nThe set-up stopped: {stop}")
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted; start again to go on")
        return 130
    return 0


def _present(lock: Path, larger: Path) -> Path:
    """The lock to use when only `lock` is needed: the larger one if its environment is there already and right,
    so that ./run after ./test does not take the tests' packages away."""
    stamp = VENV / f".{larger.stem}.stamp"
    return larger if stamp.exists() and stamp.read_text() == stamp_of(larger) else lock


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
