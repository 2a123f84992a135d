"""Shell completion: `tarmac completion bash|zsh|fish` prints a script that asks `tarmac complete` what could come next.

The scripts know nothing themselves, so they never grow old; `tarmac complete` answers from the same tables that the
commands are made of, and asks the daemon only for what only it knows: names of guests, storages, users.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tarmac.faces.cli import commands, declared
from tarmac.faces.cli.catalog import HAND_WRITTEN
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.listing import everything
from tarmac.faces.cli.session import Session, common

_BASH = """\
# bash completion for tarmac:  source <(tarmac completion bash)
_tarmac() {
  local IFS=$'\\n'
  # The words as the shell split them, but `name=value` and `user@realm` are one word for us.
  local line=${COMP_LINE:0:COMP_POINT} words
  IFS=$' \\t' read -r -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  COMPREPLY=($(compgen -W "$("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
  [[ ${#COMPREPLY[@]} == 0 ]] && compopt -o default 2>/dev/null
  return 0
}
complete -F _tarmac tarmac
"""
_ZSH = """\
#compdef tarmac
# zsh completion for tarmac:  source <(tarmac completion zsh)
_tarmac() {
  local -a found
  found=("${(@f)$(${words[1]} complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  [[ -n ${found[*]} ]] && compadd -a found || _files
}
(( $+functions[compdef] )) && compdef _tarmac tarmac
"""
_FISH = """\
# fish completion for tarmac:  tarmac completion fish | source
function __tarmac_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] complete -- $words[2..-1] 2>/dev/null
end
complete -c tarmac -a '(__tarmac_complete)'
"""
# Where the values of a parameter are listed, and under which key.
_LISTED: dict[str, tuple[str, str]] = {
    "storage": ("/storage", "storage"),
    "image_storage": ("/storage", "storage"),
    "pool": ("/pools", "poolid"),
    "poolid": ("/pools", "poolid"),
    "userid": ("/access/users", "userid"),
    "groupid": ("/access/groups", "groupid"),
    "roleid": ("/access/roles", "roleid"),
    "realm": ("/access/domains", "realm"),
    "node": ("/nodes", "node"),
    "upid": ("/nodes/{node}/tasks?source=all", "upid"),
    "image": ("/nodes/{node}/storage/local/content?content=import", "volid"),
    "snapname": ("/nodes/{node}/qemu/{vmid}/snapshot", "name"),
}
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("shell", choices=sorted(SCRIPTS), help="for which shell")


def completion(session: Session) -> int:
    print(SCRIPTS[session.options.shell], end="")
    return 0


def complete(session: Session) -> int:
    """Print what could stand in the last word's place, one a line. Never fails: a shell is waiting."""
    words = session.options.command or [""]
    for flag, value in zip(words, words[1:], strict=False):
        if flag == "--data-dir":  # whose guests and storages: what is completed says it
            session.options.data_dir = value
    for text in candidates(words[:-1], words[-1], session):
        print(text)
    return 0


def candidates(before: Sequence[str], typed: str, session: Session | None = None) -> list[str]:
    """What fits `typed` after the words `before`. Without a session no daemon is asked."""
    return [text for text in _possible(list(before), typed, session) if text.startswith(typed)]


def _possible(before: list[str], typed: str, session: Session | None) -> list[str]:
    from tarmac.faces.cli.main import Parser

    globals_parser = Parser("tarmac")
    common(globals_parser, leaf=False)
    options = _options_of(globals_parser)
    plain = _without_options(before, options)
    known = everything()
    name = next((" ".join(plain[:n]) for n in (3, 2, 1) if " ".join(plain[:n]) in known), "")
    if not name:
        if typed.startswith("-"):
            return sorted(options)
        level = len(plain)
        return sorted(
            {words.split()[level] for words in known if words.split()[:level] == plain and len(words.split()) > level}
        )
    parser = _parser_of(name, before + [typed])
    if before and (action := _options_of(parser).get(before[-1])) is not None and action.nargs is None:
        return [str(choice) for choice in action.choices or _braced(action)] or _listed(action.dest, plain, session)
    if typed.startswith("-"):
        return sorted(flag for flag in _options_of(parser) if "[n]" not in flag)
    place = len(_without_options(plain[len(name.split()) :], _options_of(parser)))
    return _positional(parser, place, session, plain)


def _positional(
    parser: argparse.ArgumentParser, place: int, session: Session | None, plain: Sequence[str]
) -> list[str]:
    slots = [action for action in parser._actions if not action.option_strings]
    if place >= len(slots) and not (slots and slots[-1].nargs == "*"):
        return []
    slot = slots[min(place, len(slots) - 1)]
    if slot.choices:
        return [str(choice) for choice in slot.choices]
    if slot.dest in ("vmid", "guest", "guests") and session is not None:
        return _guests(session)
    if slot.metavar == "NAME" and "tiny" in str(slot.help):
        return ["debian-12", "tiny"]
    return _listed(slot.dest, plain, session)


def _listed(dest: str, plain: Sequence[str], session: Session | None) -> list[str]:
    """The names that a parameter may have now; none where the daemon has no such list or does not answer."""
    path, key = _LISTED.get(dest, ("", ""))
    if session is None or not path:
        return []
    try:
        if "{node}" in path:
            path = path.replace("{node}", session.node())
        if "{vmid}" in path:
            path = path.replace("{vmid}", str(session.guest(plain[2])[1]))
        rows = session.client.get(path) or []
    except (CliError, IndexError):
        return []
    names = sorted(str(row[key]) for row in rows if row.get(key))
    return [name.rpartition("/")[2].removesuffix(".qcow2") if dest == "image" else name for name in names]


def _guests(session: Session) -> list[str]:
    try:
        rows = session.client.get("/cluster/resources", {"type": "vm"}) or []
    except CliError:
        return []
    return sorted(str(row[key]) for row in rows for key in ("vmid", "name") if row.get(key))


def _parser_of(name: str, argv: Sequence[str]) -> argparse.ArgumentParser:
    from importlib import import_module

    from tarmac.faces.cli.main import Parser

    parser = Parser(f"tarmac {name}")
    if (entry := HAND_WRITTEN.get(name)) is not None:
        module = import_module(f"tarmac.faces.cli.written.{entry.module}")
        if (declare := getattr(module, f"{entry.function}_options", None)) is not None:
            declare(parser, argv)
    else:
        commands.add_parameters(parser, declared.table()[name], argv)
    common(parser, leaf=True)
    return parser


def _options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {flag: action for action in parser._actions for flag in action.option_strings}


def _without_options(words: Sequence[str], options: dict[str, argparse.Action]) -> list[str]:
    """The words that are neither options nor their values."""
    plain, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            action = options.get(word)
            skip = action is not None and action.nargs is None
        else:
            plain.append(word)
    return plain


def _braced(action: argparse.Action) -> list[str]:
    """The choices of an option that came from the API: they stand in its placeholder."""
    text = str(action.metavar or "")
    return text[1:-1].split(",") if text.startswith("{") else []
