"""Routing on raw paths: decoding, tails, slashes, what is known and not built."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tarmac.faces.api.declare import Allow, Call, collect, delete, get, post
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.index import complete
from tarmac.faces.api.router import Router, known_methods
from tarmac.model.errors import Bug, InvalidInput, NotBuilt
from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class Volume:
    node: str = setting(help="n")
    storage: str = setting(help="s")
    volume: str = setting(help="v")


@dataclass(frozen=True, kw_only=True)
class Storage:
    node: str = setting(help="n")
    storage: str = setting(help="s")


@get("/nodes/{node}/storage/{storage}/content", params=Storage, allow=Allow.login, help="List.")
async def content(call: Call, p: Storage) -> None: ...


@get("/nodes/{node}/storage/{storage}/content/{volume...}", params=Volume, allow=Allow.login, help="One.")
async def volume(call: Call, p: Volume) -> None: ...


@delete("/nodes/{node}/storage/{storage}/content/{volume...}", params=Volume, allow=Allow.login, help="Remove.")
async def remove(call: Call, p: Volume) -> None: ...


TABLE = tuple(f.__tarmac_endpoint__ for f in (content, volume, remove))  # type: ignore[attr-defined]
BASE = "/nodes/pve/storage/local/content"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{BASE}/local:iso/a%20b.iso", "local:iso/a b.iso"),
        (f"{BASE}/local:iso%2Fa.iso", "local:iso/a.iso"),
        (f"{BASE}/local%3Aiso%2Fa.iso/", "local:iso/a.iso"),
        (f"{BASE}/local:100/vm-100-disk-0.qcow2", "local:100/vm-100-disk-0.qcow2"),
        (f"{BASE}/x", "x"),
        (f"{BASE}/%C3%A4", "\N{LATIN SMALL LETTER A WITH DIAERESIS}"),
    ],
)
def test_a_tail_takes_the_rest_of_the_path(path: str, expected: str) -> None:
    match = Router(TABLE).find("GET", path)
    assert match.endpoint.handler is volume
    assert match.values == {"node": "pve", "storage": "local", "volume": expected}


def test_trailing_and_doubled_slashes_do_not_count() -> None:
    router = Router(TABLE)
    for path in (BASE, f"{BASE}/", f"{BASE}//", "//nodes/pve//storage/local/content/"):
        assert router.find("GET", path).endpoint.handler is content


def test_method_decides_within_one_path() -> None:
    assert Router(TABLE).find("DELETE", f"{BASE}/local:iso/x").endpoint.handler is remove


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nowhere", "no-such-method"),
        ("GET", "/", "no-such-method"),
        ("PUT", "/nodes/pve/storage/local/content/local:iso/x", "no-such-method"),
        ("PUT", "/nodes/pve/storage/local/content/x", "not-built"),
        ("GET", "/cluster/sdn/zones", "not-built"),
        ("GET", "/cluster/ha/groups/", "not-built"),
        ("DELETE", "/nodes/pve/lxc/100", "not-built"),
        ("POST", "/version", "no-such-method"),
    ],
)
def test_what_is_not_there_is_501_and_says_whether_it_is_known(method: str, path: str, code: str) -> None:
    with pytest.raises(NotBuilt) as caught:
        Router(TABLE).find(method, path)
    assert caught.value.error_code == code
    assert caught.value.message == f"Method '{method} /{path.strip('/')}' not implemented"


def test_a_path_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Router(TABLE).find("GET", "/nodes/%ff")


def test_an_encoded_slash_outside_a_tail_is_a_slash() -> None:
    with pytest.raises(NotBuilt):
        Router(TABLE).find("GET", "/nodes/pve/storage/a%2Fb/content")


def test_the_known_table_is_proxmoxs() -> None:
    known = known_methods()
    assert sum(len(methods) for methods, _ in known.values()) == 649
    assert known["/access/ticket"][0] == {"GET", "POST"}


def test_declaring_twice_is_a_bug() -> None:
    with pytest.raises(Bug):
        Router((*TABLE, TABLE[0]))


def test_a_wrong_declaration_fails_at_once() -> None:
    with pytest.raises(TypeError, match="vmid"):
        post("/x/{vmid}", allow=Allow.login, help="No such parameter.")(content)
    with pytest.raises(TypeError, match="access path"):
        post("/x", allow=Allow("/vms/{vmid}", "VM.Audit"), help="No such parameter.")(content)


def test_every_endpoint_of_the_table_can_be_reached() -> None:
    whole = complete(endpoints())
    router = Router(whole)
    for endpoint in whole:
        path = endpoint.schema_path
        for name in endpoint.places:
            path = path.replace(f"{{{name}}}", f"some-{name}")
        match = router.find(endpoint.method, path)
        assert match.endpoint is endpoint
        assert match.values == {name: f"some-{name}" for name in endpoint.places}


async def test_index_pages_list_what_is_below_with_proxmoxs_key() -> None:
    pages = {e.path: e for e in complete(endpoints()) if e.method == "GET"}
    rows = await pages["/nodes/{node}"].handler(None, None)  # type: ignore[arg-type]
    assert {"name": "qemu"} in rows
    rows = await pages["/nodes/{node}/qemu/{vmid}"].handler(None, None)  # type: ignore[arg-type]
    assert {"subdir": "config"} in rows
    assert "/cluster/ha" in pages and "/nodes/{node}/apt" in pages


def test_collect_takes_only_a_modules_own_functions() -> None:
    from tarmac.faces.api.endpoints import common
    from tarmac.faces.api.endpoints.cluster import version

    assert {e.path for e in collect(version)} == {"/version", "/nodes/{node}/version"}
    assert collect(common) == ()


def test_every_module_with_endpoints_is_in_the_table() -> None:
    import importlib
    import pkgutil

    from tarmac.faces.api import endpoints as package
    from tarmac.faces.api.endpoints.table import MODULES

    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.") if "table" not in m.name]
    declaring = [name for name in names if collect(importlib.import_module(name))]
    assert sorted(declaring) == sorted(m.__name__ for m in MODULES)


def test_every_privilege_that_is_asked_for_exists() -> None:
    from tarmac.model.privileges import PRIVILEGES

    for endpoint in endpoints():
        for rule in endpoint.allow.either or (endpoint.allow,):
            assert set(rule.privileges) <= set(PRIVILEGES), endpoint.path
