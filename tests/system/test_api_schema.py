"""schemathesis on the OpenAPI document that we generate, against a whole daemon: data that the document allows, and
data that it forbids. Every answer is a result of the documented type or a well-formed refusal, a refusal changes
nothing, and nothing is left hanging. Seeded; the number of examples is bounded: all of it takes about a minute.
What is forbidden is made of what is allowed by one fault (`support/wrong.py`), and must be refused.

The daemon runs without a network and cannot write outside its own directories: what it is asked to do is random."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from support.answers import GOOD, ask, check
from support.daemon import ApiError, TestDaemon
from support.faults import CPU_STOPPED, wait_idle
from support.wrong import with_a_fault
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.generate.openapi import openapi

URL = "http://localhost/api2/json"
SECONDS = 20
"""A reply that takes longer is a hang: no wait and no time limit in a request is longer than a second."""
KNOWN = {
    "node": ["n1"],
    "vmid": [100],
    "storage": ["local", "other"],
    "userid": ["joe@pve", "ann@pve"],
    "poolid": ["some"],
    "groupid": ["some"],
    "roleid": ["some", "PVEAuditor"],
    "realm": ["pve", "pam"],
    "tokenid": ["tok"],
    "snapname": ["snap", "current"],
}
"""Values of places in a path: names that exist or may come to be, so that what lies behind them is reached."""
BRIEF = {"wait", "timeout", "delay", "background_delay"}
# Builds for minutes; a stream without an end; a socket; the API's own stream that is read raw.
LEFT_OUT = {
    "POST /nodes/{node}/image-build",
    "GET /nodes/{node}/qemu/{vmid}/vncwebsocket",
    "POST /nodes/{node}/storage/{storage}/upload",
    "GET /events",
    "GET /metrics",
}
SLOW = {"POST /access/ticket"}  # a refused login waits for seconds, as it should


def narrowed() -> dict[str, Any]:
    """The document with known names in its paths and short times in its parameters."""
    document: dict[str, Any] = copy.deepcopy(WHOLE)
    document.pop("security")
    document["components"].pop("securitySchemes")
    for schema in document["components"]["schemas"].values():
        _make_brief(schema.get("properties", {}))
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in KNOWN:
                    parameter["schema"] = {"enum": KNOWN[parameter["name"]]}
                _make_brief({parameter["name"]: parameter["schema"]})
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = content["schema"]
                _make_brief(schema.get("properties", {}))
                if "timeout" in schema.get("properties", {}):  # without one a guest has a minute to shut down
                    schema["required"] = [*schema.get("required", []), "timeout"]
                    operation["requestBody"]["required"] = True
        document["paths"][path] = {m: o for m, o in methods.items() if f"{m.upper()} {path}" not in LEFT_OUT}
    return document


def _make_brief(properties: dict[str, Any]) -> None:
    for name, schema in properties.items():
        if name in BRIEF and schema.get("type") in ("integer", "number"):
            schema["minimum"], schema["maximum"] = min(schema.get("minimum", 0), 1), 1


WHOLE = json.loads(openapi(endpoints(), "0"))
DOCUMENT = narrowed()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {operation.ok().label: operation.ok() for operation in SCHEMA.get_all_operations()}


def _cell(label: str) -> str:
    return label.partition(" ")[2].split("/")[1]


CELLS = sorted({_cell(label) for label in OPERATIONS})


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestDaemon]:
    """A daemon in a network of its own, with a read-only root file system but for what is its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: what the daemon is asked to do is random and must not reach this machine")
    data = Path(tempfile.mkdtemp(prefix="tarmac-test-"))
    data.chmod(0o711)
    wall = (
        f"ip link set lo up && mount --make-rprivate / && mount --bind {data} {data} && mount --bind /run /run && "
        'mount -o remount,ro,bind / && exec "$@"'
    )
    daemon = TestDaemon(data)
    try:
        daemon.start(wrapper=("unshare", "--net", "--mount", "sh", "-c", wall, "sh"))
        yield daemon
    finally:
        daemon.remove()


def furnish(daemon: TestDaemon) -> None:
    """What `KNOWN` names, where an earlier request has removed it."""
    if not any(row["vmid"] == 100 for row in daemon.get(daemon.qemu)):
        daemon.task("POST", daemon.qemu, vmid=100, scsi0="local:0.001", **CPU_STOPPED)
    wanted = [
        ("/access/users", {"userid": "joe@pve"}),
        ("/access/groups", {"groupid": "some"}),
        ("/access/roles", {"roleid": "some", "privs": "VM.Audit"}),
        ("/pools", {"poolid": "some"}),
        ("/access/users/joe@pve/token/tok", {}),
    ]
    for path, params in wanted:
        try:
            daemon.post(path, **params)
        except ApiError as problem:
            assert "exist" in problem.reason or problem.errors, problem


