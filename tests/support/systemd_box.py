"""A systemd of its own as process 1, on a throw-away copy of this machine's file system: to see units really run.

The box is a set of namespaces (processes, mounts, network, host name, cgroups) whose root is an overlay over `/`: it
runs the programs of this machine and this checkout, and what it writes lies in `upper`, which outlives its power-off
and is there at the next boot. None of the host's own units start in it: `/etc/systemd/system`, the generators and the
data of a Tarmac of this machine's own are empty directories there. It has no network but loopback, and neither modules
nor the clock are its to change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

SYSTEMD = Path("/usr/lib/systemd/systemd")
TARMAC = Path(sys.executable).with_name("tarmac")
_TOOLS = ("unshare", "nsenter", "setpriv", "mount", "ip")
# An instance of this machine's own must not come to life in the box, either.
_EMPTY = ("etc/systemd/system", "usr/lib/systemd/system-generators", "var/lib/tarmac")
_START_SECONDS = 60
_BOOT = r"""
set -e
box=$1; root=$1/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$box/upper,workdir=$box/work" "$root"
mount -t proc proc "$root/proc"
mount -o bind,ro "$root/proc/sys" "$root/proc/sys"
mount --bind "$box/boot-id" "$root/proc/sys/kernel/random/boot_id"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
exec unshare --root="$root" --wd=/ setpriv --bounding-set=-sys_module,-sys_time \
  env -i container=tarmac-test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$2" --unit=multi-user.target --log-target=console
"""


class CannotRun(Exception):
    """What this machine lacks for a box."""


class SystemdBox:
    """One file system that can be booted again and again. As root only."""

    def __init__(self) -> None:
        _check()
        # The upper layer must not lie on the file system that the overlay shows.
        self.place = Path(tempfile.mkdtemp(prefix="tm-box-", dir="/dev/shm"))
        self.upper = self.place / "upper"
        self._process: subprocess.Popen[bytes] | None = None
        self._cgroup = _cgroup2() / self.place.name
        for name in ("work", "root"):
            (self.place / name).mkdir()
        for name in _EMPTY:
            (self.upper / name).mkdir(parents=True)
            os.setxattr(self.upper / name, "trusted.overlay.opaque", b"y")
        (self.upper / "etc/fstab").touch()
        # Else this checkout would be emptied away where it lies in /tmp.
        (self.upper / "etc/tmpfiles.d").mkdir()
        (self.upper / "etc/tmpfiles.d/tmp.conf").symlink_to("/dev/null")
        (self.upper / "etc/systemd/system/tmp.mount").symlink_to("/dev/null")

    def add_user(self, name: str, uid: int) -> tuple[str, ...]:
        """Before the boot: an ordinary user whose own systemd starts with the machine. Returns the words that make
        `run` run a command as that user."""
        lines = {"passwd": f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n", "group": f"{name}:x:{uid}:\n"}
        lines["shadow"] = f"{name}:*:19000:0:99999:7:::\n"
        for file, line in lines.items():
            shutil.copy(Path("/etc", file), self.upper / "etc" / file)
            with (self.upper / "etc" / file).open("a") as end:
                end.write(line)
        home, linger = self.upper / "home" / name, self.upper / "var/lib/systemd/linger"
        for path in (home, linger):
            path.mkdir(parents=True)
        os.chown(home, uid, uid)
        (linger / name).touch()
        place = f"PATH=/usr/bin:/bin:/usr/sbin HOME=/home/{name} USER={name} XDG_RUNTIME_DIR=/run/user/{uid}"
        return ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "env", "-i", *place.split())

    @property
    def log(self) -> str:
        return (self.place / "log").read_text(errors="replace")

    def boot(self) -> None:
        """Start systemd and wait until it has started what belongs to it. Each boot has a boot id of its own."""
        (self.place / "boot-id").write_text(f"{uuid.uuid4()}\n")
        self._cgroup.mkdir(exist_ok=True)
        enter = f'echo $$ > "{self._cgroup}/cgroup.procs"; exec "$@"'
        words = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--fork", "--kill-child"]
        argv = ["sh", "-c", enter, "sh", *words, "sh", "-c", _BOOT, "box", str(self.place), str(SYSTEMD)]
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process.poll() is not None:
                raise CannotRun(f"systemd does not start in namespaces here: {self.log[-300:]}")
            pid = self._init()
            if pid and self.run("systemctl", "is-system-running", check=False) in ("running", "degraded"):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"systemd does not come up:\n{self.log}")
            time.sleep(0.1)

    def run(self, *words: str | Path, check: bool = True) -> str:
        """A command in the box; its output. Raises AssertionError when it fails."""
        pid = self._init()
        assert pid, "the box does not run"
        # It must never be the machine itself that is told to power off.
        assert os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        argv = ["nsenter", "-t", str(pid), "--all", "--root", "--wd", *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0 or not check, f"{words}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def written(self, pattern: str, *, besides: Path) -> list[Path]:
        """What was written in the box and is still there, by name; a removed file of the machine's does not count."""
        outside = self.upper / str(besides).lstrip("/")
        ours = [self.upper / name for name in _EMPTY]
        found = [path for path in self.upper.rglob(pattern) if outside not in (path, *path.parents)]
        return [path for path in found if path not in ours and not path.is_char_device()]

    def wait_off(self, seconds: float = 90) -> None:
        """Wait until it has powered itself off."""
        assert self._process is not None
        self._process.wait(seconds)

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
        deadline = time.monotonic() + _START_SECONDS
        while not self._cgroup_removed():  # until the last process of the box has been reaped
            assert time.monotonic() < deadline, f"{self._cgroup} stays busy"
            time.sleep(0.05)
        shutil.rmtree(self.place)

    def _cgroup_removed(self) -> bool:
        for path in [*sorted(self._cgroup.rglob("*/"), reverse=True), self._cgroup]:
            try:
                path.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return False
        return True

    def _init(self) -> int | None:
        """Process 1 of the box by our number, None before it is there."""
        assert self._process is not None
        pid = self._process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None


def _check() -> None:
    if os.geteuid() != 0:
        raise CannotRun("needs root")
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if not SYSTEMD.exists():
        missing.append("systemd")
    if missing:
        raise CannotRun(f"not installed: {', '.join(missing)}")
    _cgroup2()


def _cgroup2() -> Path:
    for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (path / "cgroup.controllers").exists():
            return path
    raise CannotRun("no cgroup v2 hierarchy is mounted")
