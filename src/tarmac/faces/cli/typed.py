"""Commands within a text as they have to be typed here: with the path of a `tarmac` that the shell does not find by
its name, and for the daemon that this run talked to.

    typed("start it: tarmac vm start 100")  ->  "start it: .venv/bin/tarmac --data-dir /srv/two vm start 100"
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

_ELSEWHERE = re.compile(r"\bon (?:that|the) machine\b")
_COMMAND = re.compile(r"(?<![\w/.-])tarmac(?= ([a-z-]+)(.*))")
_CHOSEN = re.compile("--(?:data-dir|url|help)")


def typed(text: str, options: argparse.Namespace | None) -> str:
    """`options` are the common ones; None where the words did not get that far."""
    if "tarmac " not in text:
        return text
    from tarmac.faces.cli.catalog import HAND_WRITTEN, NOUNS

    def whole(found: re.Match[str]) -> str:
        if found[1] not in NOUNS and found[1] not in HAND_WRITTEN:
            return found[0]  # of a sentence, not a command
        return program() if _CHOSEN.search(found[2]) else f"{program()}{chosen(options)}"

    lines = text.split("\n")
    return "\n".join(line if _ELSEWHERE.search(line) else _COMMAND.sub(whole, line) for line in lines)


def chosen(options: argparse.Namespace | None) -> str:
    """The options that choose the daemon, as they were given; no token, which is a secret."""
    import shlex

    if options is None or not (options.data_dir or options.url):
        return ""
    flag, value = ("--url", options.url) if options.url else ("--data-dir", str(options.data_dir))
    return f" {flag} {shlex.quote(value)}"


def program() -> str:
    """What to type for `tarmac` here: the bare name where the shell finds this very program by it, else its path."""
    import shlex
    import shutil  # slow to import, and not needed where all goes well

    ours = Path(sys.argv[0])
    if ours.name != "tarmac" or not ours.exists():
        return "tarmac"
    found = shutil.which("tarmac")
    if found is not None and Path(found).resolve() == ours.resolve():
        return "tarmac"
    try:
        return shlex.quote(str(ours.resolve().relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(ours.resolve()))
