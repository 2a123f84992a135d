"""Secrets come from the terminal or from standard input: on the command line every user of the machine could read
them, and the shell would remember them."""

from __future__ import annotations

import sys

from tarmac.faces.cli.errors import usage


def read_secret(what: str, *, from_stdin: bool, remedy: str) -> str:
    """From standard input (one line), or asked for twice on the terminal. Raises CliError; `remedy` tells what to do
    where there is no terminal."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise usage(f"there is no terminal to ask for the {what}", remedy)
    import getpass

    first = getpass.getpass(f"{what[0].upper()}{what[1:]}: ")
    if getpass.getpass("Once more: ") != first:
        raise usage("the two passwords differ")
    return first


_FILES = frozenset({"keyring"})
"""Secrets that are the contents of a file: several lines."""


def read_option(name: str) -> str:
    """The value of a secret option that was given without one (or as `-`): asked for on a terminal, else the next line
    of standard input, or all of it for what is a file. Raises CliError for an empty one."""
    from_stdin = not sys.stdin.isatty()
    whole = from_stdin and name in _FILES
    value = sys.stdin.read().strip() if whole else read_secret(name, from_stdin=from_stdin, remedy="")
    if not value:
        raise usage(f"--{name}: nothing was given", f"give it on standard input: --{name} - <FILE")
    return value
