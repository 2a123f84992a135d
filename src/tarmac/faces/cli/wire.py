"""HTTP/1.1 as far as a command line needs it, over a unix socket or TLS: one connection, one request at a time.

Not `http.client`: importing that (with `email` and `ssl`) takes 20 to 30 ms, a third of what `tarmac vm list` may
take as a whole; and the console needs the bare socket after an upgrade. `ssl` is imported where a URL is used.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping

MAX_HEAD = 64 * 1024
MAX_BODY = 1 << 30
_STALE_SECONDS = 5.0


Take = Callable[[bytes, int, int], object]


class WireError(OSError):
    """The connection failed: `sent` says whether the request may have reached the server."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Reply:
    """A whole reply: `status`, `reason` (Proxmox puts the error's text there), `headers` (lower case), `body`."""

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = b""


class Connection:
    """Talks to one server. `connect` makes a connected socket; `host` is what stands in the Host header."""

    def __init__(self, connect: Callable[[], socket.socket], host: str, timeout: float = 60.0) -> None:
        self._connect = connect
        self._host = host
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._used = 0.0

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] = b"",
        length: int | None = None,
        timeout: float | None = None,
        take: Take | None = None,
    ) -> Reply:
        """Send one request and read its whole reply. `body` may be chunks whose sum is `length` bytes. `take` gets the
        body of a success piece by piece, however long it is, with how much there is of how much.

        Raises WireError (an OSError); the connection is closed then, and the next request opens a new one."""
        if self._socket is not None and time.monotonic() - self._used > _STALE_SECONDS:
            self.close()  # the server may be closing it at this very moment
        head = self._head(method, target, headers, len(body) if isinstance(body, bytes) else length)
        sent = False
        try:
            bare = self.open()
            bare.settimeout(timeout or self._timeout)
            sent = True
            if isinstance(body, bytes):
                bare.sendall(head + body)
            else:
                self._send_stream(bare, head, body)
            reply = self.read_head(method)
            if take is not None and reply.status == 200 and "content-length" in reply.headers:
                self._hand_on(int(reply.headers["content-length"]), take)
            else:
                reply.body = self._read_body(method, reply)
        except OSError as error:
            self.close()
            raise WireError(str(error) or type(error).__name__, sent=sent) from error
        except BaseException:
            self.close()  # interrupted, or the body's source failed: what comes next must not follow half a request
            raise
        self._used = time.monotonic()
        if reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    def _head(self, method: str, target: str, headers: Mapping[str, str], size: int | None) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", "Accept: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method not in ("GET", "DELETE"):
            lines.append(f"Content-Length: {size}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    @staticmethod
    def _send_stream(bare: socket.socket, head: bytes, chunks: Iterable[bytes]) -> None:
        bare.sendall(head)
        try:
            for chunk in chunks:
                bare.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has refused the upload early: its reply says why

    def open(self) -> socket.socket:
        """The connected socket, connecting where needed. Raises OSError."""
        if self._socket is None:
            self._socket = self._connect()
            self._buffer = b""
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def detach(self) -> tuple[socket.socket, bytes]:
        """Hand the socket over after an upgrade, with what was read beyond the reply's head."""
        assert self._socket is not None
        bare, self._socket = self._socket, None
        return bare, self._buffer

    def read_head(self, method: str = "GET") -> Reply:
        """The status line and the headers. Raises OSError."""
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if len(self._buffer) > MAX_HEAD:
                    raise OSError("the reply's head is too long")
                self._more()
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            version, _, rest = lines[0].partition(" ")
            status, _, reason = rest.partition(" ")
            if not version.startswith("HTTP/1.") or not status.isdigit():
                raise OSError("the answer is not HTTP")
            if status != "100":  # "continue" precedes the real one
                break
        pairs = (line.partition(":") for line in lines[1:])
        return Reply(int(status), reason.strip(), {name.strip().lower(): value.strip() for name, _, value in pairs})

    def _hand_on(self, size: int, take: Take) -> None:
        have = 0
        while have < size:
            part, self._buffer = self._buffer[: size - have], self._buffer[size - have :]
            part = part or self.open().recv(min(size - have, 1 << 20))
            if not part:
                raise OSError("the connection ended in the middle of the reply")
            have += len(part)
            take(part, have, size)

    def _read_body(self, method: str, reply: Reply) -> bytes:
        if method == "HEAD" or reply.status in (101, 204, 304):
            return b""
        if reply.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        if (given := reply.headers.get("content-length")) is not None:
            return self._exactly(int(given))
        parts = [self._buffer]
        self._buffer = b""
        while part := self.open().recv(65536):
            parts.append(part)
        self.close()
        return b"".join(parts)

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self._line().partition(b";")[0], 16):
            parts.append(self._exactly(size))
            self._line()
        while self._line():
            pass
        return b"".join(parts)

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        if size > MAX_BODY:
            raise OSError(f"the reply has {size} bytes; {MAX_BODY} are the limit")
        parts = [self._buffer[:size]]
        have = len(parts[0])
        self._buffer = self._buffer[size:]
        while have < size:
            part = self.open().recv(min(size - have, 1 << 20))
            if not part:
                raise OSError("the connection ended in the middle of the reply")
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def _more(self) -> None:
        part = self.open().recv(65536)
        if not part:
            raise OSError("the server closed the connection without a reply")
        self._buffer += part


def unix_socket(path: str) -> Callable[[], socket.socket]:
    """A maker of connections to a unix socket."""

    def connect() -> socket.socket:
        bare = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bare.settimeout(5)
            bare.connect(path)
        except BaseException:
            bare.close()
            raise
        return bare

    return connect


def tls_socket(host: str, port: int, *, fingerprint: str = "", insecure: bool = False) -> Callable[[], socket.socket]:
    """A maker of TLS connections. The certificate is checked against the system's authorities, or only against its
    SHA-256 `fingerprint` when one is given, or not at all with `insecure`. A wrong one raises ssl.SSLError."""
    import hashlib
    import ssl

    context = ssl.create_default_context()
    if fingerprint or insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    wanted = fingerprint.replace(":", "").lower()

    def connect() -> socket.socket:
        secure = context.wrap_socket(socket.create_connection((host, port), timeout=10), server_hostname=host)
        if wanted:
            seen = hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()
            if seen != wanted:
                secure.close()
                raise ssl.SSLCertVerificationError(f"the server's certificate has the fingerprint {seen}")
        return secure

    return connect
