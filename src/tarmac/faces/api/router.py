"""From method and raw path to an endpoint.

Paths are percent-decoded before they are routed, as Proxmox does it, so a volume id may come with plain or encoded
slashes; `{name...}` takes the rest of a path. Empty segments (trailing or doubled slashes) do not count, and nothing
is ever redirected. What Proxmox has and this version has not is known by name from `proxmox_methods.txt`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from urllib.parse import unquote_to_bytes

from tarmac.faces.api.declare import Endpoint
from tarmac.model.errors import Bug, InvalidInput, NotBuilt

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Match:
    """An endpoint and the texts of its path's parameters."""

    endpoint: Endpoint
    values: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    static: dict[str, _Node] = field(default_factory=dict)
    place: _Node | None = None
    tail: dict[str, Endpoint] = field(default_factory=dict)
    here: dict[str, Endpoint] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


@functools.cache
def known_methods() -> Mapping[str, tuple[frozenset[str], str]]:
    """Proxmox's own paths: the methods of each, and for an index page the key of its items (else empty)."""
    text = resources.files("tarmac.faces.api").joinpath("proxmox_methods.txt").read_text("utf-8")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            methods, path, key = (*line.split(" "), "")[:3]
            found[path] = (frozenset(methods.split(",")), key)
    return found


def segments_of(raw_path: str) -> tuple[str, ...]:
    """A raw path (without query) as decoded segments. Raises InvalidInput when it is not UTF-8."""
    try:
        text = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise InvalidInput("the path is not valid UTF-8", code="bad-path", evidence=str(problem)) from None
    return tuple(part for part in text.split("/") if part)


class Router:
    """The table as a tree of segments; built once, never changed."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._root = _Node()
        for endpoint in self.endpoints:
            self._add(endpoint)
        for path, (methods, _) in known_methods().items():
            self._reach(path).known = methods

    def find(self, method: str, raw_path: str) -> Match:
        """The endpoint for a request. Raises NotBuilt (`Method 'GET /x' not implemented`) when there is none."""
        segments = segments_of(raw_path)
        node: _Node | None = self._root
        tails: list[tuple[_Node, int]] = []
        values: list[str] = []
        for position, segment in enumerate(segments):
            assert node is not None
            if node.tail:
                tails.append((node, position))
            if segment in node.static:
                node = node.static[segment]
            else:
                node = node.place
                values.append(segment)
            if node is None:
                break
        if node is not None and method in node.here:
            endpoint = node.here[method]
            return Match(endpoint, dict(zip(endpoint.places, values, strict=True)))
        for tail, position in reversed(tails):
            if method in tail.tail:
                endpoint = tail.tail[method]
                rest = "/".join(segments[position:])
                taken = values[: len(endpoint.places) - 1]
                return Match(endpoint, dict(zip(endpoint.places, (*taken, rest), strict=True)))
        raise _not_implemented(method, "/" + "/".join(segments), node)

    def methods(self, path: str) -> frozenset[str]:
        """The built methods of a declared path, for documents and tests."""
        return frozenset(e.method for e in self.endpoints if e.schema_path == path)

    def _add(self, endpoint: Endpoint) -> None:
        if endpoint.path.endswith("...}"):
            slot = self._reach(endpoint.path.rpartition("/")[0]).tail
        else:
            slot = self._reach(endpoint.path).here
        if endpoint.method in slot:
            raise Bug(f"{endpoint.method} {endpoint.path} is declared twice")
        slot[endpoint.method] = endpoint

    def _reach(self, path: str) -> _Node:
        node = self._root
        for part in path.split("/"):
            if part.startswith("{"):
                node.place = node.place or _Node()
                node = node.place
            elif part:
                node = node.static.setdefault(part, _Node())
        return node


def _not_implemented(method: str, path: str, node: _Node | None) -> NotBuilt:
    shown = "".join(c if c.isprintable() else "?" for c in path)[:200]
    known = node is not None and method in node.known
    return NotBuilt(
        f"Method '{method} {shown}' not implemented",
        code="not-built" if known else "no-such-method",
        cause="this version does not have it yet" if known else "there is no such method and path",
    )
