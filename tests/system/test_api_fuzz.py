"""Arbitrary requests against a whole daemon: every answer is a right result or a well-formed refusal, never a bug."""

from __future__ import annotations

import contextlib
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.daemon import BASE, TestDaemon, _UnixConnection
from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.router import METHODS, known_methods
from tarmac.faces.generate.parameters import visible
from tarmac.lib import places
from tarmac.model.settings import Setting

# Not called with good values: these build for minutes, open a stream that does not end, or call others.
LEFT_OUT = {
    "POST /nodes/{node}/image-build", "GET /nodes/{node}/qemu/{vmid}/vncwebsocket", "POST /cluster/acme/account",
    "GET /cluster/acme/tos", "GET /cluster/acme/meta",
}  # fmt: skip
TABLE = [e for e in endpoints() if f"{e.method} {e.schema_path}" not in LEFT_OUT]
ALLOWED = {200, 400, 401, 403, 404, 500, 501}
KNOWN = sorted(known_methods())
WORDS = st.sampled_from(
    ["", "0", "1", "100", "-1", "9" * 30, "1.5", "true", "local", "none", "scsi0", "a,b", "x=y", "virtio,bridge=vmbr0"]
    + [
        "local:iso/x.iso",
        "../../etc/passwd",
        "\0",
        "\u00e4\u2028",
        "root@pam",
        "joe@pve!t",
        "PVE:x",
        "%2e%2e",
        "a" * 3000,
    ]
    + ["net0", "user", "images", "http://127.0.0.1/x", "local:1", "32G", "host", "q35", "order=scsi0", "socket"]
)
VALUES = st.one_of(WORDS, st.text(max_size=40))
JSON_VALUES = st.one_of(
    VALUES, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.lists(VALUES, max_size=3),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
)  # fmt: skip
RELAXED = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Answer:
    status: int
    reason: str
    body: bytes


def ask(daemon: TestDaemon, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
    connection = _UnixConnection(str(places.api_socket(daemon.data)), 60)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        with contextlib.suppress(BrokenPipeError):  # refused before the body was sent; the reply is there
            connection.endheaders(body or None)
        reply: http.client.HTTPResponse = connection.getresponse()
        return Answer(reply.status, reply.reason, reply.read())
    finally:
        connection.close()


def check(answer: Answer, what: object) -> None:
    assert answer.status in ALLOWED, (what, answer)
    assert answer.reason.isprintable()
    assert b"Traceback" not in answer.body
    if answer.status == 401:
        return
    if not answer.body.startswith(b"{"):
        assert answer.body.startswith((b"<!doctype html>", b"\x89PNG")), (what, answer.body[:100])
        return
    reply = json.loads(answer.body)
    if answer.status == 200:
        assert "data" in reply
        return
    assert reply["data"] is None
    assert reply["message"].endswith("\n")
    error = reply["error"]
    assert set(error) >= {"code", "message", "cause", "evidence", "fixes"}
    assert error["code"] != "bug", (what, reply)
    errors = reply.get("errors", {})
    assert all(isinstance(text, str) for text in errors.values())
    if answer.status == 400 and reply["message"].startswith("Parameter verification failed"):
        assert errors, (what, reply)


def value_for(setting: Setting) -> st.SearchStrategy[str]:
    if setting.name in ("wait", "background_delay", "delay", "timeout"):
        return st.sampled_from(["0", "1", "x", "-1"])
    if setting.choices:
        return st.one_of(st.sampled_from(setting.choices), VALUES)
    return VALUES


@st.composite
def calls(draw: st.DrawFn) -> tuple[Endpoint, dict[str, str], dict[str, Any]]:
    """An endpoint, the values of its path, and some of its parameters, a few of them strangers."""
    endpoint = draw(st.sampled_from(TABLE))
    good = {"node": st.sampled_from(["n1", "localhost", "n2"]), "vmid": st.sampled_from(["100", "101", "99", "x"])}
    path = {n: draw(good.get(n, VALUES)) for n in endpoint.places}
    rest = [s for s in visible(endpoint) if s.name not in path]
    chosen = draw(st.lists(st.sampled_from(rest), max_size=4)) if rest else []
    chosen += [s for s in rest if s.required and draw(st.booleans())]
    params: dict[str, Any] = {}
    for setting in chosen:
        name = f"{setting.name}{draw(st.integers(0, 40))}" if setting.indexed else setting.name
        params[name] = draw(value_for(setting))
    if draw(st.booleans()):
        params[draw(st.text(max_size=10))] = draw(JSON_VALUES)
    return endpoint, path, params


@RELAXED
@given(calls(), st.sampled_from(["form", "json", "query"]))
def test_calls_of_the_table(
    daemon: TestDaemon, call: tuple[Endpoint, dict[str, str], dict[str, Any]], form: str
) -> None:
    endpoint, path, params = call
    target = endpoint.schema_path
    for name, value in path.items():
        target = target.replace(f"{{{name}}}", quote(value, safe=""))
    body, headers = b"", {}
    if endpoint.method in {"GET", "DELETE"} or form == "query" or endpoint.stream:
        query = urlencode({k: _flat(v) for k, v in params.items()}, errors="replace")
        target += f"?{query}"[:6000]
    elif form == "json":
        body, headers = json.dumps(params).encode(), {"Content-Type": "application/json"}
    else:
        body = urlencode({k: _flat(v) for k, v in params.items()}, errors="replace").encode()
    check(ask(daemon, endpoint.method, BASE + target, body, headers), (endpoint.method, target, params))


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@RELAXED
@given(
    st.sampled_from((*METHODS, "HEAD", "PATCH", "OPTIONS", "X")),
    st.one_of(
        st.sampled_from(KNOWN),
        st.lists(st.text(max_size=8), max_size=8).map(lambda parts: "/" + "/".join(parts)),
    ),
    st.binary(max_size=200),
    st.sampled_from(["", "application/json", "application/x-www-form-urlencoded", "multipart/form-data", 'x/y; z="\\']),
)
def test_anything_at_all(daemon: TestDaemon, method: str, path: str, body: bytes, kind: str) -> None:
    if method == "POST" and "image-build" in path:
        return
    target = BASE + quote(path.encode("utf-8", "replace"), safe="/{}")
    headers = {"Content-Type": kind} if kind else {}
    answer = ask(daemon, method, target, body, headers)
    if method != "HEAD":
        check(answer, (method, target, body, kind))


def test_the_daemon_is_well_afterwards(daemon: TestDaemon) -> None:
    assert daemon.get("/version")["version"].startswith("9.")
    log = daemon.log.read_text("utf-8", "replace")
    assert "bug while answering" not in log, log[-3000:]
    assert "Traceback" not in log, log[-3000:]
