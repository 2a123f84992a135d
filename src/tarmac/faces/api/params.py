"""The parameters of a request: merged from path, query and body, then validated by the endpoint's declaration.

Rules, as Proxmox has them: the same name twice with the same value is fine, with another value it is refused; `_dc`
(a browser's cache breaker) does not count; a body is a form or a JSON object, and without a content type it is a form
(Telmate sends none); a key repeated inside one form is a list. Source: `PVE::APIServer::AnyEvent`, `PVE::HTTPServer`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tarmac.faces.api.declare import UPID, Endpoint
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.parse import UNKNOWN, parameter_error, parse_record, parse_value, wire_text
from tarmac.model.settings import Setting, find_setting, setting, settings_of

MAX_BODY = 512 * 1024
MAX_FIELDS = 1000
MOST_SHOWN = 60
MAX_WAIT = 3600
CONFLICT = "duplicate parameter (already defined in URI) with conflicting values!"
NOT_BUILT = "is known, but this version does not build it: leave it out"
MASK = "**********"

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every endpoint takes beside its own parameters, where it makes sense."""

    wait: float | None = setting(
        None, ge=0, le=MAX_WAIT, unit="s", help="Answer when the task has ended, or after this time; `task` tells how."
    )
    dryrun: bool = setting(False, help="Only check, and answer what would be done.")


@dataclass(slots=True, kw_only=True)
class Parsed:
    """Validated parameters: the declared record, the configuration's texts, ours, and all texts as sent."""

    params: Any
    config: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    wait: float | None = None
    dryrun: bool = False


def common_settings(endpoint: Endpoint) -> tuple[Setting, ...]:
    """Which of ours an endpoint takes: `wait` where a task starts, `dryrun` where something changes."""
    wait, dryrun = settings_of(Common)
    own = {s.name for s in endpoint.settings}
    takes = (wait, endpoint.returns is UPID), (dryrun, endpoint.changes and not endpoint.stream)
    return tuple(s for s, yes in takes if yes and s.name not in own)


def decode_query(text: str) -> dict[str, Any]:
    """A query string or a form as values; a repeated key becomes a list. Raises InvalidInput."""
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError as problem:
        raise InvalidInput("the parameters are not valid UTF-8", code="bad-encoding", evidence=str(problem)) from None
    except ValueError as problem:
        raise InvalidInput(
            f"too many parameters (at most {MAX_FIELDS})", code="too-many-parameters", evidence=str(problem)
        ) from None
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            earlier = found[key]
            found[key] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            found[key] = value
    return found


def decode_body(content_type: str, body: bytes) -> Values:
    """A request's body as values. Raises InvalidInput, NotBuilt for a content type that is neither form nor JSON."""
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/x-www-form-urlencoded"):
        try:
            return decode_query(body.decode("ascii"))
        except UnicodeDecodeError:
            # Some clients send UTF-8 without percent-encoding.
            return decode_query(_utf8(body))
    if kind == "application/json":
        return _decode_json(_utf8(body))
    raise NotBuilt(
        f"upload 'Content-Type' '{kind[:80]}' not implemented",
        code="content-type",
        cause="a body is application/x-www-form-urlencoded or application/json",
    )


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise InvalidInput("the body is not valid UTF-8", code="bad-encoding", evidence=str(problem)) from None


def _decode_json(text: str) -> Values:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise InvalidInput("the body is not valid JSON", code="bad-json", evidence=str(problem)[:200]) from None
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object", code="bad-json", evidence=f"it is a {type(value).__name__}")
    if len(value) > MAX_FIELDS:
        raise InvalidInput(f"too many parameters (at most {MAX_FIELDS})", code="too-many-parameters")
    return {key: item for key, item in value.items() if item is not None}


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON value")


