"""Whether a call is allowed: an endpoint's rule, filled with the call's parameters, decided by one function.

The decision itself is `services.access.access`; here stands only which path and privileges a rule means for this call.
"""

from __future__ import annotations

import re
from typing import Any

from tarmac.faces.api.declare import Allow, Call
from tarmac.model.errors import Denied
from tarmac.model.settings import settings_by_name

_PLACE = re.compile(r"\{([a-z][a-z0-9_-]*)\}")


async def authorize(call: Call, params: Any) -> None:
    """Raises Denied (`Permission check failed (/vms/100, VM.Audit)`) unless the endpoint's rule allows the call."""
    await _check(call.endpoint.allow, call, params)


async def _check(rule: Allow, call: Call, params: Any) -> None:
    if rule is Allow.everybody or rule is Allow.login:
        return
    if rule.either:
        await _any(rule.either, call, params)
    elif rule.check is not None:
        await rule.check(call, params)
    else:
        path = fill(rule.path, params)
        if path is None:
            raise Denied(f"Permission check failed ({rule.path}, {', '.join(rule.privileges)})")
        call.services.access.check(call.identity, path, rule.privileges, any=rule.any)


async def _any(rules: tuple[Allow, ...], call: Call, params: Any) -> None:
    """One of them is enough; the first one's refusal is shown."""
    first: Denied | None = None
    for rule in rules:
        try:
            await _check(rule, call, params)
        except Denied as problem:
            first = first or problem
        else:
            return
    if first is not None:
        raise first


def fill(path: str, params: Any) -> str | None:
    """An access path with its `{name}`s filled; None when a parameter in it was not given."""
    known = settings_by_name(type(params))
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        found = getattr(params, known[match[1]].attribute)
        missing = missing or found is None
        return str(found)

    filled = _PLACE.sub(value, path)
    return None if missing else filled
