"""`docs/reference/api.md` from the table of endpoints."""

from __future__ import annotations

from collections.abc import Iterable

from tarmac.faces.api.declare import Endpoint, Returns
from tarmac.faces.generate.parameters import default_of, visible, wire_name
from tarmac.model.settings import Setting, settings_of

_HEAD = """# The API

Generated from the declarations in `src/tarmac/faces/api/endpoints/`; do not edit. Paths stand below
`https://HOST:8006/api2/json`. Parameters come in the path, the query or the body (form or JSON); unknown ones are
refused by name. A change takes `dryrun=1` (answer what would be done, and when a running guest has it:
`docs/changing-guests.md`); what starts a task answers its id, and with
`wait=SECONDS` waits for its end and tells the outcome in `task`.

Keys of a guest's configuration are listed once, below the table of `POST /nodes/{node}/qemu`.
"""
_MAKING = ("/nodes/{node}/qemu", "/storage")
_RETURNS = {
    Returns.NULL: "nothing",
    Returns.UPID: "a task's id",
    Returns.LIST: "a list",
    Returns.OBJECT: "an object",
    Returns.TEXT: "a text",
    Returns.ANY: "a value",
    Returns.RAW: "not JSON",
}


def reference(endpoints: Iterable[Endpoint]) -> str:
    """The page's text."""
    parts = [_HEAD]
    parts += [_section(e) for e in sorted(endpoints, key=lambda e: (e.schema_path, e.method))]
    return "\n".join(parts)


def _section(endpoint: Endpoint) -> str:
    lines = [f"## {endpoint.method} {endpoint.schema_path}", "", endpoint.help, ""]
    lines.append(f"Answers {_RETURNS[endpoint.returns]}. Allowed for: {endpoint.allow.text}.")
    if endpoint.cli:
        lines.append(f"Command: `tarmac {endpoint.cli}`.")
    if not endpoint.tokens:
        lines.append("Not with an API token.")
    own = [s for s in visible(endpoint) if s.name not in ("wait", "dryrun")]
    if endpoint.config is not None and endpoint.path not in _MAKING:
        # The configuration's keys stand once, where the object is made.
        named = {s.name for s in settings_of(endpoint.params)}
        own = [s for s in own if s.name in named]
        lines.append("Also takes the configuration's keys.")
    if own:
        lines += ["", "| parameter | type | default | what |", "|---|---|---|---|"]
        lines += [_row(s) for s in own]
    return "\n".join([*lines, ""])


def _row(setting: Setting) -> str:
    limits = setting.limits
    kind: str = "text" if setting.kind in ("string", "property") else setting.kind
    if setting.choices:
        kind = ", ".join(f"`{c}`" for c in setting.choices) if len(setting.choices) <= 12 else kind
    bounds = [f"{word} {value:g}" for word, value in (("from", limits.ge), ("to", limits.le)) if value is not None]
    if limits.unit:
        bounds.append(f"in {limits.unit}")
    if bounds:
        kind += f" ({' '.join(bounds)})"
    default = "required" if setting.required else default_of(setting)
    shown = "" if default is None else (str(int(default)) if isinstance(default, bool) else str(default))
    name = wire_name(setting)
    if setting.indexed and limits.count is not None:
        name += f", n to {limits.count - 1}"
    text = limits.help if limits.built else f"{limits.help} *Not built yet.*"
    return f"| `{name}` | {_cell(kind)} | {_cell(shown)} | {_cell(text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
