"""The API as the command line calls it: over the daemon's unix socket, or over HTTPS with a token.

    client = connect(data_dir=None, url="", token="")
    client.get("/nodes", {})  ->  the reply's `data`

Every failure comes out as CliError. Nothing heavy is imported here: this is on the way of every command.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tarmac.faces.cli.errors import CliError, from_reply, usage
from tarmac.faces.cli.wire import Connection, Reply, Take, WireError, tls_socket, unix_socket
from tarmac.lib.places import api_socket, default_data_dir

BASE = "/api2/json"
_FINGERPRINT = (
    "--fingerprint SHA256; that machine tells it: openssl x509 -noout -sha256 -fingerprint -in DATA/pki/node.pem"
)
_TOKEN = re.compile(r"[^\s!=@]+@[^\s!=@]+![^\s!=@]+=\S+")
Params = Mapping[str, Any]


class Client:
    """One server. `where` names it for messages; `data_dir` is set where it is this machine's own."""

    def __init__(
        self,
        connection: Connection,
        where: str,
        *,
        headers: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.connection = connection
        self.where = where
        self.data_dir = data_dir
        self._headers = dict(headers or {})
        self._node = ""

    def get(self, path: str, params: Params | None = None) -> Any:
        return self.call("GET", path, params).get("data")

    def post(self, path: str, params: Params | None = None) -> Any:
        return self.call("POST", path, params).get("data")

    def put(self, path: str, params: Params | None = None) -> Any:
        return self.call("PUT", path, params).get("data")

    def delete(self, path: str, params: Params | None = None) -> Any:
        return self.call("DELETE", path, params).get("data")

    def call(
        self, method: str, path: str, params: Params | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """One call; the whole envelope (`data`, `total`, ...). Values: True is `1`, a list repeats its key, None is
        left out. Raises CliError."""
        form = urlencode(list(_pairs(params or {})))
        headers = dict(self._headers)
        if method in ("GET", "DELETE"):
            reply = self.send(method, f"{BASE}{path}" + (f"?{form}" if form else ""), headers, timeout=timeout)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            reply = self.send(method, BASE + path, headers, form.encode(), timeout=timeout)
        return self.understand(reply)

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] = b"",
        length: int | None = None,
        timeout: float | None = None,
        take: Take | None = None,
    ) -> Reply:
        """One request with its reply as it is. Raises CliError where there is no reply."""
        try:
            return self.connection.request(method, target, headers, body, length, timeout, take)
        except WireError as error:
            raise self._unreachable(error, method) from error

    def understand(self, reply: Reply) -> dict[str, Any]:
        """The reply's envelope; a refusal as CliError."""
        try:
            document = json.loads(reply.body) if reply.body else {}
        except ValueError:
            document = {}
        if reply.status >= 400:
            error = from_reply(reply.status, reply.reason, document)
            if error.kind == "unauthenticated" and not error.fixes:
                error.cause = error.cause or "the token is not known there, was removed, or has expired"
                error.fixes = ("on that machine: tarmac token list USER, and tarmac token add USER NAME for a new one",)
            raise error
        if not isinstance(document, dict):
            raise CliError(
                "error", f"{self.where} did not answer as the API does", evidence=reply.body[:200].decode("latin-1")
            )
        return document

    def headers(self) -> dict[str, str]:
        """What authorizes a request: for uploads and consoles."""
        return dict(self._headers)

    def node(self) -> str:
        """The name of the node that answers."""
        if not self._node:
            rows = [row for row in self.get("/cluster/status") or [] if row.get("type") == "node"]
            local = [row for row in rows if row.get("local")] or rows
            if not local:
                raise CliError("unavailable", f"{self.where} names no node", evidence="GET /cluster/status")
            self._node = str(local[0]["name"])
        return self._node

    def guest(self, word: str) -> tuple[str, int]:
        """The node and the number of the guest that `word` (a number or a name) means. Raises CliError."""
        if word.isdigit():
            # With one node there is nothing to look up: a missing guest is the call's own answer.
            rows = [row for row in self.get("/cluster/status") or [] if row.get("type") == "node"]
            if len(rows) == 1:
                return str(rows[0]["name"]), int(word)
        guests = [row for row in self.get("/cluster/resources", {"type": "vm"}) or [] if row.get("type") == "qemu"]
        found = [row for row in guests if word in (str(row.get("vmid")), row.get("name"))]
        if len(found) == 1:
            return str(found[0]["node"]), int(found[0]["vmid"])
        if found:
            numbers = ", ".join(str(row["vmid"]) for row in found)
            raise usage(f"{len(found)} guests are named {word}: {numbers}", "name the one you mean by its number")
        raise CliError("not-found", f"guest {word} does not exist", fixes=["see what there is: tarmac vm list"])

    def _unreachable(self, error: WireError, method: str) -> CliError:
        origin = error.__cause__
        if error.sent and method != "GET":
            return CliError(
                "outcome-unknown",
                f"{self.where} did not answer; the request may have been carried out",
                evidence=str(error),
                fixes=["look before you repeat it: tarmac task list"],
            )
        if type(origin).__name__ == "SSLCertVerificationError":
            return CliError(
                "unavailable",
                f"the certificate of {self.where} is not trusted",
                code="certificate",
                evidence=str(error),
                fixes=[_FINGERPRINT, "--insecure, for a try"],
            )
        if isinstance(origin, PermissionError):
            return CliError(
                "denied",
                f"you may not talk to {self.where}",
                evidence=str(error),
                fixes=["use sudo", "--url and --token"],
            )
        start = f"tarmac up --data-dir {self.data_dir}" if self.data_dir else "see whether the address is right"
        return CliError(
            "unavailable", f"{self.where} does not answer", code="no-daemon", evidence=str(error), fixes=[start]
        )


