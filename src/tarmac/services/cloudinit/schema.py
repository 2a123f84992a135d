"""Whether a document is what cloud-init will understand, before it is written anywhere.

Cloud-init publishes JSON schemas of its documents. They come from its Debian package: installed, or fetched once into
a directory of the daemon's. Without them the form and the YAML are still checked, of a network document its structure
(`cloudinit_network`), and the answer says so.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tarmac.lib.files import write_atomic
from tarmac.lib.process import run
from tarmac.model.errors import Fix, InvalidInput
from tarmac.services.cloudinit.network import structure

DOCUMENT_MAX = 256 * 1024
_NODES_MAX = 100_000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
INSTALLED = Path("/usr/lib/python3/dist-packages/cloudinit/config/schemas")
NAMES = {
    "user": "schema-cloud-config-v1.json",
    "vendor": "schema-cloud-config-v1.json",
    "network-1": "schema-network-config-v1.json",
    "network-2": "schema-network-config-v2.json",
}
_HEADERS = (
    "#cloud-config", "#!", "#include", "#cloud-boothook", "#part-handler", "#cloud-config-archive",
    "#cloud-config-jsonp", "## template: jinja", "Content-Type: multipart/", "MIME-Version:",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was checked: `schema` says against cloud-init's schema; else `note` says why not."""

    schema: bool
    note: str = ""


class Schemas:
    """The schemas there are. `cache` is where fetched ones lie."""

    def __init__(self, cache: Path, installed: Path = INSTALLED) -> None:
        self._places = (installed, cache)
        self._cache = cache
        self._read: dict[str, Any] = {}

    def available(self) -> bool:
        """Whether documents can be checked against a schema. Blocks."""
        return self._load("user") is not None

    async def fetch(self) -> None:
        """Take the schemas out of Debian's package `cloud-init`, without installing it. Repeatable.

        Raises HostFailure when the package cannot be had (no network, no apt)."""
        if await asyncio.to_thread(self.available):
            return
        with tempfile.TemporaryDirectory(prefix="tarmac-schemas-") as scratch:
            folder = Path(scratch)
            await asyncio.to_thread(folder.chmod, 0o755)
            await run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "cloud-init"], cwd=folder)
            for package in sorted(folder.glob("cloud-init_*.deb")):
                await run(["dpkg-deb", "--extract", package, folder / "files"])
            await asyncio.to_thread(self._keep, folder / "files" / INSTALLED.relative_to("/"))
        self._read.clear()

    def _keep(self, found: Path) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        for name in set(NAMES.values()):
            if (found / name).exists():
                write_atomic(self._cache / name, (found / name).read_bytes(), mode=0o644)

    def _load(self, kind: str) -> Any:
        if kind not in self._read:
            paths = [place / NAMES[kind] for place in self._places]
            path = next((path for path in paths if path.exists()), None)
            self._read[kind] = json.loads(path.read_text()) if path is not None else None
        return self._read[kind]

    def check(self, kind: str, text: str) -> Checked:
        """Check a `user`, `network`, `meta` or `vendor` document. Blocks (a large one takes a tenth of a second).

        Raises InvalidInput (`cloudinit-document`) that names line and place."""
        if len(text.encode()) > DOCUMENT_MAX:
            raise InvalidInput.of(kind, f"value may only be {DOCUMENT_MAX} bytes long", code="cloudinit-document")
        if "\0" in text:
            raise InvalidInput.of(kind, "value must not contain a NUL character", code="cloudinit-document")
        if kind in ("user", "vendor") and not text.startswith("#cloud-config\n"):
            return _check_header(kind, text)
        node, data = _parse(kind, text)
        if kind == "meta":
            return Checked(schema=False, note="cloud-init publishes no schema for meta-data")
        name = kind
        if kind == "network":
            node, data = _below_network(kind, node, data)
            if data == {"config": "disabled"}:
                return Checked(schema=False, note="cloud-init leaves the network alone")
            name = f"network-{data.get('version')}"
            if name not in NAMES:
                raise _wrong(kind, 1, "version", "'version' must be 1 or 2")
            _validate(kind, structure(data["version"]), data, node)
        schema = self._load(name)
        if schema is None:
            what = "only the YAML" if kind != "network" else "only the structure"
            return Checked(schema=False, note=f"{NAMES[name]} is not there: {what} was checked")
        checker = jsonschema.validators.validator_for(schema, default=jsonschema.Draft4Validator)(schema)
        if name == "network-2" and _wants_network(schema):
            data = {"network": data}
        _validate(kind, checker, data, node)
        return Checked(schema=True)


