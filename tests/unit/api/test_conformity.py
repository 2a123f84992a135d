"""What is built is Proxmox's: parameters with their limits, replies, rights. Every deviation is listed here with its
reason.

The facts are in tests/data/proxmox_api.json, made by tests/support/proxmox_facts.py from Proxmox's schema.
`tests/system/test_contract.py` walks the same endpoints in a running daemon.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.proxmox_facts import facts, word
from tarmac.faces.api.declare import Allow, Endpoint, Returns
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.index import complete
from tarmac.faces.api.later import ROWS
from tarmac.faces.api.params import NOT_BUILT, parse
from tarmac.faces.generate.built import BUILT, EMPTY, MISSING, states
from tarmac.faces.generate.parameters import visible, wire_name
from tarmac.model.errors import InvalidInput
from tarmac.model.parse import MISSING as LACKING
from tarmac.model.parse import UNKNOWN
from tarmac.model.privileges import PRIVILEGES
from tarmac.model.settings import Setting, settings_of
from tarmac.model.vm import VmConfig

FACTS = facts()
WHOLE = {f"{e.method} {e.schema_path}": e for e in complete(endpoints())}
THEIRS = sorted(set(WHOLE) & set(FACTS))
OURS = {"wait", "dryrun"}

# Parameters that we take and Proxmox does not, by endpoint.
ADDITIONS: dict[str, set[str]] = {
    # Ours: several clones in one call, and instant ones.
    "POST /nodes/{node}/qemu/{vmid}/clone": {"count", "flatten", "instant", "reserve"},
    "POST /nodes/{node}/qemu/{vmid}/template": {"live"},
    # Ours: memory in a file, for instant clones.
    "POST /nodes/{node}/qemu": {"instant"},
    "POST /nodes/{node}/qemu/{vmid}/config": {"instant"},
    "PUT /nodes/{node}/qemu/{vmid}/config": {"instant"},
    # Ours: hosts of the own network that a notification may go to.
    **{
        f"{method} /cluster/notifications/endpoints/{place}": {"allowed-hosts"}
        for method, places in {"POST": ("gotify", "webhook"), "PUT": ("gotify/{name}", "webhook/{name}")}.items()
        for place in places
    },
    # Ours: hosts of the own network from which downloads are allowed; space that new volumes leave free; storages that
    # nobody has run on a real kernel yet.
    "POST /storage": {"allow-untested", "download-hosts", "forecast-days", "reserve"},
    # Ours: how many ended tasks are kept.
    "PUT /cluster/options": {"task-retention"},
    # Ours: merging in a running guest is limited.
    "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}": {"bwlimit"},
    "PUT /storage/{storage}": {
        "allow-untested",
        "download-hosts",
        "forecast-days",
        "reserve",
        # Known at creation only; refused as not built in both.
        "authsupported",
        "base",
        "datastore",
        "iscsiprovider",
    },
}
# Parameters whose facts differ on purpose: (Proxmox's, ours).
DIFFERENT: dict[tuple[str, str], str] = {
    ("POST /nodes/{node}/qemu", "vmid"): "a number is allocated when none is given",
    ("POST /nodes/{node}/qemu/{vmid}/clone", "newid"): "a number is allocated when none is given",
    ("POST /nodes/{node}/storage/{storage}/upload", "content"): "a field of the form, read from the stream",
    ("POST /nodes/{node}/storage/{storage}/upload", "filename"): "the form's file, read from the stream",
    ("GET /nodes/{node}/qemu/{vmid}/cloudinit/dump", "type"): "also the vendor document",
    ("GET /nodes/{node}/services/{service}", "service"): "an index page; services are not built",
    ("GET /storage", "type"): "also nbd, which is ours",
    ("POST /storage", "type"): "also nbd, which is ours",
    ("POST /storage", "saferemove-stepsize"): "words that are numbers",
    ("PUT /storage/{storage}", "saferemove-stepsize"): "words that are numbers",
    ("POST /cluster/sdn/vnets/{vnet}/subnets", "type"): "there is one type only, so it may be left out",
}
# Parameters that take more than the schema says.
LOOSER: dict[tuple[str, str], str] = {}
# Types as the schema calls them; a property string, a list and words are strings there.
TYPES = {"enum": "string", "list": "string", "property": "string"}


def fact_of(setting: Setting, endpoint: Endpoint) -> list[Any]:
    kind = "array" if setting.limits.array else TYPES.get(setting.kind, setting.kind)
    optional = not setting.required and setting.name not in endpoint.places
    word = f"{kind}?" if optional else kind
    words = sorted(setting.choices) if setting.kind != "list" else []
    return [word, words] if words else [word]


@pytest.mark.parametrize("key", THEIRS)
def test_parameters_are_proxmoxs(key: str) -> None:
    endpoint, theirs = WHOLE[key], {n: word(spec) for n, spec in FACTS[key]["parameters"].items()}
    mine = {wire_name(s): fact_of(s, endpoint) for s in visible(endpoint) if s.name not in OURS}
    # Keys that only the platform writes stand in Proxmox's schema too, for root.
    internal = {wire_name(s) for s in endpoint.settings if s.limits.internal}
    missing = set(theirs) - set(mine) - internal
    added = set(mine) - set(theirs) - ADDITIONS.get(key, set())
    assert (sorted(missing), sorted(added)) == ([], [])
    theirs = {n: [f[0].rstrip("?"), *f[1:]] if n in endpoint.places else f for n, f in theirs.items()}
    skipped = {name for at, name in DIFFERENT if at == key} | _keys_of_other_storages(endpoint)
    wrong = {
        name: (fact, mine[name])
        for name, fact in theirs.items()
        if name in mine and name not in skipped and not _same(fact, mine[name])
    }
    assert wrong == {}


@pytest.mark.parametrize("key", THEIRS)
def test_tokens_are_allowed_where_proxmox_allows_them(key: str) -> None:
    assert WHOLE[key].tokens == bool(FACTS[key].get("tokens", 1))


def test_no_deviation_is_listed_in_vain() -> None:
    for key, name in DIFFERENT:
        fact, setting = word(FACTS[key]["parameters"][name]), next(s for s in visible(WHOLE[key]) if s.name == name)
        assert not _same(fact, fact_of(setting, WHOLE[key])), (key, name)
    for key, names in ADDITIONS.items():
        assert not names & set(FACTS[key]["parameters"])


def _same(theirs: list[Any], ours: list[Any]) -> bool:
    """Equal, but we may name the words of a text that the schema leaves to a format."""
    return theirs == ours or (len(theirs) == 1 and theirs[0] == ours[0])


def _keys_of_other_storages(endpoint: Endpoint) -> set[str]:
    """Keys of storage types that are not built are refused by name, whatever their type."""
    return {s.name for s in endpoint.settings if not s.limits.built} if "/storage" in endpoint.path else set()


# -- what is refused and taken -----------------------------------------------------------------------------------


def problems_of(endpoint: Endpoint, texts: dict[str, str]) -> dict[str, str]:
    try:
        parse(endpoint, texts)
    except InvalidInput as problem:
        return dict(problem.parameters)
    return {}


@pytest.mark.parametrize("key", THEIRS)
def test_what_the_schema_refuses_is_refused_in_its_words(key: str) -> None:
    endpoint = WHOLE[key]
    found = problems_of(endpoint, {"no-such-thing": "1"})
    assert found["no-such-thing"] == UNKNOWN
    for name, spec in FACTS[key]["parameters"].items():
        setting = _setting(endpoint, name)
        if setting is None or (key, name) in DIFFERENT or (key, name) in LOOSER:
            continue
        of_config = endpoint.config is not None and setting in settings_of(endpoint.config)  # the service asks for it
        if not spec.get("optional") and name not in endpoint.places and not of_config:
            assert problems_of(endpoint, {})[name] == LACKING
        for text, words in _wrong(spec):
            found = problems_of(endpoint, {_key(name): text})
            assert _key(name) in found, f"{name}={text[:50]} is taken"
            if setting.limits.built:
                assert words in found[_key(name)], f"{name}={text[:50]}: {found[_key(name)]}"


def _wrong(spec: dict[str, Any]) -> list[tuple[str, str]]:
    """Values that Proxmox refuses by its schema, with a part of its words."""
    kind, found = spec["type"], []
    if kind in ("boolean", "integer", "number"):
        found.append(("abc", f"type check ('{kind}') failed - got 'abc'"))
    if kind == "boolean":
        found += [("True", "type check ('boolean') failed - got 'True'"), ("2", "type check")]
    if kind in ("integer", "number"):
        low, high = (None if spec.get(k) is None else float(spec[k]) for k in ("minimum", "maximum"))
        found += [(f"{low - 1:.0f}", f"value must have a minimum value of {low:g}")] if low is not None else []
        if high is not None and high < 10**15:
            found.append((f"{high + 1:.0f}", f"value must have a maximum value of {high:g}"))
    if kind == "string" and spec.get("enum"):
        found.append(("no-such-word", "value 'no-such-word' does not have a value in the enumeration '"))
    elif kind == "string" and spec.get("maxLength", 0) and "format" not in spec and "pattern" not in spec:
        found.append(("x" * (spec["maxLength"] + 1), f"value may only be {spec['maxLength']} characters long"))
    return found


@pytest.mark.parametrize("key", THEIRS)
def test_what_the_schema_takes_is_taken(key: str) -> None:
    endpoint = WHOLE[key]
    for name, spec in FACTS[key]["parameters"].items():
        setting = _setting(endpoint, name)
        if setting is None or not setting.limits.built:
            continue
        for text in _right(spec):
            problem = problems_of(endpoint, {_key(name): text}).get(_key(name), "")
            assert problem in ("", NOT_BUILT), f"{name}={text}: {problem}"


def _right(spec: dict[str, Any]) -> list[str]:
    """Values that Proxmox takes by its schema; none for texts of a format, which have tests of their own."""
    kind = spec["type"]
    if kind == "boolean":
        return ["0", "1"]
    if kind in ("integer", "number"):
        low, high = float(spec.get("minimum", 1)), float(spec.get("maximum", 10**15))
        return [f"{low:.0f}", *([f"{high:.0f}"] if high < 10**15 else [])]
    if spec.get("enum"):
        return [str(one) for one in spec["enum"]]
    return []


def _setting(endpoint: Endpoint, name: str) -> Setting | None:
    return next((s for s in visible(endpoint) if wire_name(s) == name), None)


def _key(name: str) -> str:
    return name.replace("[n]", "0")


# -- replies and rights ------------------------------------------------------------------------------------------

KINDS = {
    "null": Returns.NULL, "array": Returns.LIST, "object": Returns.OBJECT, "string": Returns.TEXT,
    "integer": Returns.TEXT, "boolean": Returns.ANY,
}  # fmt: skip
# Endpoints whose kind of reply differs from the schema's, because clients or Proxmox itself do.
OTHER_REPLIES = {"GET /nodes/{node}/qemu/{vmid}/vncwebsocket": "it becomes a WebSocket"}


@pytest.mark.parametrize("key", THEIRS)
def test_replies_are_of_proxmoxs_kind(key: str) -> None:
    theirs, ours = KINDS.get(FACTS[key].get("returns", "")), WHOLE[key].returns
    if key in OTHER_REPLIES or theirs is None or WHOLE[key].later and ours is Returns.ANY:
        return
    same = {Returns.UPID: Returns.TEXT}
    assert same.get(ours, ours) is theirs


# Who may call it where Proxmox's schema cannot say it: there the handler decides, as ours does. The system tests
# and tests/unit/services/test_users.py hold these.
IN_WORDS = {
    "POST /nodes/{node}/startall", "POST /nodes/{node}/stopall", "POST /nodes/{node}/suspendall",
    "POST /nodes/{node}/migrateall", "POST /cluster/bulk-action/guest/migrate", "POST /cluster/bulk-action/guest/start",
    "POST /cluster/bulk-action/guest/shutdown", "POST /cluster/bulk-action/guest/suspend",
    "GET /nodes/{node}/tasks/{upid}/status",
    "GET /nodes/{node}/tasks/{upid}/log", "DELETE /nodes/{node}/tasks/{upid}", "POST /nodes/{node}/qemu",
    "POST /nodes/{node}/qemu/{vmid}/agent", "GET /nodes/{node}/storage/{storage}/content/{volume}",
    "DELETE /nodes/{node}/storage/{storage}/content/{volume}", "POST /nodes/{node}/storage/{storage}/download-url",
    "GET /nodes/{node}/query-url-metadata",
    # Anybody could have the node call any address; the schema of `meta` names a node that its path does not have.
    "GET /cluster/acme/tos", "GET /cluster/acme/meta",
    # A live template, which is ours, takes more.
    "POST /nodes/{node}/qemu/{vmid}/template",
}  # fmt: skip
# Proxmox lets everybody in here and shows less to those without the right; its schema says both.
FOR_ALL = {"GET /cluster/options"}
# Only for root@pam in Proxmox; here there is nothing to keep from anybody.
NOT_ROOT_ONLY = {
    "GET /cluster/acme/account/{name}", "PUT /cluster/acme/account/{name}", "DELETE /cluster/acme/account/{name}",
    "POST /cluster/acme/account", "GET /cluster/backup-info", "GET /cluster/sdn/vnets/{vnet}/firewall",
}  # fmt: skip


@pytest.mark.parametrize("key", THEIRS)
def test_rights_are_proxmoxs(key: str) -> None:
    if key in IN_WORDS | NOT_ROOT_ONLY | FOR_ALL:
        return
    assert _our_rule(WHOLE[key].allow) == _their_rule(FACTS[key].get("allow", "root"))


def _their_rule(rule: Any) -> Any:
    if isinstance(rule, str):
        return rule
    if rule[0] == "perm" and rule[3:] in ([], ["any", 1]):
        return _alternatives([(rule[1], rule[2], bool(rule[3:]))])
    if rule[0] == "or" and all(part[0] == "perm" for part in rule[1:]):
        return _alternatives([(part[1], part[2], bool(part[3:])) for part in rule[1:]])
    return "by a check"


def _our_rule(rule: Allow) -> Any:
    if rule is Allow.login or rule is Allow.everybody:
        return "all" if rule is Allow.login else "world"
    parts = rule.either or (rule,)
    if any(part.check for part in parts):
        return "by a check"
    return _alternatives([(part.path, part.privileges, part.any) for part in parts])


def _alternatives(rules: list[tuple[str, Any, bool]]) -> frozenset[tuple[str, frozenset[str]]]:
    """(path, privileges that are enough together), each an alternative."""
    found = set()
    for path, privileges, any_of in rules:
        found |= {(path, frozenset([p])) for p in privileges} if any_of else {(path, frozenset(privileges))}
    return frozenset(found)


# -- how much ----------------------------------------------------------------------------------------------------


def test_how_much_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    found = {f"{method} {path}": state for (path, method), state in states(WHOLE.values()).items()}
    used = [key for key, fact in FACTS.items() if fact.get("clients")]
    assert (len(FACTS), len(used), set(found)) == (649, 395, set(FACTS))
    with capsys.disabled():
        for what, keys in (("of Proxmox's methods", list(FACTS)), ("of those that clients use", used)):
            count = {state: sum(found[key] == state for key in keys) for state in (BUILT, EMPTY, MISSING)}
            told = ", ".join(f"{count[s]} {s}" for s in (BUILT, EMPTY, MISSING))
            print(f"\n  {len(keys)} {what}: {told}", end="")


def test_no_row_stands_for_what_is_built() -> None:
    built = {(e.method, e.schema_path) for e in endpoints()}
    left = [f"{row.method} {row.path}" for row in ROWS if (row.method, row.path.replace("...}", "}")) in built]
    assert left == [], "remove these rows of faces/api/later.py: they are built"


def test_every_row_is_a_path_of_proxmox() -> None:
    assert [r.path for r in ROWS if f"{r.method} {r.path.replace('...}', '}')}" not in FACTS] == []


def test_nothing_is_reserved_to_root() -> None:
    """Every endpoint and every option of a guest is governed by a privilege that a role can give."""
    for endpoint in endpoints():
        for rule in endpoint.allow.either or (endpoint.allow,):
            if rule not in (Allow.login, Allow.everybody) and not rule.check:
                assert rule.privileges and set(rule.privileges) <= PRIVILEGES, endpoint.path
    assert [
        s.name for s in settings_of(VmConfig) if s.limits.privilege not in PRIVILEGES and not s.limits.internal
    ] == []