def connect(*, data_dir: str | None, url: str, token: str, fingerprint: str = "", insecure: bool = False) -> Client:
    """The client for these words of the command line, for TARMAC_URL and TARMAC_TOKEN, or for the local daemon.
    Nothing is sent yet. Raises CliError for words that make no sense and where no daemon has ever run."""
    url = url or ("" if data_dir else os.environ.get("TARMAC_URL", ""))
    if url:
        return _remote(url, token or os.environ.get("TARMAC_TOKEN", ""), fingerprint, insecure)
    data = Path(data_dir) if data_dir else default_data_dir()
    try:
        path = api_socket(data)
    except PermissionError as error:
        raise CliError(
            "denied", f"you may not read {data}", evidence=str(error), fixes=["use sudo", "--url and --token"]
        ) from error
    if path is None:
        raise CliError(
            "unavailable",
            f"no daemon has run on {data} yet",
            code="no-daemon",
            fixes=[f"start one: tarmac up --data-dir {data}", "name another data directory: --data-dir DIR"],
        )
    return Client(Connection(unix_socket(str(path)), "localhost"), f"the daemon of {data}", data_dir=data)


def _remote(url: str, token: str, fingerprint: str, insecure: bool) -> Client:
    match = re.fullmatch(r"https://(\[[0-9a-fA-F:]+\]|[^/:\s@]+)(?::(\d{1,5}))?/?", url)
    if match is None:
        raise usage(f"not an address: {url}", "write it as https://HOST:8006")
    if not token:
        raise usage(
            "--url needs a token",
            "make one with `tarmac token add USER NAME`, give it as --token USER@REALM!NAME=SECRET",
        )
    if not _TOKEN.fullmatch(token):
        raise usage("the token is not of the form USER@REALM!NAME=SECRET")
    host, port = match[1], int(match[2] or 8006)
    secure = tls_socket(host.strip("[]"), port, fingerprint=fingerprint, insecure=insecure)
    return Client(Connection(secure, f"{host}:{port}"), url, headers={"Authorization": f"PVEAPIToken={token}"})


def fill(path: str, values: Mapping[str, str]) -> str:
    """A path's `{name}`s replaced, percent-encoded."""
    return re.sub(r"\{([a-z][a-z0-9_-]*)\}", lambda match: quote(values[match[1]], safe=""), path)


def _pairs(params: Params) -> Iterable[tuple[str, str]]:
    for name, value in params.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                yield name, str(int(one)) if isinstance(one, bool) else str(one)
