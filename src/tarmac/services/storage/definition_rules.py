"""Definitions of storages as texts: what may stand in one, what may change, what is shown and what is secret. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tarmac.model.errors import Fix, InvalidInput, NotBuilt
from tarmac.model.settings import find_setting
from tarmac.model.storage import StorageDefinition, definition_of
from tarmac.model.storage_types import BUILT

_FIXED = frozenset({"storage", "type"})


def checked(texts: Mapping[str, str]) -> StorageDefinition:
    """The typed definition. Raises InvalidInput for what it may not say, NotBuilt for a kind that is not built or not
    yet tried."""
    definition = definition_of(texts)
    kind = BUILT.get(definition.type)
    if kind is None:
        raise NotBuilt(
            f"storages of type '{definition.type}' are not built yet",
            evidence=f"type: {definition.type}",
            fixes=[Fix(text="mount it on the node and use type dir with its path")],
        )
    for key in kind.refused(texts):
        raise InvalidInput.of(key, f"unexpected property '{key}' for storage type '{definition.type}'")
    for key in kind.required:
        if key not in texts:
            raise InvalidInput.of(key, "property is missing and it is not optional")
    if kind.untested and not definition.allow_untested:
        raise _untested(definition.type)
    try:
        _ = definition.directories
    except ValueError as problem:
        raise InvalidInput.of("content-dirs", str(problem)) from None
    return definition


def check_update(
    definition: StorageDefinition, before: Mapping[str, str], texts: Mapping[str, str], delete: Collection[str]
) -> None:
    """Whether keys may be set and deleted at all; the result is for `checked`. Raises InvalidInput that names each."""
    fixed = _FIXED | definition.kind.fixed
    problems = {
        key: f"unable to delete fixed or unknown option '{key}'"
        for key in delete
        if key in fixed or find_setting(StorageDefinition, key) is None
    }
    problems |= {key: "cannot be set and deleted at once" for key in delete if key in texts}
    problems |= {
        key: f"can't change value of fixed parameter '{key}'"
        for key in sorted(fixed)
        if key in texts and texts[key] != before.get(key)
    }
    if problems:
        raise InvalidInput("Parameter verification failed.", evidence=str(problems), parameters=problems)


def parted(definition: StorageDefinition, texts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is shown of a definition, and its secrets."""
    secrets = definition.kind.secrets
    return (
        {key: text for key, text in texts.items() if key not in secrets},
        {key: text for key, text in texts.items() if key in secrets},
    )


def shown_value(key: str, text: str) -> Any:
    """A stored text as the API gives it: booleans and numbers as numbers."""
    found = find_setting(StorageDefinition, key)
    return int(text) if found is not None and found[0].kind in ("boolean", "integer") else text


def _untested(type: str) -> NotBuilt:
    """The error for a kind of storage that nobody has seen work yet."""
    return NotBuilt(
        f"storages of type '{type}' are not yet run against a real kernel",
        code="storage-untested",
        cause="the commands for it are written and checked word by word, but nobody has seen them work yet",
        evidence=f"type: {type}",
        fixes=[
            Fix(text="try it with data that can be lost", parameters={"allow-untested": "1"}),
            Fix(text="mount a file system on it and use type dir with its path"),
        ],
    )
