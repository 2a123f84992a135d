"""`host` and `max` in a saved machine: every feature that they stand for here, by name.

Both mean another processor under another QEMU or on another host; a state that was saved with one goes on only on the
same. QEMU says what they are made of (`query-cpu-model-expansion`, static), as a model that never changes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from tarmac.drivers.qemu.live.machine import Machine
from tarmac.drivers.qemu.qmp import Qmp
from tarmac.model.errors import Fix, InvalidInput, TarmacError

UNFIXED = ("host", "max")
_FIRST_CPU = "/machine/unattached/device[0]"
_WORD = re.compile(r"(?P<sign>[+-]?)(?P<name>[^=]+)(?:=(?P<value>.*))?", re.DOTALL)


async def fixed(machine: Machine, qmp: Qmp) -> Machine:
    """The machine with a processor that is the same everywhere; as it is where it is so already. Raises InvalidInput
    when this QEMU cannot say what the model stands for."""
    options = dict(machine.options)
    model, _, flags = options.get("-cpu", "").partition(",")
    if model not in UNFIXED:
        return machine
    try:
        asked = {"type": "static", "model": {"name": model, "props": switches(flags)}}
        found = (await qmp.execute("query-cpu-model-expansion", asked))["model"]
        bits = await qmp.qom_get(_FIRST_CPU, "phys-bits")
    except (TarmacError, KeyError) as problem:
        raise InvalidInput(
            "the guest cannot be frozen for instant clones: cpu",
            code="live-not-possible",
            cause=f"`{model}` means another processor on another host or QEMU, and this QEMU does not say which",
            evidence=str(problem),
            fixes=[Fix(text="name a model and start the guest anew", parameters={"cpu": "x86-64-v2-AES"})],
        ) from problem
    props = {**found["props"], "phys-bits": bits}
    text = spelled(str(found["name"]), props, flags, enforce=machine.accelerator == "kvm")
    changed = tuple((option, text if option == "-cpu" else value) for option, value in machine.options)
    return dataclasses.replace(machine, options=changed)


def switches(flags: str) -> dict[str, bool]:
    """The features that a command line's flags (`+aes,-avx2,hv_relaxed,vendor=...`) switch on or off. Pure."""
    found = {}
    for word in filter(None, flags.split(",")):
        match = _WORD.fullmatch(word)
        assert match is not None
        if match["sign"]:
            found[match["name"]] = match["sign"] == "+"
        elif match["value"] in ("on", "off"):
            found[match["name"]] = match["value"] == "on"
    return found


def spelled(name: str, props: Mapping[str, Any], flags: str, *, enforce: bool) -> str:
    """The command line's text of an expanded model, with those of the original's flags that say something else than
    which features there are. `enforce`: refuse to start where a feature is missing. Pure."""
    known = {prop.replace("_", "-") for prop in props}
    words = [f"{prop}={_value(value)}" for prop, value in sorted(props.items())]
    rest = []
    for word in filter(None, flags.split(",")):
        match = _WORD.fullmatch(word)
        assert match is not None
        if match["name"].replace("_", "-") not in known and match["name"] != "enforce":
            rest.append(word)
    return ",".join([name, *words, *rest, *(["enforce"] if enforce else [])])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value).replace(",", ",,")
