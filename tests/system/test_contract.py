"""Every built endpoint of Proxmox's in a running daemon: rights are asked for and are enough, replies are of the
schema's types. `tests/unit/api/test_conformity.py` holds the declarations against the same facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon
from support.proxmox_facts import facts
from support.reply_shapes import mismatches
from support.walk import Somebody, fill, sample
from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.index import complete

FACTS = facts()
WHOLE = {key: e for e in complete(endpoints()) if (key := f"{e.method} {e.schema_path}") in FACTS}
# What cannot be walked: a socket, a file that is streamed, what calls others.
NOT_WALKED = {
    "GET /nodes/{node}/qemu/{vmid}/vncwebsocket", "POST /nodes/{node}/storage/{storage}/upload",
    # They ask an authority on the Internet; see test_acme.py.
    "GET /cluster/acme/tos", "GET /cluster/acme/meta",
}  # fmt: skip


def request_of(key: str, **values: str) -> tuple[str, str, dict[str, str]]:
    """Method, path and required parameters; a change only plans."""
    endpoint, specs = WHOLE[key], FACTS[key]["parameters"]
    given = {n: sample(n, s) for n, s in specs.items() if not s.get("optional") or n in endpoint.places}
    given |= {n: v for n, v in values.items() if n in given or n in endpoint.places}
    path = fill(endpoint.schema_path, {n: given.pop(n) for n in endpoint.places})
    if endpoint.changes and not endpoint.stream:
        given["dryrun"] = "1"
    return endpoint.method, path, {n: v for n, v in given.items() if "[n]" not in n}


def rules_of(endpoint: Endpoint) -> list[tuple[str, list[str]]]:
    """The declared alternatives: access path and privileges that are enough. Empty: every user."""
    found = []
    for rule in endpoint.allow.either or (endpoint.allow,):
        if rule.path and not rule.check:
            found += [(rule.path, [p]) for p in rule.privileges] if rule.any else [(rule.path, list(rule.privileges))]
    return found


@pytest.fixture(scope="module")
def somebody(daemon: TestDaemon) -> Somebody:
    daemon.post("/access/users", userid="walker@pve")
    made = daemon.post("/access/users/walker@pve/token/walk", privsep=0)
    return Somebody.of_token(daemon, made["full-tokenid"], made["value"])


def test_without_rights_nobody_gets_in(somebody: Somebody) -> None:
    let_in = []
    for key in sorted(set(WHOLE) - NOT_WALKED):
        endpoint = WHOLE[key]
        method, path, params = request_of(key)
        status, reason, _ = somebody.call(method, path, params)
        if rules_of(endpoint) or not endpoint.tokens:
            if status != 403:
                let_in.append(f"{key}: {status} {reason}")
            elif endpoint.tokens:
                assert reason.startswith("Permission check failed (/"), (key, reason)
        elif not endpoint.allow.check:
            assert status != 403, (key, reason)
        assert status not in (401, 404) and "not implemented" not in reason, (key, status, reason)
    assert let_in == []


def test_each_documented_right_is_enough(daemon: TestDaemon, somebody: Somebody) -> None:
    kept_out = []
    for key in sorted(set(WHOLE) - NOT_WALKED):
        for path, privileges in rules_of(WHOLE[key]):
            if not WHOLE[key].tokens:
                continue
            method, target, params = request_of(key)
            specs = FACTS[key]["parameters"]
            at = fill(path, {n: sample(n, s) for n, s in specs.items()}).replace("%2F", "/")
            role = "only-" + "-".join(privileges)
            try:
                daemon.get(f"/access/roles/{role}")
            except ApiError:
                daemon.post("/access/roles", roleid=role, privs=",".join(privileges))
            daemon.put("/access/acl", path=at, users="walker@pve", roles=role)
            status, reason, _ = somebody.call(method, target, params)
            daemon.put("/access/acl", path=at, users="walker@pve", roles=role, delete=1)
            if status == 403:
                kept_out.append(f"{key} with {privileges} on {at}: {reason}")
    assert kept_out == []


def test_replies_have_the_schemas_types(daemon: TestDaemon, small_image: Path) -> None:
    """C6: typed clients crash on a quoted number or a boolean that is none."""
    image = daemon.add_image(small_image, "small.qcow2")
    daemon.create(100, image, name="typed", tags="a;b", net0="virtio,bridge=vmbr0", onboot=1)
    daemon.post("/access/groups", groupid="some")
    daemon.post("/access/users", userid="some@pve", groups="some", comment="c")
    daemon.post("/access/users/some@pve/token/some")
    daemon.post("/access/roles", roleid="some", privs="VM.Audit")
    upid = daemon.get(f"/nodes/{daemon.node}/tasks", limit=1)[0]["upid"]
    wrong, walked = [], 0
    for key, endpoint in sorted(WHOLE.items()):
        if endpoint.method != "GET" or key in NOT_WALKED or "/agent/" in key or endpoint.later:
            continue
        method, path, params = request_of(key, vmid="100", storage="local", upid=upid, volume=image)
        try:
            data = daemon.call(method, path, **params)
        except ApiError as problem:
            if problem.status != 500:
                wrong.append(f"{key}: {problem}")
            continue
        walked += 1
        wrong += [f"{key}: {text}" for text in _mismatches(FACTS[key], data) if (key, text) not in BY_CONTRACT]
    assert wrong == []
    assert walked > 60


def test_replies_have_their_declared_shapes(daemon: TestDaemon, small_image: Path) -> None:
    image = daemon.add_image(small_image, "shaped.qcow2")
    daemon.create(101, image, name="shaped", onboot=1)
    daemon.task("POST", f"{daemon.qemu}/101/clone", newid=102, full=1)
    daemon.task("POST", f"{daemon.qemu}/101/snapshot", snapname="s1")
    daemon.post("/access/users", userid="shaped@pve", password="a good password", comment="c")
    daemon.post("/access/users/shaped@pve/token/one")
    daemon.post("/access/tfa/shaped@pve", type="recovery", description="d")
    daemon.put("/access/acl", path="/vms/101", users="shaped@pve", roles="PVEVMUser")
    daemon.post("/pools", poolid="shaped", comment="c")
    daemon.put("/pools", poolid="shaped", vms="101", storage="local")
    daemon.post("/cluster/notifications/endpoints/sendmail", name="to-root", mailto="root@localhost")
    daemon.post("/cluster/notifications/matchers", name="all", target="to-root", **{"match-severity": "error,warning"})
    daemon.post("/cluster/metrics/server/graph", type="graphite", server="127.0.0.1", port="2003")
    begun = daemon.post("/nodes/n1/storage/local/uploads", size=10, content="iso", filename="begun.iso")
    upid = daemon.get(f"/nodes/{daemon.node}/tasks", limit=1)[0]["upid"]
    given = {
        "node": "n1", "vmid": "101", "storage": "local", "upid": upid, "poolid": "shaped", "userid": "shaped@pve",
        "path": "/vms/101", "privs": "VM.Audit", "timeframe": "hour",
        "upload": begun["upload"],
    }  # fmt: skip
    wrong, empty, walked = [], [], set()
    for endpoint in endpoints():
        if endpoint.reply is None or endpoint.method != "GET" or "/agent/" in endpoint.path:
            continue
        path = fill(endpoint.schema_path, {name: given[name] for name in endpoint.places})
        asked = {s.name: given[s.name] for s in endpoint.settings if s.required and s.name not in endpoint.places}
        data = daemon.call("GET", path, **asked, **({"full": 1} if path == "/access/users" else {}))
        wrong += [f"{path}: {text}" for text in mismatches(endpoint.reply, data)]
        walked.add(endpoint.schema_path)
        if not data and not path.endswith(("/orphans", "/rrddata", "/clones", "/groups", "/attention")):
            empty.append(path)
    assert (wrong, empty) == ([], [])
    assert len(walked) > 20


# Where Proxmox answers another type than its schema says.
BY_CONTRACT = {
    ("GET /cluster/nextid", "a string for integer"),
    ("GET /nodes/{node}/qemu/{vmid}/pending", "value is a integer for string"),
    ("GET /nodes/{node}/qemu/{vmid}/config", "memory is a string for integer"),
}


def _mismatches(fact: dict[str, Any], data: Any) -> list[str]:
    kind = fact.get("returns")
    if kind and not _is(kind, data):
        return [f"a {_named(data)} for {kind}"]
    found = []
    rows = data if kind == "array" else [data]
    for row in rows if isinstance(rows, list) else []:
        for name, word in fact.get("fields", {}).items():
            if isinstance(row, dict) and name in row and not _is(word.rstrip("?"), row[name]):
                found.append(f"{name} is a {_named(row[name])} for {word.rstrip('?')}")
            elif isinstance(row, dict) and name not in row and not word.endswith("?") and "[n]" not in name:
                found.append(f"{name} is missing")
    return sorted(set(found))


def _is(kind: str, value: Any) -> bool:
    types: dict[str, Any] = {"array": list, "object": dict, "string": str, "null": type(None)}
    if kind == "boolean":
        return type(value) is int and value in (0, 1)
    if kind == "integer":
        return type(value) is int
    if kind == "number":
        return type(value) in (int, float)
    return isinstance(value, types.get(kind, object))


def _named(value: Any) -> str:
    return {"str": "string", "int": "integer", "list": "array", "dict": "object"}.get(
        type(value).__name__, type(value).__name__
    )
