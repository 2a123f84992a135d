"""Resumable uploads against a real daemon: over connections that break, a daemon that is killed, with a client of the
protocol that others wrote, and by `tarmac storage upload`, which goes on by itself."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import io
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tusclient.client import TusClient

from support.daemon import BASE, ApiError, TestDaemon, eventually
from tarmac.lib import places

CONTENT = os.urandom(1 << 20) * 3 + b"the end"
UPLOADS = "/nodes/n1/storage/local/uploads"


@dataclass
class Told:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def offset(self) -> int:
        return int(self.headers["upload-offset"])


def connect(daemon: TestDaemon) -> socket.socket:
    sock = places.api_socket(daemon.data)
    assert sock is not None
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(30)
    client.connect(str(sock))
    return client


def head_of(method: str, path: str, length: int, **headers: str) -> bytes:
    lines = [f"{method} {BASE}{path} HTTP/1.1", "Host: x", "Tus-Resumable: 1.0.0", f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def tus(daemon: TestDaemon, method: str, path: str, body: bytes = b"", **headers: str) -> Told:
    with connect(daemon) as client:
        with contextlib.suppress(BrokenPipeError):
            client.sendall(head_of(method, path, len(body), **headers) + body)
        reply = http.client.HTTPResponse(client, method=method)
        reply.begin()
        return Told(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())


def piece(daemon: TestDaemon, one: str, offset: int, body: bytes, **more: str) -> Told:
    kind = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": str(offset)}
    return tus(daemon, "PATCH", one, body, **{**kind, **more})


def begin(daemon: TestDaemon, name: str, content: bytes = CONTENT, **more: Any) -> str:
    fields = {"content": "iso", "filename": name, "size": len(content)}
    fields |= {"checksum": hashlib.sha256(content).hexdigest(), "checksum-algorithm": "sha256", **more}
    return f"{UPLOADS}/{daemon.post(UPLOADS, **fields)['upload']}"


def stored(daemon: TestDaemon, name: str) -> bytes:
    return (daemon.data / "storage/template/iso" / name).read_bytes()


def parts(daemon: TestDaemon) -> list[Path]:
    return list((daemon.data / "storage").rglob(".*.part"))


def half_sent(daemon: TestDaemon, one: str, send: int) -> socket.socket:
    """A connection over which only `send` bytes of all were sent, and that is still open."""
    client = connect(daemon)
    kind = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": "0"}
    client.sendall(head_of("PATCH", one, len(CONTENT), **kind) + CONTENT[:send])
    return client


def test_from_piece_to_piece(daemon: TestDaemon) -> None:
    one = begin(daemon, "pieces.iso")
    assert tus(daemon, "HEAD", one).offset == 0
    assert piece(daemon, one, 0, CONTENT[:1000]).offset == 1000
    assert daemon.get(UPLOADS)[0]["offset"] == 1000
    wrong = piece(daemon, one, 7, CONTENT[7:])
    assert wrong.status == 409 and b"stands at 1000, not at 7" in wrong.body
    assert tus(daemon, "HEAD", one).offset == 1000
    last = piece(daemon, one, 1000, CONTENT[1000:])
    assert (last.status, last.offset) == (204, len(CONTENT))
    assert daemon.wait_task(last.headers["tarmac-task"])["exitstatus"] == "OK"
    assert stored(daemon, "pieces.iso") == CONTENT
    # Who missed the last reply finds out, and a repetition does no harm.
    assert tus(daemon, "HEAD", one).headers["tarmac-task"] == last.headers["tarmac-task"]
    assert piece(daemon, one, len(CONTENT), b"").headers["tarmac-task"] == last.headers["tarmac-task"]
    daemon.delete(one)
    assert stored(daemon, "pieces.iso") == CONTENT and parts(daemon) == []


def test_what_came_in_before_the_connection_broke_counts(daemon: TestDaemon) -> None:
    one = begin(daemon, "broken.iso")
    half_sent(daemon, one, 2_000_000).close()
    eventually(lambda: tus(daemon, "HEAD", one).offset == 2_000_000)
    last = piece(daemon, one, 2_000_000, CONTENT[2_000_000:])
    assert daemon.wait_task(last.headers["tarmac-task"])["exitstatus"] == "OK"
    assert stored(daemon, "broken.iso") == CONTENT


def test_a_later_request_takes_over_from_one_that_hangs(daemon: TestDaemon) -> None:
    """A client that came back over another network need not wait until its old connection is given up."""
    one = begin(daemon, "hangs.iso")
    with half_sent(daemon, one, 1_500_000) as hanging:
        eventually(lambda: daemon.get(one)["offset"] >= 1 << 20)
        there = tus(daemon, "HEAD", one).offset
        assert there == 1_500_000
        reply = http.client.HTTPResponse(hanging)
        reply.begin()
        assert reply.status == 423
    last = piece(daemon, one, there, CONTENT[there:])
    assert daemon.wait_task(last.headers["tarmac-task"])["exitstatus"] == "OK"
    assert stored(daemon, "hangs.iso") == CONTENT


def test_a_daemon_that_is_killed_forgets_nothing(daemon: TestDaemon) -> None:
    one = begin(daemon, "killed.iso")
    for send in (1_500_000, 1_200_000):
        offset = tus(daemon, "HEAD", one).offset
        with connect(daemon) as client:
            kind = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": str(offset)}
            rest = CONTENT[offset:]
            client.sendall(head_of("PATCH", one, len(rest), **kind) + rest[:send])
            eventually(lambda offset=offset: daemon.get(one)["offset"] > offset)  # type: ignore[misc]
            daemon.kill()
        daemon.start()
        assert tus(daemon, "HEAD", one).offset > offset
    there = tus(daemon, "HEAD", one).offset
    last = piece(daemon, one, there, CONTENT[there:])
    assert daemon.wait_task(last.headers["tarmac-task"])["exitstatus"] == "OK"
    assert stored(daemon, "killed.iso") == CONTENT and parts(daemon) == []


@pytest.mark.parametrize(("step", "phase"), [("upload-verify", "after-effect"), ("upload-finish", "after-effect")])
def test_a_daemon_that_is_killed_at_the_end_finishes_it(daemon: TestDaemon, step: str, phase: str) -> None:
    name = f"{step}-{phase}.iso"
    daemon.crash_at(f"{step}:{phase}")
    one = begin(daemon, name)
    with contextlib.suppress(OSError, http.client.HTTPException):
        piece(daemon, one, 0, CONTENT)
    daemon.wait_dead()
    daemon.start()
    task = tus(daemon, "HEAD", one).headers["tarmac-task"]
    assert daemon.wait_task(task)["exitstatus"] == "OK"
    assert stored(daemon, name) == CONTENT and parts(daemon) == []


def test_wrong_bytes_are_found(daemon: TestDaemon) -> None:
    one = begin(daemon, "wrong.iso")
    digest = base64.b64encode(hashlib.sha1(CONTENT[:5000]).digest()).decode()
    refused = piece(daemon, one, 0, b"x" * 5000, Upload_Checksum=f"sha1 {digest}")
    assert refused.status == 460 and tus(daemon, "HEAD", one).offset == 0
    assert piece(daemon, one, 0, CONTENT[:5000], Upload_Checksum=f"sha1 {digest}").offset == 5000
    last = piece(daemon, one, 5000, b"x" * (len(CONTENT) - 5000))
    ended = daemon.wait_task(last.headers["tarmac-task"])
    assert ended["exitstatus"].startswith("checksum mismatch: got ")
    assert not (daemon.data / "storage/template/iso/wrong.iso").exists() and parts(daemon) == []


def test_what_is_refused_leaves_nothing(daemon: TestDaemon) -> None:
    before = daemon.get(UPLOADS)
    good = {"content": "iso", "filename": "no.iso", "size": 10}
    for bad in ({"filename": "no.txt"}, {"content": "images"}, {"size": -1}, {"size": None}, {"size": 10**15},
                {"checksum": "abc"}, {"filename": "../../x.iso/.."}):  # fmt: skip
        with pytest.raises(ApiError):
            daemon.post(UPLOADS, **{**good, **bad})
    assert daemon.get(UPLOADS) == before and parts(daemon) == []
    one = begin(daemon, "short.iso", b"0123456789")
    assert piece(daemon, one, 0, b"01234567890").status == 400
    assert piece(daemon, one, 0, b"0", Content_Type="text/plain").status == 400
    assert tus(daemon, "PATCH", one, b"x", Content_Type="application/offset+octet-stream").status == 400
    assert tus(daemon, "HEAD", f"{UPLOADS}/{'0' * 32}").status == 404
    assert tus(daemon, "DELETE", one).status == 204
    assert tus(daemon, "HEAD", one).status == 404 and parts(daemon) == []


def test_only_so_many_are_open(daemon: TestDaemon) -> None:
    ones = [begin(daemon, f"many{i}.iso") for i in range(16 - len([r for r in daemon.get(UPLOADS) if "task" not in r]))]
    with pytest.raises(ApiError) as refused:
        begin(daemon, "one-more.iso")
    assert refused.value.body["error"]["code"] == "too-many-uploads"
    for one in ones:
        daemon.delete(one)
    assert parts(daemon) == []


def test_rights_are_those_of_an_upload_and_each_has_his_own(daemon: TestDaemon) -> None:
    one = begin(daemon, "rootly.iso")
    daemon.post("/access/users", userid="up@pve")
    token = daemon.post("/access/users/up@pve/token/up", privsep=0)
    context = ssl._create_unverified_context()

    def ask(method: str, path: str) -> int:
        connection = http.client.HTTPSConnection("127.0.0.1", daemon.port, context=context, timeout=30)
        with contextlib.closing(connection):
            headers = {"Authorization": f"PVEAPIToken={token['full-tokenid']}={token['value']}", "Content-Length": "0"}
            headers |= {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
            connection.request(method, BASE + path, headers=headers)
            return connection.getresponse().status

    for method, path in [("GET", UPLOADS), ("POST", UPLOADS), ("HEAD", one), ("PATCH", one), ("DELETE", one)]:
        assert ask(method, path) == 403, method
    daemon.put("/access/acl", path="/storage/local", users="up@pve", roles="PVEDatastoreAdmin")
    assert [ask(method, one) for method in ("HEAD", "PATCH", "DELETE")] == [404, 404, 404]
    daemon.delete(one)


def test_a_client_of_the_protocol(daemon: TestDaemon) -> None:
    """tuspy, unchanged, over HTTPS with a token; it sends pieces, and goes on where another process stopped."""
    token = daemon.post("/access/users/root@pam/token/tus", privsep=0)
    url = f"https://127.0.0.1:{daemon.port}{BASE}{UPLOADS}"
    client = TusClient(url, headers={"Authorization": f"PVEAPIToken={token['full-tokenid']}={token['value']}"})
    given = {
        "file_stream": io.BytesIO(CONTENT),
        "chunk_size": 1_000_000,
        "metadata": {"filename": "tuspy.iso", "content": "iso"},
        "verify_tls_cert": False,
    }
    with _quiet():
        first = client.uploader(**given, upload_checksum=True)
        first.upload(stop_at=2_000_000)
        second = client.uploader(**given, url=first.url)
        assert second.offset == 2_000_000
        second.upload()
    eventually(lambda: stored(daemon, "tuspy.iso") == CONTENT if "tuspy.iso" in _names(daemon) else False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # urllib3's about certificates that are not verified
        yield


def _names(daemon: TestDaemon) -> list[str]:
    return [path.name for path in (daemon.data / "storage/template/iso").iterdir()]


def test_the_command_goes_on_by_itself(daemon: TestDaemon, tmp_path: Path) -> None:
    """The daemon is killed twice while it uploads; and a call that was ended is gone on with by the next one."""
    source = tmp_path / "cli.iso"
    source.write_bytes(os.urandom(1 << 20) * 400)
    command = [sys.executable, "-m", "tarmac", "--data-dir", str(daemon.data), "storage", "upload", str(source)]

    def offsets() -> list[int]:
        return [row["offset"] for row in daemon.get(UPLOADS) if row["filename"] == "cli.iso" and "task" not in row]

    def some_came(than: int) -> Callable[[], bool]:
        return lambda: any(offset > than for offset in offsets())

    ended = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _until(some_came(0))
    ended.kill()
    ended.communicate()
    eventually(lambda: len(offsets()) == 1)
    reached = offsets()[0]
    going = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _until(some_came(reached))
    assert len(offsets()) == 1, "it began anew"
    daemon.kill()
    threading.Event().wait(0.5)
    daemon.start()
    output, _ = going.communicate(timeout=120)
    assert going.returncode == 0, output
    assert hashlib.sha256(stored(daemon, "cli.iso")).digest() == hashlib.sha256(source.read_bytes()).digest()


def _until(check: Callable[[], object], seconds: float = 40) -> None:
    """As `eventually`, without a pause in between: what is looked for soon passes."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it does not come about"
