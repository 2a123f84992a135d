"""`tarmac`: words in, one command run, an exit code out.

    tarmac [options] NOUN VERB [arguments]

A command is hand-written (`catalog.HAND_WRITTEN` names its module, imported only when it is typed) or comes from the
API's declarations (`commands.py`). This module is on the way of each call, so it imports little: see
`benchmarks/cli_start.py` and the test that watches `sys.modules`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from tarmac.faces.cli import commands, declared
from tarmac.faces.cli.catalog import HAND_WRITTEN, NOUNS, Entry
from tarmac.faces.cli.errors import INTERRUPTED, USAGE, CliError, text_of
from tarmac.faces.cli.session import Session, common
from tarmac.faces.cli.typed import typed

Run = Callable[[Session], int]


class Parser(argparse.ArgumentParser):
    """argparse with our exit code and no abbreviated options: a script's `--mem` must not change its meaning when
    an option is added."""

    def __init__(self, prog: str, description: str = "", usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description.replace("%", "%%"),
            usage=usage,
            allow_abbrev=False,
            # With a width, or argparse imports shutil (and so bz2, lzma, zlib) for every option it is told.
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=_width()),
        )

    def error(self, message: str) -> NoReturn:
        raise CliError("invalid-input", message, fixes=[f"see what it takes: {self.prog} --help"])


def _width() -> int:
    """Columns for help texts: the terminal's, or 100 where there is none."""
    try:
        return max(60, min(120, os.get_terminal_size(1).columns - 2))
    except OSError:
        return 100


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line. Never raises; every failure is printed on standard error."""
    output, options = "table", None
    try:
        words, options, rest = split(argv)
        output = options.output
        return dispatch(words, options, rest)
    except CliError as error:
        _print_error(error, _output_of(argv, output), options)
        return error.exit_code
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Python would complain about stdout once more at its end.
        sys.stdout = None
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else USAGE
    except Exception as error:  # noqa: BLE001 - the top of a face: nobody is to see a traceback
        return _bug(error, output, options)


def split(argv: Sequence[str]) -> tuple[list[str], argparse.Namespace, list[str]]:
    """The command's words, the options before them, and everything behind them."""
    parser = Parser("tarmac", "A hypervisor platform.", usage="tarmac [options] NOUN VERB [arguments]")
    common(parser, leaf=False)
    parser.add_argument("--version", action="store_true", help="print the version and end")
    takes = {flag for action in parser._actions if action.nargs is None for flag in action.option_strings}
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] in takes else 1
    if "-h" in argv[:place] or "--help" in argv[:place]:
        return ["help"], parser.parse_args([]), []
    options = parser.parse_args(argv[:place])
    options.node = None
    if options.version:
        return ["version"], options, []
    rest = list(argv[place:])
    for length in (3, 2, 1):
        words = " ".join(rest[:length])
        if len(rest) >= length and (words in HAND_WRITTEN or words in declared.table()):
            return rest[:length], options, rest[length:]
    return rest[:1] or ["help"], options, rest[1:]


def dispatch(words: list[str], options: argparse.Namespace, rest: list[str]) -> int:
    """Parse the rest for the command that was found, and run it."""
    name = " ".join(words)
    if name in HAND_WRITTEN:
        return _run_written(name, HAND_WRITTEN[name], options, rest)
    spec = declared.table().get(name)
    if spec is None:
        return _not_a_command(words[0], rest)
    parser = Parser(f"tarmac {name}", spec["help"])
    commands.add_parameters(parser, spec, rest)
    common(parser, leaf=True)
    parser.parse_args(rest, options)
    return _carry_out(lambda session: commands.run(name, spec, session), options)


