"""Commands made from the API's declarations (`declared.py`): nothing is written twice. Only the parser of the one
command that was typed is built, which keeps the start fast.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from tarmac.faces.cli.client import fill
from tarmac.faces.cli.declared import Spec
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.secret_input import read_option
from tarmac.faces.cli.session import Session, node_of_task
from tarmac.faces.cli.while_off import add_option, while_off

_OF_EVERY_COMMAND = frozenset({"output", "quiet", "data-dir", "url", "token", "fingerprint", "insecure"})
_INDEXED = re.compile(r"--([a-z]+)(\d{1,3})(?:=.*)?")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TRUE, _FALSE = {"1", "yes", "on", "true"}, {"0", "no", "off", "false"}
_ASKED = "Without a value, or as `-`: asked for, or read from standard input; better than in a command line."


def add_parameters(
    parser: argparse.ArgumentParser,
    spec: Spec,
    argv: Sequence[str],
    *,
    skip: Sequence[str] = (),
    optional: bool = False,
) -> None:
    """Add the parameters of a command to a parser. Of indexed ones (`--net0`) those that stand in `argv` are added,
    and one for the help text. `optional`: nothing is required (for a hand-written command that fills things in).
    Raises CliError for what is known and not built."""
    _refuse_unbuilt(spec.get("unbuilt", ()), argv)
    for parameter in spec["parameters"]:
        name = parameter["name"]
        if name in skip:
            continue
        if name == "node":
            parser.add_argument("--node", metavar="NODE", default=None, help="the node (default: the one that answers)")
        elif parameter.get("positional"):
            parser.add_argument(name, metavar=name.upper(), help=_help(parameter))
        elif "count" in parameter:
            _add_indexed(parser, parameter, argv)
        else:
            required = bool(parameter.get("required")) and not optional
            _add_option(parser, f"--{_typed(name)}", parameter, required=required)
    if spec["method"] != "GET" and not optional:
        parser.add_argument("--dryrun", action="store_true", help="print what would be done, and do nothing")
        add_option(parser, spec)


def _refuse_unbuilt(names: Sequence[str], argv: Sequence[str]) -> None:
    for word in argv:
        flag = word.partition("=")[0]
        indexed = _INDEXED.fullmatch(flag)
        if flag.startswith("--") and (flag[2:] in names or (indexed and f"{indexed[1]}[n]" in names)):
            raise CliError(
                "not-built",
                f"{flag} is known, but this version does not build it",
                fixes=[f"leave {flag} out", "what is built: docs/reference/built.md"],
            )


def _add_indexed(parser: argparse.ArgumentParser, parameter: Spec, argv: Sequence[str]) -> None:
    base = str(parameter["name"]).removesuffix("[n]")
    typed = {int(match[2]) for word in argv if (match := _INDEXED.fullmatch(word)) and match[1] == base}
    for index in sorted(typed):
        if index < parameter["count"]:
            _add_option(parser, f"--{base}{index}", {**parameter, "help": ""}, hidden=True)
    told = {**parameter, "help": f"{parameter.get('help', '')} n: 0 to {parameter['count'] - 1}."}
    _add_option(parser, f"--{base}[n]", told)


def _add_option(
    parser: argparse.ArgumentParser, flag: str, parameter: Spec, *, required: bool = False, hidden: bool = False
) -> None:
    told: dict[str, Any] = {"dest": flag[2:], "default": None, "required": required}
    told["help"] = argparse.SUPPRESS if hidden else _help(parameter)
    kind = parameter["type"]
    if kind in ("list", "array"):
        told |= {"action": "append", "metavar": _metavar(flag)}
    elif kind == "boolean":
        told |= {"nargs": "?", "const": "1", "type": _boolean, "metavar": "0|1"}
    elif parameter.get("secret"):
        told |= {"nargs": "?", "const": "-", "metavar": "-", "help": f"{told['help']} {_ASKED}"}
    elif choices := parameter.get("choices"):
        told |= {"metavar": "{" + ",".join(choices) + "}" if len(choices) <= 8 else _metavar(flag)}
    else:
        told |= {"metavar": parameter.get("unit") or _metavar(flag)}
    # Proxmox writes some names with capitals or underscores; nobody wants to type those.
    plain = _CAPITAL.sub("-", flag).lower().replace("_", "-")
    parser.add_argument(*dict.fromkeys([flag, plain]), **told)


def _typed(name: str) -> str:
    """A parameter's word in the command line: `its-token` where every command has an option of that name already."""
    return f"its-{name}" if name in _OF_EVERY_COMMAND else name


def _metavar(flag: str) -> str:
    return flag.lstrip("-").partition("[")[0].upper().replace("-", "_")


def _boolean(text: str) -> str:
    if text.lower() in _TRUE:
        return "1"
    if text.lower() in _FALSE:
        return "0"
    raise argparse.ArgumentTypeError(f"'{text}' is neither 0 nor 1")


