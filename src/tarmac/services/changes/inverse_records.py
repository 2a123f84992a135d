"""From what a change made of its records to the calls that bring back what was before. Pure.

A change is undone wholly or not at all: one record of it that cannot be brought back (a password, a removed token, of
which only a hash is known) leaves the whole change without an inverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tarmac.model.realms import BUILTIN
from tarmac.services.changes.calls import ApiCall, Value, at

Record = Any
Records = Mapping[str, Record]
"""Records by `<kind>/<name>`; None: there was none."""
GroupsOf = Callable[[str], Sequence[str]]
_USER_FIELDS = ("enable", "expire", "firstname", "lastname", "email", "comment", "keys")


class NoWayBack(Exception):
    """This record cannot be brought back."""


def inverse_of(before: Records, after: Records, groups_of: GroupsOf) -> list[ApiCall]:
    """The calls in the order in which they must be made; empty where there is no way back."""
    calls: list[ApiCall] = []
    if len(before) > 1 and any(key.partition("/")[0] in ("zone", "vnet", "subnet") for key in before):
        return []  # what was given up of networks together stands on each other
    made_users = {name for key in before if key.startswith("user/") and before[key] is None for name in [key[5:]]}
    made_realms = {key[6:] for key in before if key.startswith("realm/") and before[key] is None}
    try:
        for key in before:
            kind, _, name = key.partition("/")
            if kind in ("password", "tfa") and name in made_users:
                continue  # they go with the user that was made with them
            if kind == "realm-secret" and name in made_realms:
                continue
            if kind == "group":
                calls += _group(name, before[key], after.get(key), groups_of, made_users)
            else:
                calls += _KINDS[kind](name, before[key], after.get(key))
    except (NoWayBack, KeyError):
        return []
    # What is made comes first, so that grants find it; what is removed goes last.
    return sorted(calls, key=lambda call: {"POST": 0, "PUT": 1, "DELETE": 2}[call.method])


def _user(name: str, old: Record, new: Record) -> list[ApiCall]:
    path = at("access", "users", name)
    if old is None:
        return [ApiCall(method="DELETE", path=path)]
    if new is None:
        raise NoWayBack
    calls = []
    fields = {f: _text(old[f]) for f in _USER_FIELDS if old.get(f) != new.get(f)}
    if fields:
        calls.append(ApiCall(method="PUT", path=path, parameters=fields))
    had, has = old.get("tokens", {}), new.get("tokens", {})
    for token in sorted({*had, *has}):
        calls += _token(f"{path}/token/{token}", had.get(token), has.get(token))
    return calls


def _token(path: str, old: Record, new: Record) -> list[ApiCall]:
    if old == new:
        return []
    if old is None:
        return [ApiCall(method="DELETE", path=path)]
    if new is None:
        raise NoWayBack
    fields = {f: _text(old[f]) for f in ("expire", "privsep", "comment") if old.get(f) != new.get(f)}
    return [ApiCall(method="PUT", path=path, parameters=fields)]


def _group(name: str, old: Record, new: Record, groups_of: GroupsOf, made_users: set[str]) -> list[ApiCall]:
    had, has = set((old or {}).get("members", ())), set((new or {}).get("members", ()))
    calls = [
        ApiCall(
            method="PUT", path=at("access", "users", user), parameters={"groups": name, "append": "1"}
        )
        for user in sorted(had - has)
    ]  # fmt: skip
    if new is not None and old is not None:
        for user in sorted(has - had - made_users):
            rest = ",".join(group for group in groups_of(user) if group != name)
            calls.append(ApiCall(method="PUT", path=at("access", "users", user), parameters={"groups": rest}))
        if old.get("comment") != new.get("comment"):
            comment = {"comment": _text(old.get("comment", ""))}
            calls.append(ApiCall(method="PUT", path=at("access", "groups", name), parameters=comment))
    elif new is not None:
        calls.append(ApiCall(method="DELETE", path=at("access", "groups", name)))
    elif old is not None:
        made = {"groupid": name, "comment": _text(old.get("comment", ""))}
        calls.append(ApiCall(method="POST", path="/access/groups", parameters=made))
    return calls


def _role(name: str, old: Record, new: Record) -> list[ApiCall]:
    path = at("access", "roles", name)
    if old is None:
        return [ApiCall(method="DELETE", path=path)]
    privs = {"privs": ",".join(old["privileges"])}
    if new is None:
        return [ApiCall(method="POST", path="/access/roles", parameters={"roleid": name, **privs})]
    return [ApiCall(method="PUT", path=path, parameters=privs)]


def _grants(name: str, old: Record, new: Record) -> list[ApiCall]:
    had, has = _entries(old), _entries(new)
    gone = [(entry, propagate) for entry, propagate in had.items() if has.get(entry) != propagate]
    calls = [_acl(entry, {"propagate": _text(propagate)}) for entry, propagate in gone]
    return calls + [_acl(entry, {"delete": "1"}) for entry in has if entry not in had]


def _entries(record: Record) -> dict[tuple[str, str, str, str], bool]:
    entries = (record or {}).get("entries", ())
    return {(e["path"], e["kind"], e["who"], e["role"]): bool(e.get("propagate", True)) for e in entries}


def _acl(entry: tuple[str, str, str, str], more: Mapping[str, str]) -> ApiCall:
    path, kind, who, role = entry
    return ApiCall(method="PUT", path="/access/acl", parameters={"path": path, f"{kind}s": who, "roles": role, **more})


def _pool(name: str, old: Record, new: Record) -> list[ApiCall]:
    if old is None:
        members = _members(new)
        first = [_pool_put(name, {**members, "delete": "1"})] if members else []
        return [*first, ApiCall(method="DELETE", path="/pools", parameters={"poolid": name})]
    calls = []
    if new is None:
        made = {"poolid": name, "comment": _text(old.get("comment", ""))}
        calls.append(ApiCall(method="POST", path="/pools", parameters=made))
    elif old.get("comment") != new.get("comment"):
        calls.append(_pool_put(name, {"comment": _text(old.get("comment", ""))}))
    if lost := _members(old, new):
        calls.append(_pool_put(name, {**lost, "allow-move": "1"}))
    if new is not None and (gained := _members(new, old)):
        calls.append(_pool_put(name, {**gained, "delete": "1"}))
    return calls


def _members(pool: Record, other: Record = None) -> dict[str, str]:
    """The members of a pool that another does not have, as parameters."""
    found = {}
    for field, parameter in (("guests", "vms"), ("storages", "storage")):
        rest = [str(one) for one in pool.get(field, ()) if one not in (other or {}).get(field, ())]
        if rest:
            found[parameter] = ",".join(rest)
    return found


def _pool_put(name: str, parameters: Mapping[str, str]) -> ApiCall:
    return ApiCall(method="PUT", path="/pools", parameters={"poolid": name, **parameters})


def _texts(path: str, create: str) -> Callable[[str, Record, Record], list[ApiCall]]:
    """Records that are texts by key: `secrets` in one of them says that what is not shown changed, too."""

    def inverse(name: str, old: Record, new: Record) -> list[ApiCall]:
        one = path.replace("{name}", name)
        if old is None and create:
            return [ApiCall(method="DELETE", path=one)]
        if (old or {}).get("secrets") or (new or {}).get("secrets"):
            raise NoWayBack
        if new is None and create:
            return [ApiCall(method="POST", path=create, parameters=old)]
        old, new = old or {}, new or {}
        changed: dict[str, Value] = {k: v for k, v in old.items() if new.get(k) != v}
        if added := [key for key in new if key not in old]:
            changed["delete"] = ",".join(added)
        return [ApiCall(method="PUT", path=one, parameters=changed)] if changed else []

    return inverse


def _realm(name: str, old: Record, new: Record) -> list[ApiCall]:
    path = at("access", "domains", name)
    if old is None and name in BUILTIN:
        old = {"texts": {"comment": BUILTIN[name]}}  # it is there before it is written for the first time
    if old is None:
        return [ApiCall(method="DELETE", path=path)]
    if new is None:
        made = {"realm": name, "type": old["type"], **old["texts"]}
        return [ApiCall(method="POST", path="/access/domains", parameters=made)]
    return _texts(path, "")(name, old["texts"], new["texts"])


def _network(kind: str) -> Callable[[str, Record, Record], list[ApiCall]]:
    """Zones, virtual networks, subnets: texts by key; a list's items are joined by NUL."""

    def inverse(name: str, old: Record, new: Record) -> list[ApiCall]:
        vnet = (old or new).get("vnet", "")
        all = at("cluster", "sdn", "vnets", vnet, "subnets") if kind == "subnet" else f"/cluster/sdn/{kind}s"
        own = {key: value.split("\0") if key == "dhcp-range" else value for key, value in (old or {}).items()}
        own.pop("vnet", None)
        if new is None:
            id = name.partition("-")[2].replace("-", "/") if kind == "subnet" else name
            fixed = {"type": "subnet"} if kind == "subnet" else {}
            return [ApiCall(method="POST", path=all, parameters={kind: id, **fixed, **own})]
        had = {key: value for key, value in own.items() if new.get(key) != old[key]} if old else {}
        if old and (added := [key for key in new if key not in old]):
            had["delete"] = ",".join(added)
        one = f"{all}/{at(name).lstrip('/')}"
        if old is None:
            return [ApiCall(method="DELETE", path=one)]
        return [ApiCall(method="PUT", path=one, parameters=had)]

    return inverse


_KINDS: Mapping[str, Callable[[str, Record, Record], list[ApiCall]]] = {
    "user": _user,
    "role": _role,
    "grants": _grants,
    "pool": _pool,
    "realm": _realm,
    "storage": _texts("/storage/{name}", "/storage"),
    "options": _texts("/cluster/options", ""),
    "node": _texts("/nodes/{name}/config", ""),
    "zone": _network("zone"),
    "vnet": _network("vnet"),
    "subnet": _network("subnet"),
}


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
