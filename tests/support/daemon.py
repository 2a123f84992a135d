"""A real daemon for tests: `tarmac serve` as a process, on a directory of its own, talked to over its API."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tarmac.lib import places

START_SECONDS = 60
BASE = "/api2/json"


class ApiError(Exception):
    """A refusal: `status`, `reason`, and the reply's body."""

    def __init__(self, status: int, reason: str, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {reason}: {body}")
        self.status = status
        self.reason = reason
        self.body = body
        self.errors: dict[str, str] = body.get("errors", {})


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class TestDaemon:
    """One data directory; `start` and `stop` may be called again and again. `node` is always `n1`."""

    __test__ = False
    node = "n1"

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data / "daemon.log"
        self._crash = data / "crash-at"

    def start(
        self,
        *,
        crash_at: str = "",
        wait: bool = True,
        env: dict[str, str] | None = None,
        wrapper: Sequence[str] = (),
        python: str = sys.executable,
        password_file: Path | None = None,
        port: int = 0,
    ) -> TestDaemon:
        """`wrapper` are words before the daemon's own (to run it in a namespace of its own, say)."""
        self.port = port or _free_port()
        argv = [
            *wrapper, python, "-m", "tarmac", "serve", "--data-dir", str(self.data),
            "--listen", f"127.0.0.1:{self.port}", "--node", self.node,
        ]  # fmt: skip
        argv += ["--password-file", str(password_file)] if password_file else []
        self.crash_at(crash_at)
        environment = {**os.environ, "TARMAC_OFFLINE": "1", "TARMAC_CRASH_AT": str(self._crash), **(env or {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException, ApiError):
                if self.get("/version"):
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"the daemon does not answer:\n{self.tail()}")
            time.sleep(0.03)

    def crash_at(self, point: str) -> None:
        """The daemon that runs kills itself at `step:phase`, as a power cut would; the next one does not."""
        if point:
            self._crash.write_text(point)
        else:
            self._crash.unlink(missing_ok=True)

    def wait_dead(self, seconds: float = 60) -> int:
        """Wait until it has ended (by a crash point, say); returns the exit code (negative: signal)."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> float:
        """SIGTERM; returns how long the end took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def end(self) -> None:
        """No daemon runs afterwards; guests go on."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def restart(self, **start: Any) -> TestDaemon:
        """Another daemon in the place of the one that runs, if one does."""
        self.end()
        return self.start(**start)

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-6000:] if self.log.exists() else ""

    # -- API ----------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, /, *, _timeout: float = 120, **params: Any) -> Any:
        """One call over the unix socket; returns `data`. Parameter names may use `_` for `-` at will with a dict:
        `call("POST", path, **{"import-from": ...})`."""
        return self.reply(method, path, _timeout=_timeout, **params).get("data")

    def reply(self, method: str, path: str, /, *, _timeout: float = 120, **params: Any) -> dict[str, Any]:
        """The whole reply, which may have more than `data`."""
        sock = places.api_socket(self.data)
        if sock is None:
            raise ConnectionRefusedError("the daemon has not chosen its runtime directory yet")
        connection = _UnixConnection(str(sock), _timeout)
        try:
            form = urlencode({k: v for k, v in params.items() if v is not None}, doseq=True)
            target = BASE + path
            if method in ("GET", "DELETE"):
                connection.request(method, target + (f"?{form}" if form else ""))
            else:
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                connection.request(method, target, form, headers)
            response = connection.getresponse()
            raw = response.read()
            body = json.loads(raw) if raw else {}
            if response.status >= 400:
                raise ApiError(response.status, response.reason, body)
            return dict(body)
        finally:
            connection.close()

    def get(self, path: str, /, **params: Any) -> Any:
        return self.call("GET", path, **params)

    def post(self, path: str, /, **params: Any) -> Any:
        return self.call("POST", path, **params)

    def put(self, path: str, /, **params: Any) -> Any:
        return self.call("PUT", path, **params)

    def delete(self, path: str, /, **params: Any) -> Any:
        return self.call("DELETE", path, **params)

    def task(self, method: str, path: str, /, **params: Any) -> dict[str, Any]:
        """A call that starts a task, waited for; returns the task's status. Fails the test unless it ends with OK."""
        upid = self.call(method, path, **params)
        status = self.wait_task(upid)
        assert status["exitstatus"] == "OK", f"{status}\n{self.task_log(upid)}"
        return status

    def wait_task(self, upid: str, seconds: float = 180) -> dict[str, Any]:
        for late in looks(seconds):
            status: dict[str, Any] = self.get(f"/nodes/{self.node}/tasks/{upid}/status")
            if status["status"] == "stopped":
                return status
            assert not late, f"task takes too long: {status}\n{self.task_log(upid)}"
        raise AssertionError

    def task_log(self, upid: str) -> str:
        rows = self.get(f"/nodes/{self.node}/tasks/{upid}/log", limit=0)
        return "\n".join(row["t"] for row in rows)

    # -- guests -------------------------------------------------------------------------------------------------

    @property
    def qemu(self) -> str:
        return f"/nodes/{self.node}/qemu"

    def add_image(self, source: Path, name: str = "tiny.qcow2") -> str:
        """Put an image where an upload would have put it; returns its volume id."""
        target = self.data / "storage" / "import" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return f"local:import/{name}"

    def create(self, vmid: int, image: str, **params: Any) -> int:
        """A guest from an image, with the agent and a serial console."""
        settings = {
            "vmid": vmid,
            "memory": 128,
            "scsihw": "virtio-scsi-single",
            "scsi0": f"local:0,import-from={image}",
            "serial0": "socket",
            "vga": "none",
            "agent": "1",
            **params,
        }
        self.task("POST", self.qemu, **settings)
        return vmid

    def status(self, vmid: int) -> dict[str, Any]:
        return dict(self.get(f"{self.qemu}/{vmid}/status/current"))

    def wait_agent(self, vmid: int, seconds: float = 180) -> None:
        for late in looks(seconds):
            try:
                self.post(f"{self.qemu}/{vmid}/agent/ping")
                return
            except ApiError as problem:
                assert not late, f"the agent does not answer: {problem}\n{self.tail()}"

    def run(self, vmid: int, *command: str) -> str:
        """Run a command in the guest through its agent; returns what it printed."""
        pid = self.post(f"{self.qemu}/{vmid}/agent/exec", command=list(command))["pid"]
        for late in looks(60):
            status = self.get(f"{self.qemu}/{vmid}/agent/exec-status", pid=pid)
            if status["exited"]:
                assert status.get("exitcode") == 0, status
                return str(status.get("out-data", ""))
            assert not late, f"{command} does not end"
        raise AssertionError

    def qemu_pids(self) -> dict[int, int]:
        """vmid -> pid of every QEMU that runs with this daemon's runtime directory, by looking at the processes."""
        sock = places.api_socket(self.data)
        if sock is None:
            return {}
        found = {}
        for proc in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (proc / "cmdline").read_bytes().split(b"\0")
                if b"qemu-system" not in words[0]:
                    continue
                for word in words:
                    text = word.decode("utf-8", "replace")
                    if f"path={sock.parent}/" in text and "/qmp.sock" in text:
                        found[int(text.split(f"{sock.parent}/")[1].split("/")[0])] = int(proc.name)
        return found

    def dhcp_pids(self) -> dict[str, list[int]]:
        """The processes of every dnsmasq of this daemon, by network."""
        found: dict[str, list[int]] = {}
        for proc in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                text = (proc / "cmdline").read_bytes().decode("utf-8", "replace")
                if text.startswith("dnsmasq\0") and f"={self.data}/networks/" in text:
                    found.setdefault(text.split(f"{self.data}/networks/")[1].split("/")[0], []).append(int(proc.name))
        return found

    def remove(self) -> None:
        """End the daemon and every guest of it, and remove all it made."""
        self.end()
        for pid in (*self.qemu_pids().values(), *(pid for pids in self.dhcp_pids().values() for pid in pids)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sock = places.api_socket(self.data)
        if sock is not None:
            shutil.rmtree(sock.parent, ignore_errors=True)
        _remove_cgroups(places.read_instance(self.data))
        with contextlib.suppress(OSError):  # base images of templates cannot be changed, nor removed
            subprocess.run(["chattr", "-R", "-f", "-i", str(self.data)], check=False, capture_output=True)
        # Disks of templates are guarded by the file system, also against us.
        guarded = [str(path) for path in self.data.rglob("base-*") if path.is_file()]
        if guarded:
            subprocess.run(["chattr", "-i", *guarded], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.data, ignore_errors=True)


def looks(seconds: float) -> Iterator[bool]:
    """For waiting: comes again after ever longer pauses, since most of what is waited for comes soon; true once that
    many seconds have passed."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while True:
        yield time.monotonic() > deadline
        time.sleep(pause)
        pause = min(pause * 1.3, 0.2)


def eventually(check: Callable[[], object], seconds: float = 40) -> None:
    """Wait until `check()` is true; what it raises of AssertionErrors and refusals counts as not yet."""
    for late in looks(seconds):
        with contextlib.suppress(AssertionError, ApiError):
            if check():
                return
        assert not late, "it does not come about"


def _remove_cgroups(instance: str | None) -> None:
    if instance is None:
        return
    from tarmac.drivers.qemu import cgroups

    groups = cgroups.detect()
    for root in dict.fromkeys(groups.roots.values()):
        for path in sorted((root / f"tarmac-{instance}").glob("*/"), reverse=True):
            for _ in range(100):
                try:
                    path.rmdir()
                    break
                except OSError:
                    time.sleep(0.02)  # the kernel still counts the guest that was just killed
    groups.close(instance)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def test_daemon(**start: Any) -> Iterator[TestDaemon]:
    """A started daemon on a fresh directory; everything is gone afterwards."""
    data = Path(tempfile.mkdtemp(prefix="tarmac-test-"))
    data.chmod(0o711)
    daemon = TestDaemon(data)
    try:
        yield daemon.start(**start)
    finally:
        daemon.remove()


test_daemon.__test__ = False  # type: ignore[attr-defined]
