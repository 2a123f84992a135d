"""Arbitrary requests against a whole daemon: every answer is a right result or a well-formed refusal, never a bug."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.answers import ask, check
from support.configs import bent_records_of
from support.daemon import BASE, TestDaemon, test_daemon
from support.faults import image_files
from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.router import METHODS, known_methods
from tarmac.faces.generate.parameters import visible
from tarmac.model.settings import Setting, settings_of
from tarmac.model.vm import VmConfig

# Not called with good values: these build for minutes, open a stream that does not end, or call others.
LEFT_OUT = {
    "POST /nodes/{node}/image-build", "GET /nodes/{node}/qemu/{vmid}/vncwebsocket", "POST /cluster/acme/account",
    "GET /cluster/acme/tos", "GET /cluster/acme/meta", "GET /events",
}  # fmt: skip
TABLE = [e for e in endpoints() if f"{e.method} {e.schema_path}" not in LEFT_OUT]
KNOWN = sorted(known_methods())
OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
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


@pytest.fixture(scope="module")
def daemon() -> Iterator[TestDaemon]:
    """In a network of its own, where there is one to be had: what it is asked to make there is random."""
    with test_daemon(wrapper=OWN_NETWORK if os.geteuid() == 0 else ()) as running:
        yield running


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


PROPERTIES = [s for s in settings_of(VmConfig) if s.kind == "property" and not s.limits.internal]


@st.composite
def bent_changes(draw: st.DrawFn) -> dict[str, str]:
    """A change of a guest with one to three property strings, most of them wrong in some place."""
    chosen = draw(st.lists(st.sampled_from(PROPERTIES), min_size=1, max_size=3, unique_by=lambda one: one.name))
    keys = [f"{s.name}{draw(st.integers(0, 3))}" if s.indexed else s.name for s in chosen]
    return {key: draw(bent_records_of(s.python)) for key, s in zip(keys, chosen, strict=True)}


@RELAXED
@given(bent_changes())
def test_property_strings_of_a_guest(daemon: TestDaemon, small_image: Path, change: dict[str, str]) -> None:
    """Refused: the guest is as it was, and no file has come or gone. Taken: it can be read back, and be taken again."""
    if not any(row["vmid"] == 900 for row in daemon.get(daemon.qemu)):
        daemon.create(900, daemon.add_image(small_image, "small.qcow2"))
    path = f"{BASE}{daemon.qemu}/900/config"
    before, files = daemon.get(f"{daemon.qemu}/900/config"), image_files(daemon.data / "storage")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(daemon, "PUT", path, urlencode(change, errors="replace").encode(), form)
    check(answer, change)
    after = daemon.get(f"{daemon.qemu}/900/config")
    if answer.status != 200:
        assert after == before and image_files(daemon.data / "storage") == files, change
    else:
        kept = {key: after[key] for key in change if key in after}
        again = ask(daemon, "PUT", path, urlencode(kept).encode(), form)
        assert not kept or again.status == 200, (kept, again)
        assert {**daemon.get(f"{daemon.qemu}/900/config"), "digest": ""} == {**after, "digest": ""}


def test_the_daemon_is_well_afterwards(daemon: TestDaemon) -> None:
    assert daemon.get("/version")["version"].startswith("9.")
    log = daemon.log.read_text("utf-8", "replace")
    assert "bug while answering" not in log, log[-3000:]
    assert "Traceback" not in log, log[-3000:]