def _help(parameter: Spec) -> str:
    text = str(parameter.get("help") or "")
    if "default" in parameter:
        text += f" (default: {parameter['default']})"
    return text.replace("%", "%%")


def given(spec: Spec, options: argparse.Namespace, *, skip: Sequence[str] = ()) -> dict[str, Any]:
    """The parameters that were typed, by their names in the API. Lists are joined by commas, arrays stay; secrets that
    were named only are asked for."""
    found: dict[str, Any] = {}
    for parameter in spec["parameters"]:
        name = str(parameter["name"])
        if name in skip:
            continue
        if "count" in parameter:
            base = name.removesuffix("[n]")
            for index in range(parameter["count"]):
                if (value := getattr(options, f"{base}{index}", None)) is not None:
                    found[f"{base}{index}"] = value
        elif (value := getattr(options, _typed(name), None)) is not None:
            if parameter.get("secret") and value == "-":
                value = read_option(name)
            joined = isinstance(value, list) and parameter["type"] != "array"
            found[name] = ",".join(value) if joined else value
    return found


def run(words: str, spec: Spec, session: Session) -> int:
    """Make the call that a command stands for and print its reply."""
    params = given(spec, session.options)
    path_values = _path_values(spec, params, session)
    if getattr(session.options, "dryrun", False):
        session.show(
            session.client.call(spec["method"], fill(spec["path"], path_values), {**params, "dryrun": 1}).get("data")
        )
        return 0
    if getattr(session.options, "while_off", False):
        with while_off(session, path_values):
            return _carry_out(words, spec, session, params, path_values)
    return _carry_out(words, spec, session, params, path_values)


def _carry_out(words: str, spec: Spec, session: Session, params: dict[str, Any], path_values: dict[str, str]) -> int:
    path = fill(spec["path"], path_values)
    title = f"{words} {' '.join(path_values[name] for name in path_values if name != 'node')}".strip()
    if spec["returns"] == "upid":
        show_outcome(session, session.task(spec["method"], path, params, title), title)
        if words == "vm set" and session.output == "table" and not session.options.no_wait:
            _tell_what_waits(session, path_values)
    else:
        data = session.client.call(spec["method"], path, params).get("data")
        if data is None and spec["method"] != "GET" and session.output == "table":
            session.say(f"{title}: done")
        else:
            session.show(data, words)
    return 0


def _tell_what_waits(session: Session, guest: dict[str, str]) -> None:
    """Of a changed guest, what comes into force at its next start only."""
    try:
        rows = session.client.get(fill("/nodes/{node}/qemu/{vmid}/pending", guest)) or []
    except CliError:
        return  # the change itself is done; who may change a guest need not be allowed to read all of it
    keys = [str(row["key"]) for row in rows if "pending" in row or row.get("delete")]
    if keys:
        session.say(f"waits for the next start: {', '.join(keys)}  (tarmac vm reboot {guest['vmid']})")


def _path_values(spec: Spec, params: dict[str, Any], session: Session) -> dict[str, str]:
    """The path's parameters, taken out of `params`: a guest may be named, the node is found out."""
    places = re.findall(r"\{([a-z][a-z0-9_-]*)\}", spec["path"])
    values: dict[str, str] = {}
    if "vmid" in places:
        if "vmid" not in params:
            raise usage("which guest? Give its number or its name")
        node, vmid = session.guest(str(params.pop("vmid")))
        values["vmid"] = str(vmid)
        if "node" in places:
            values["node"] = str(params.pop("node", None) or node)
    for place in places:
        if place == "node" and "node" not in values:
            upid = str(params.get("upid", ""))
            params.pop("node", None)
            values["node"] = node_of_task(upid) if "upid" in places else session.node()
        elif place not in values:
            if place not in params:
                raise usage(f"--{place} is missing")
            values[place] = str(params.pop(place))
    return values


def show_outcome(session: Session, status: dict[str, Any], title: str) -> None:
    """What a finished task is worth telling: for people one line, for programs its whole status; with `--no-wait`
    the id alone."""
    if session.output != "table":
        session.show(status)
    elif session.options.no_wait and "upid" in status:
        print(status["upid"])
    else:
        warned = str(status.get("exitstatus", "")).startswith("WARNINGS")
        session.say(f"{title}: {'done, with warnings' if warned else 'done'}")
        _tell_what_was_made(session, status.get("result") or {})


def _tell_what_was_made(session: Session, result: dict[str, Any]) -> None:
    """The numbers of new guests, and how long each took; of what, is in the task's log."""
    for vmid in result.get("vmids", ()):
        seconds = result.get("times", {}).get(str(vmid), {}).get("done")
        session.say(f"guest {vmid}" if seconds is None else f"guest {vmid}: {seconds:.2f} s")
