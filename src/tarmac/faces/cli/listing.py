"""What `tarmac help` and `tarmac NOUN` print."""

from __future__ import annotations

from tarmac.faces.cli import declared
from tarmac.faces.cli.catalog import HAND_WRITTEN, HIDDEN, NOUNS


def everything() -> dict[str, str]:
    """All commands with their line of help, sorted; where both exist, the hand-written one counts."""
    found = {words: str(spec["help"]) for words, spec in declared.table().items()}
    found |= {words: entry.help for words, entry in HAND_WRITTEN.items() if words not in HIDDEN}
    return dict(sorted(found.items()))


def nouns() -> dict[str, str]:
    """All nouns with a word on what they are; those that only the API knows stand without one."""
    known = {words.split()[0]: "" for words in everything() if " " in words}
    return {noun: NOUNS.get(noun, "") for noun in [*NOUNS, *sorted(set(known) - set(NOUNS))]}


def overview() -> str:
    """The first page."""
    width = max(len(words) for words in [*nouns(), *everything()] if " " not in words)
    lines = ["tarmac [options] NOUN VERB [arguments]", "", "Nouns (`tarmac NOUN` lists the verbs):"]
    lines += [f"  {noun:{width}}  {what}".rstrip() for noun, what in nouns().items()]
    lines += ["", "And:"]
    lines += [f"  {words:{width}}  {text}" for words, text in everything().items() if " " not in words]
    return "\n".join([*lines, "", "`tarmac NOUN VERB --help` tells everything about one command."])


def verbs(noun: str) -> str:
    """The page of one noun."""
    found = {words: text for words, text in everything().items() if words.split()[0] == noun}
    width = max((len(words) for words in found), default=0)
    return "\n".join(f"tarmac {words:{width}}  {text}" for words, text in found.items())