def merge(path: Mapping[str, str], query: Values, body: Values, endpoint: Endpoint) -> dict[str, str]:
    """All parameters as texts. Raises InvalidInput that names every conflicting or unusable one."""
    texts = dict(path)
    problems: dict[str, str] = {}
    for source in (query, body):
        for key, value in source.items():
            if key == "_dc":
                continue
            try:
                text = _text_of(endpoint, key, value)
                text.encode("utf-8")
            except (ValueError, RecursionError) as problem:
                problems[key] = str(problem) if not isinstance(problem, UnicodeEncodeError) else "invalid Unicode"
                continue
            if texts.setdefault(key, text) != text:
                problems[key] = CONFLICT
    if problems:
        raise parameter_error(_shown(problems))
    return texts


def _text_of(endpoint: Endpoint, key: str, value: Any) -> str:
    found = find_setting(endpoint.params, key)
    if found is None or not found[0].limits.array:
        return wire_text(value)
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    texts = [wire_text(item) for item in items]
    if any("\0" in text for text in texts):
        raise ValueError("value must not contain a NUL character")
    return "\0".join(texts)


def parse(endpoint: Endpoint, texts: Mapping[str, str]) -> Parsed:
    """Merged texts by the endpoint's declaration. Raises InvalidInput that names every wrong one at once."""
    own: dict[str, str] = {}
    config: dict[str, str] = {}
    common: dict[str, str] = {}
    problems: dict[str, str] = {}
    ours = {s.name for s in common_settings(endpoint)}
    for key, text in texts.items():
        if key in ours:
            common[key] = text
        elif (found := find_setting(endpoint.params, key)) is not None:
            own[key] = text
            _refuse_unbuilt(found[0], key, text, problems)
        elif endpoint.config and (found := find_setting(endpoint.config, key)) is not None:
            config[key] = text
            _check_key(found[0], key, text, problems)
        else:
            problems[key] = UNKNOWN
    params = _record(endpoint.params, own, problems)
    shared = _record(Common, common, problems)
    if problems:
        raise parameter_error(_shown(problems))
    return Parsed(params=params, config=config, sent=dict(texts), wait=shared.wait, dryrun=shared.dryrun)


def _record(declared: type, texts: Mapping[str, str], problems: dict[str, str]) -> Any:
    try:
        return parse_record(declared, texts)
    except InvalidInput as problem:
        for key, text in problem.parameters.items():
            problems.setdefault(key, text)
        return None


def _check_key(found: Setting, key: str, text: str, problems: dict[str, str]) -> None:
    """One key of a configuration: known, taken from callers, well-formed."""
    if found.limits.internal:
        problems[key] = UNKNOWN
        return
    try:
        parse_value(found, text)
    except ValueError as problem:
        problems[key] = str(problem)
        return
    _refuse_unbuilt(found, key, text, problems)


def _refuse_unbuilt(found: Setting, key: str, text: str, problems: dict[str, str]) -> None:
    """A known key that is not built is refused by name, unless its value says no more than its default does."""
    if found.limits.built:
        return
    try:
        if parse_value(found, text) == found.default:
            return
    except ValueError:
        pass
    problems[key] = NOT_BUILT


def _shown(problems: Mapping[str, str]) -> dict[str, str]:
    """Names and texts as they may stand in a reply: a client's own bytes are bounded and printable."""
    return {_printable(key)[:100]: _printable(text)[:1000] for key, text in problems.items()}


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def masked(endpoint: Endpoint, texts: Mapping[str, str]) -> dict[str, str]:
    """Parameters for a log or the audit trail: secrets masked, long texts cut."""
    shown = {}
    ours = {s.name for s in common_settings(endpoint)}
    for key, text in list(texts.items())[:MOST_SHOWN]:
        found = find_setting(endpoint.params, key) or (find_setting(endpoint.config, key) if endpoint.config else None)
        # A key that nobody declared may be a secret's, misspelt.
        secret = found[0].limits.secret if found else key not in ours
        told = found[0].limits.told if found else None
        shown[key[:100]] = MASK if secret else (told(text) if told else text)[:200]
    return shown
