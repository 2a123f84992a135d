"""Our parameters are Proxmox's: names, types, optional or not, words. Every deviation is listed here with its reason.

The facts are in tests/data/proxmox_parameters.json, made by tests/support/proxmox_facts.py from Proxmox's schema.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.proxmox_facts import FILE
from tarmac.faces.api.declare import Endpoint
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.index import index_endpoints
from tarmac.faces.api.router import known_methods
from tarmac.faces.generate.parameters import visible, wire_name
from tarmac.model.settings import Setting

FACTS: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
TABLE = endpoints()
WHOLE = {f"{e.method} {e.schema_path}": e for e in (*TABLE, *index_endpoints(TABLE))}
OURS = {"wait", "dryrun"}

# Parameters that we take and Proxmox does not, by endpoint.
ADDITIONS: dict[str, set[str]] = {
    # Ours: several clones in one call, and instant ones.
    "POST /nodes/{node}/qemu/{vmid}/clone": {"count", "instant", "reserve"},
    "POST /nodes/{node}/qemu/{vmid}/template": {"live"},
    # Ours: memory in a file, for instant clones.
    "POST /nodes/{node}/qemu": {"instant"},
    "POST /nodes/{node}/qemu/{vmid}/config": {"instant"},
    "PUT /nodes/{node}/qemu/{vmid}/config": {"instant"},
    # Ours: hosts of the own network from which downloads are allowed; space that new volumes leave free.
    "POST /storage": {"download-hosts", "reserve"},
    # Ours: merging in a running guest is limited.
    "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}": {"bwlimit"},
    "PUT /storage/{storage}": {
        "download-hosts",
        "reserve",
        # Known at creation only; refused as not built in both.
        "authsupported",
        "base",
        "datastore",
        "iscsiprovider",
        "portal",
        "target",
        "thinpool",
        "vgname",
    },
}
# Parameters whose facts differ on purpose: (Proxmox's, ours).
DIFFERENT: dict[tuple[str, str], str] = {
    ("POST /nodes/{node}/qemu", "vmid"): "a number is allocated when none is given",
    ("POST /nodes/{node}/qemu/{vmid}/clone", "newid"): "a number is allocated when none is given",
    ("POST /nodes/{node}/storage/{storage}/upload", "content"): "a field of the form, read from the stream",
    ("POST /nodes/{node}/storage/{storage}/upload", "filename"): "the form's file, read from the stream",
    ("GET /nodes/{node}/qemu/{vmid}/cloudinit/dump", "type"): "also the vendor document",
}
# Types as the schema calls them; a property string, a list and words are strings there.
TYPES = {"enum": "string", "list": "string", "property": "string"}


def fact_of(setting: Setting, endpoint: Endpoint) -> list[Any]:
    kind = "array" if setting.limits.array else TYPES.get(setting.kind, setting.kind)
    optional = not setting.required and setting.name not in endpoint.places
    word = f"{kind}?" if optional else kind
    words = sorted(setting.choices) if setting.kind != "list" else []
    return [word, words] if words else [word]


def test_every_built_path_of_proxmox_has_its_facts() -> None:
    built = {key for key in WHOLE if _is_proxmoxs(key)}
    assert built == set(FACTS), "run tests/support/proxmox_facts.py"


@pytest.mark.parametrize("key", sorted(FACTS))
def test_parameters_are_proxmoxs(key: str) -> None:
    endpoint, facts = WHOLE[key], FACTS[key]["parameters"]
    mine = {wire_name(s): fact_of(s, endpoint) for s in visible(endpoint) if s.name not in OURS}
    # Keys that only the platform writes stand in Proxmox's schema too, for root.
    internal = {wire_name(s) for s in endpoint.settings if s.limits.internal}
    missing = set(facts) - set(mine) - internal
    added = set(mine) - set(facts) - ADDITIONS.get(key, set())
    assert (sorted(missing), sorted(added)) == ([], [])
    facts = {n: [f[0].rstrip("?"), *f[1:]] if n in endpoint.places else f for n, f in facts.items()}
    skipped = {name for at, name in DIFFERENT if at == key} | _keys_of_other_storages(endpoint)
    wrong = {
        name: (fact, mine[name])
        for name, fact in facts.items()
        if name in mine and name not in skipped and not _same(fact, mine[name])
    }
    assert wrong == {}


@pytest.mark.parametrize("key", sorted(FACTS))
def test_tokens_are_allowed_where_proxmox_allows_them(key: str) -> None:
    assert WHOLE[key].tokens == bool(FACTS[key]["tokens"])


def test_no_deviation_is_listed_in_vain() -> None:
    for key, name in DIFFERENT:
        fact, setting = FACTS[key]["parameters"][name], next(s for s in visible(WHOLE[key]) if s.name == name)
        assert not _same(fact, fact_of(setting, WHOLE[key])), (key, name)
    for key, names in ADDITIONS.items():
        assert not names & set(FACTS[key]["parameters"])


def _same(theirs: list[Any], ours: list[Any]) -> bool:
    """Equal, but we may name the words of a text that the schema leaves to a format."""
    return theirs == ours or (len(theirs) == 1 and theirs[0] == ours[0])


def _keys_of_other_storages(endpoint: Endpoint) -> set[str]:
    """Keys of storage types that are not built are refused by name, whatever their type."""
    return {s.name for s in endpoint.settings if not s.limits.built} if "/storage" in endpoint.path else set()


def _is_proxmoxs(key: str) -> bool:
    method, path = key.split(" ", 1)
    return method in known_methods().get(path, (frozenset(), ""))[0]
