"""For walks over all endpoints of a running daemon: values for parameters, and calls over HTTPS as somebody."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import quote, urlencode

from support.daemon import BASE, TestDaemon

UPID = "UPID:n1:00000001:00000002:6740F00D:qmstart:999:root@pam:"
SAMPLES = {
    "node": "n1", "vmid": "999", "storage": "nosuch", "upid": UPID, "userid": "some@pve", "tokenid": "some",
    "groupid": "some", "roleid": "some", "realm": "pve", "volume": "nosuch:999/vm-999-disk-0.qcow2", "poolid": "some",
    "url": "https://images.example/x.iso", "filename": "x.iso", "size": "1G", "service": "cron", "path": "/vms/999",
    "roles": "PVEAuditor", "pos": "0", "osdid": "0", "idlist": "scsi0", "key": "ret", "vncticket": "x", "port": "5900",
    "command": "ping", "file": "/etc/hosts", "content": "iso", "type": "dir", "pid": "1", "username": "root@pam",
    "subnet": "some1-10.0.0.0-24", "ip": "10.0.0.9",
    "disk": "/dev/nosuch", "schedule": "daily", "contact": "a@example.com",
    "certificates": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
}  # fmt: skip


def sample(name: str, spec: dict[str, Any]) -> str:
    """A value that the schema takes."""
    if spec.get("enum"):
        words = [str(word) for word in spec["enum"]]
        return SAMPLES[name] if SAMPLES.get(name) in words else words[0]
    if name in SAMPLES:
        return SAMPLES[name]
    if spec["type"] in ("integer", "number"):
        return str(spec.get("minimum", 1))
    return "1" if spec["type"] == "boolean" else "some1"


def fill(path: str, values: dict[str, str]) -> str:
    """A path with its parameters, encoded."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


class Somebody:
    """Calls over HTTPS with an API token (or a ticket), a connection each."""

    def __init__(self, daemon: TestDaemon, headers: dict[str, str]) -> None:
        self._daemon = daemon
        self._headers = headers
        self._context = ssl._create_unverified_context()

    @classmethod
    def of_token(cls, daemon: TestDaemon, tokenid: str, secret: str) -> Somebody:
        return cls(daemon, {"Authorization": f"PVEAPIToken={tokenid}={secret}"})

    def call(self, method: str, path: str, params: dict[str, Any] | None = None) -> tuple[int, str, Any]:
        """Status, reason and the decoded body (None: empty)."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._daemon.port, context=self._context, timeout=60)
        try:
            form = urlencode(params or {}, doseq=True)
            target, body = BASE + path, None
            headers = dict(self._headers)
            if method in ("GET", "DELETE"):
                target += f"?{form}" if form else ""
            else:
                body = form
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, target, body, headers)
            reply = connection.getresponse()
            raw = reply.read()
            return reply.status, reply.reason, json.loads(raw) if raw.startswith(b"{") else None
        finally:
            connection.close()