def state_of(daemon: TestDaemon) -> str:
    """A digest of all that is kept: the store's entries, the journal's jobs, the files of the storages."""
    digest = hashlib.sha256()
    for name, query in (("tarmac.db", "SELECT * FROM entries ORDER BY 1"), ("journal.db", "SELECT upid FROM jobs")):
        with contextlib.closing(sqlite3.connect(f"file:{daemon.data / name}?mode=ro", uri=True)) as store:
            digest.update(repr(store.execute(query).fetchall()).encode())
    for place in sorted((daemon.data / "storage").rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # an earlier request's work removes it just now
            digest.update(f"{place} {place.stat().st_size}\n".encode())
    return digest.hexdigest()


def send(daemon: TestDaemon, case: Case) -> Any:
    if "node" in case.path_parameters:
        case.path_parameters["node"] = daemon.node  # what else is wrong with a request is looked at after the node
    prepared = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
    body = prepared.body or b""
    kind = prepared.headers.get("Content-Type")
    return ask(
        daemon,
        str(prepared.method),
        str(prepared.path_url),
        body if isinstance(body, bytes) else str(body).encode(),
        {"Content-Type": kind} if kind else {},
        seconds=SECONDS,
    )


def changed_nothing(daemon: TestDaemon, case: Case, before: str) -> bool:
    """Whether a refused request left all as it was. Work that an earlier one began may change things meanwhile: then
    it is waited for, and the request repeated."""
    for _ in range(3):
        if state_of(daemon) == before:
            return True
        wait_idle(daemon, 100)
        before = state_of(daemon)
        if send(daemon, case).status in GOOD:
            return True  # it has become right meanwhile
    return False


def documented(label: str, body: bytes) -> None:
    """A result is of the type that the document says."""
    method, _, path = label.partition(" ")
    content = WHOLE["paths"][path][method.lower()]["responses"]["200"].get("content")
    if content is not None:
        schema = {**content["application/json"]["schema"], "components": WHOLE["components"]}
        jsonschema.validate(json.loads(body), schema)


Wanted = tuple[Case, str]
"""A request, and the parameter in it that is wrong, or nothing."""


def allowed(label: str) -> st.SearchStrategy[Wanted]:
    return OPERATIONS[label].as_strategy(generation_mode=GenerationMode.POSITIVE).map(lambda case: (case, ""))


@st.composite
def forbidden(draw: st.DrawFn, label: str) -> Wanted:
    """A request that is allowed but for one fault in its query or body."""
    case, _ = draw(allowed(label))
    method, _, path = label.partition(" ")
    operation = WHOLE["paths"][path][method.lower()]
    if "requestBody" not in operation:
        case.query, name = draw(with_a_fault(dict(case.query), query_schema(operation), as_text=True))
        return case, name
    bodies = operation["requestBody"]["content"]
    case.media_type = draw(st.sampled_from(sorted(bodies)))
    schema = body_schema(bodies[case.media_type]["schema"])
    params = case.body if isinstance(case.body, dict) else {}
    case.body, name = draw(with_a_fault(dict(params), schema, as_text="json" not in case.media_type))
    return case, name


def query_schema(operation: dict[str, Any]) -> dict[str, Any]:
    rows = [row for row in operation["parameters"] if row["in"] == "query"]
    return {
        "properties": {row["name"]: row["schema"] for row in rows},
        "required": [row["name"] for row in rows if row.get("required")],
    }


def body_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A body's own parameters and those of the configuration that may stand beside them."""
    parts = [WHOLE["components"]["schemas"][one["$ref"].rpartition("/")[2]] for one in schema.get("allOf", [])]
    properties = {name: one for part in [*parts, schema] for name, one in part.get("properties", {}).items()}
    return {"properties": properties, "required": schema.get("required", [])}


def run(daemon: TestDaemon, requests: st.SearchStrategy[Wanted], label: str, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests)
    def one(wanted: Wanted) -> None:
        case, wrong = wanted
        before = state_of(daemon)
        answer = send(daemon, case)
        what = (label, wrong, case.path_parameters, case.query, str(case.body)[:1000])
        check(answer, what)
        if answer.status in GOOD:
            assert not wrong, what
            if answer.status == 200 and answer.body:
                documented(label, answer.body)
        else:
            assert changed_nothing(daemon, case, before), (what, answer)

    one()


@pytest.mark.parametrize("cell", CELLS)
def test_the_document_is_kept(walled: TestDaemon, cell: str) -> None:
    for label, operation in OPERATIONS.items():
        if _cell(label) != cell:
            continue
        furnish(walled)
        changes = not label.startswith("GET ")
        asks = bool(list(operation.query) or operation.body)
        examples = 1 if label in SLOW or not asks else 12 if changes else 5
        run(walled, allowed(label), label, examples)
        if asks:
            run(walled, forbidden(label), label, examples)


def test_the_daemon_is_well_afterwards(walled: TestDaemon) -> None:
    tasks = f"/nodes/{walled.node}/tasks"
    # A shutdown that a guest does not hear, say, may take a minute.
    for row in walled.get(tasks, source="active", limit=10000):
        with contextlib.suppress(ApiError):  # it has ended by itself
            walled.delete(f"{tasks}/{row['upid']}")
    wait_idle(walled, 100)
    log = walled.log.read_text("utf-8", "replace")
    assert "bug while answering" not in log and "Traceback" not in log, log[-3000:]
    assert walled.get("/version")["version"].startswith("9.")