def _below_network(kind: str, node: yaml.Node | None, data: dict[str, Any]) -> tuple[yaml.Node | None, dict[str, Any]]:
    """The document proper: it may stand below `network`, as in netplan's files."""
    if "network" not in data:
        return node, data
    if not isinstance(data["network"], dict):
        raise _wrong(kind, _line_of(node, ["network"]), "network", "it must be a mapping of keys to values")
    return _child(node, "network"), data["network"]


def _wants_network(schema: Any) -> bool:
    return isinstance(schema, dict) and "network" in schema.get("properties", {})


def _check_header(kind: str, text: str) -> Checked:
    if not text.startswith(_HEADERS):
        first = text.split("\n", 1)[0][:80]
        raise _wrong(kind, 1, "", "it begins with none of the forms that cloud-init knows", first, "#cloud-config")
    if text.startswith("#cloud-config"):
        first = text.split("\n", 1)[0]
        if first.rstrip() == "#cloud-config":
            raise _wrong(kind, 1, "", "cloud-init wants nothing but `#cloud-config` in the first line", repr(first))
    return Checked(schema=False, note="only #cloud-config documents have a schema")


def _parse(kind: str, text: str) -> tuple[yaml.Node | None, dict[str, Any]]:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if _unfolded(node, {}) > _NODES_MAX:
            raise _wrong(kind, 1, "", "its aliases unfold into too many values", f"more than {_NODES_MAX}")
        data = loader.construct_document(node) if node is not None else {}
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise _wrong(kind, line, "", f"it is no YAML: {problem.problem}", _line(text, line)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise _wrong(kind, 1, "", f"it is no YAML: {str(problem)[:300]}") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _wrong(kind, 1, "", "it must be a mapping of keys to values", type(data).__name__)
    return node, data


def _unfolded(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many nodes a document has once its aliases are unfolded; a cycle counts as too many."""
    if node is None:
        return 0
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = _NODES_MAX + 1  # met again while still inside: a cycle
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[id(node)] = total = 1 + sum(_unfolded(child, known) for child in children)
    return total


def _validate(kind: str, validator: jsonschema.protocols.Validator, data: Any, node: yaml.Node | None) -> None:
    # JSON has no dates and no other keys than texts: what YAML makes of them is shown to the schema as text.
    plain = json.loads(json.dumps(data, default=str))
    problems = sorted(validator.iter_errors(plain), key=lambda error: (len(error.absolute_path), str(error.path)))
    if not problems:
        return
    best = jsonschema.exceptions.best_match(problems) or problems[0]
    path = list(best.absolute_path)
    texts = [f"{'.'.join(map(str, p.absolute_path)) or '(top)'}: {p.message[:200]}" for p in problems[:5]]
    raise _wrong(kind, _line_of(node, path), ".".join(map(str, path)), best.message[:500], "; ".join(texts))


def _line_of(node: yaml.Node | None, path: Sequence[Any]) -> int:
    """The line of the deepest part of `path` that the document has."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in path:
        node = _child(node, part)
        if node is None:
            break
        line = node.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: Any) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in _pairs(node) if key == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: yaml.Node = node.value[part]
        return found
    return None


def _pairs(node: yaml.MappingNode) -> Iterable[tuple[str, yaml.Node]]:
    return ((str(getattr(key, "value", "")), value) for key, value in node.value)


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1][:200] if 0 < number <= len(lines) else ""


def _wrong(kind: str, line: int, place: str, why: str, evidence: str = "", wanted: str = "") -> InvalidInput:
    where = f"line {line}" + (f", {place}" if place else "")
    fixes = [Fix(text=f"begin it with the line `{wanted}`")] if wanted else []
    return InvalidInput(
        f"the {kind} document is not valid for cloud-init: {where}: {why}",
        code="cloudinit-document",
        cause=why,
        evidence=evidence or where,
        fixes=fixes or [Fix(text=f"correct {where}", action="cloud-init schema --config-file FILE")],
        parameters={kind: f"{where}: {why}"},
    )