def _run_written(name: str, entry: Entry, options: argparse.Namespace, rest: list[str]) -> int:
    module = import_module(f"tarmac.faces.cli.written.{entry.module}")
    parser = Parser(f"tarmac {name}", entry.help, usage=entry.usage or None)
    if (declare := getattr(module, f"{entry.function}_options", None)) is not None:
        declare(parser, rest)
    common(parser, leaf=True)
    if entry.passes_on is not None:
        own, options.command = _cut(parser, rest, entry.passes_on)
        parser.parse_args(own, options)
    else:
        parser.parse_args(rest, options)
    run: Run = getattr(module, entry.function)
    return _carry_out(run, options)


def _carry_out(run: Run, options: argparse.Namespace) -> int:
    session = Session(options)
    try:
        return run(session)
    except CliError as error:
        if session.subject:
            error.about(session.subject)
        raise


def _cut(parser: Parser, rest: list[str], positionals: int) -> tuple[list[str], list[str]]:
    """The command's own words and those it passes on: what stands behind its positional words and the options it
    knows. A `--` there ends its own words, and is not passed on."""
    known = {flag: action for action in parser._actions for flag in action.option_strings}
    seen = place = 0
    while place < len(rest) and rest[place] != "--":
        action = known.get(rest[place].partition("=")[0])
        if rest[place].startswith("-") and (action is not None or seen < positionals):
            place += 2 if action is not None and action.nargs is None and "=" not in rest[place] else 1
        elif seen < positionals:
            seen += 1
            place += 1
        else:
            break
    behind = rest[place:]
    return rest[:place], behind[1:] if behind[:1] == ["--"] else behind


def _not_a_command(word: str, rest: Sequence[str]) -> int:
    from tarmac.faces.cli.listing import overview, verbs

    if word == "help" and not rest:
        print(overview())
        return 0
    noun = rest[0] if word == "help" else word
    if noun in NOUNS or any(words.startswith(f"{noun} ") for words in declared.table()):
        unknown = [w for w in rest if not w.startswith("-") and w != noun]
        if unknown and word != "help":
            raise CliError(
                "invalid-input", f"there is no command `tarmac {noun} {unknown[0]}`", fixes=[f"tarmac {noun}"]
            )
        print(verbs(noun))
        return 0
    raise CliError("invalid-input", f"there is no command `tarmac {noun}`", fixes=["see what there is: tarmac help"])


def _output_of(argv: Sequence[str], output: str) -> str:
    """The form that was asked for, also where the parser gave up before it got there."""
    for flag in ("-o", "--output"):
        if flag in argv[:-1]:
            return argv[argv.index(flag) + 1]
    return next((word.partition("=")[2] for word in argv if word.startswith("--output=")), output)


def _print_error(error: CliError, output: str, options: argparse.Namespace | None) -> None:
    """For people as lines, for programs as the object `error` in the form that they asked for."""
    from tarmac.faces.cli.render import clean, show

    if output == "json":  # one line, so that it can be told from what else stands there
        import json

        print(json.dumps({"error": error.as_record()}), file=sys.stderr)
    elif output == "yaml":
        show({"error": error.as_record()}, output, stream=sys.stderr)
    else:
        print(clean(typed(text_of(error), options), lines=True), file=sys.stderr)


def _bug(error: Exception, output: str, options: argparse.Namespace | None) -> int:
    import traceback

    from tarmac.faces.cli.errors import of_tarmac
    from tarmac.model.errors import TarmacError

    if isinstance(error, TarmacError):
        known = of_tarmac(error)
        _print_error(known, output, options)
        return known.exit_code
    if isinstance(error, OSError):
        problem = CliError("error", error.strerror or str(error), evidence=str(error.filename or error))
    else:
        if os.environ.get("TARMAC_DEBUG"):
            traceback.print_exception(error)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}:{frame.lineno}: {type(error).__name__}: {error}"
        problem = CliError(
            "bug", "a mistake in tarmac itself", evidence=where, fixes=["TARMAC_DEBUG=1 shows the whole trace"]
        )
    _print_error(problem, output, options)
    return problem.exit_code


if __name__ == "__main__":
    entry()
