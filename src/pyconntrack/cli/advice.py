"""The errors for a word that is none, and what would be right.

Where conntrack(8) has words of its own for an error these come first; where standard error is no
terminal, they stand alone if no other word is near.
"""

from __future__ import annotations

from ..escape import meant
from . import options
from .console import UsageError
from .options import CONNTRACK, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def unknown_word(message: str, word: str, known: Iterable[str]) -> UsageError:
    """Return the error for a word that is none of ``known``: the nearest one, or else all.

    ``message``: what conntrack(8) says of it.
    """
    words = tuple(known)
    near = "" if word.split() != [word] else meant(word, words)
    if near and len(words) > 2:
        return UsageError(message + near)
    *others, last = words
    every = f"{', '.join(others)} or {last}" if others else last
    return UsageError(f"{message}: {every} is expected", classic="" if near else message)


def unknown_option(name: str, word: str, protocols: tuple[int, ...]) -> UsageError:
    """Return the error for ``word``, whose long spelling ``name`` is none here."""
    message = f"unknown option `{word}'"
    if name == "completions":
        return UsageError(f"{message}: it must be the first word, and alone, "
                          "as in `conntrack --completions bash'")  # fmt: skip
    others = [each.name for each in options.PROTOCOLS
              if any(name in row.long for row in each.options)]  # fmt: skip
    if others and len(protocols) > 1:
        return UsageError(f"{message}: not all protocols of -p have it")
    if others:
        return UsageError(f"{message}: it goes with -p {' or '.join(others)}, which must stand "
                          "before it", classic=message)  # fmt: skip
    classic: list[Option | Verb] = [*options.OPTIONS, *options.VERBS, *options.own(protocols)]
    rows = [*classic, *options.EXTENSIONS]
    begun = [row for row in rows if any(long.startswith(name) for long in row.long)]
    if len(name) > 1 and begun:
        near = [f"`--{long}'" for row in begun for long in row.long if long.startswith(name)]
        text = f"{message}: do you mean {' or '.join(near)}?"
        return UsageError(text, classic=message if any(row in classic for row in begun) else "")
    known = [f"--{long}" for row in rows for long in row.long]
    return UsageError(message + (meant(f"--{name}", known, 0.75) if len(name) > 2 else ""))


def illegal_option(verb: Verb, table: str, row: Option) -> UsageError:
    """Return the error for an option that a command on a table does not take."""
    message = f"Illegal option `--{row.name}' with this command"
    if options.takes(verb, table, row):
        advice = f"-{verb.short} takes {' or '.join(options.formats(verb))}"
    else:
        verbs = [f"-{each.short}" for each in options.VERBS if options.takes(each, table, row)]
        of = f"the table {table}" if table != CONNTRACK else "this table"
        advice = f"it goes with {' '.join(verbs)}" if verbs else f"nothing takes it for {of}"
    return UsageError(f"{message}: {advice}", classic=message)
