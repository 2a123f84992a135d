"""The values of a configuration on their way in and out: what is shown as what, what nobody may set, what is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.model.errors import InvalidInput
from tarmac.model.settings import find_setting
from tarmac.model.vm import VmConfig
from tarmac.model.vm_change import HIDDEN
from tarmac.services.cloudinit.cloudinit import hash_password


def shown(texts: Mapping[str, str]) -> dict[str, Any]:
    """Texts as the API gives them."""
    return {key: shown_value(key, text) for key, text in texts.items()}


def shown_value(key: str, text: str) -> Any:
    """One of them: integers and booleans are numbers, secrets stars, everything else is text."""
    found = find_setting(VmConfig, key)
    if found is None:
        return text
    setting = found[0]
    if setting.limits.secret:
        return HIDDEN
    if setting.kind in ("integer", "boolean") and not setting.indexed:
        word = text.lower()
        return int(word in ("1", "on", "yes", "true")) if setting.kind == "boolean" else int(text)
    return text


def refuse_internal(texts: Mapping[str, str]) -> None:
    """Raises InvalidInput for keys that only the platform writes."""
    problems = {}
    for key in texts:
        found = find_setting(VmConfig, key)
        if found is not None and found[0].limits.internal:
            problems[key] = "this key is written by the platform itself"
    if problems:
        raise InvalidInput("Parameter verification failed.", parameters=problems, code="internal-key")


async def without_secrets(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts with the cloud-init password hashed, before they reach a journal or a file."""
    found = dict(texts)
    if password := found.get("cipassword"):
        found["cipassword"] = await hash_password(password)
    return found
