"""What may stand at the cursor: options, commands, and the values that are words."""

from __future__ import annotations

import os
import re

from ...ctnetlink import vocabulary
from ...formats import DOCUMENTS
from ...where.fields import FLAGS, field_of
from ...where.values import KEYWORDS
from .. import fields, option_values, options
from ..options import Option, Verb
from ..subcommands import SUBCOMMANDS
from .line import Line, optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Words = Iterable[tuple[str, str]]

#: where namespaces have names (ip-netns(8))
_NETNS = "/run/netns"
#: a name from outside that needs no quotes in any shell
_PLAIN = re.compile(r"[\w@%+.:/][\w@%+.:/-]*", re.ASCII)
#: the characters of a name in an expression, and a field with the operator behind it
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
_COMPARED = re.compile(r"([\w.]+)\s*(?:==?|!=|in\s*\{(?:[^{}]*,)?)\s*$")


class Candidates:
    """The words that may stand at the cursor.

    ``kind``: what follows the word, or ``file``; ``stays``: how many characters of the word that is
    being typed stay; ``words``: each ending of it, with what it means.
    """

    def __init__(self, kind: str, stays: int, words: Words = ()) -> None:
        self.kind, self.stays, self.words = kind, stays, list(words)


def candidates(words: list[str]) -> Candidates:
    """Return the candidates for the last of ``words``, those of a command line."""
    *before, current = words
    if before and before[0] in SUBCOMMANDS:
        return _operands(before, current)
    line = Line(before)
    row = line.waiting
    if row is not None and not (optional(row) and current.startswith("-")):
        found = _values(line, row, current, 0)
        if optional(row) and not current:
            found.words += _named(line, current)
        return found
    named = _named(line, current)
    if not before:
        named += _beginning(((word, what) for word, (_, what) in SUBCOMMANDS.items()), current)
    if not named and current.startswith("-"):
        row, begin = line.begun(current)
        if row is not None and row.arg:
            return _values(line, row, current, begin)
    return Candidates("word", 0, named)


def _beginning(words: Words, start: str) -> list[tuple[str, str]]:
    """Return the words that begin with ``start``, in any case."""
    return [each for each in words if each[0].lower().startswith(start.lower())]


def _named(line: Line, current: str) -> list[tuple[str, str]]:
    """Return the spellings of commands and options that may follow: one of each that fits."""
    rows: list[Option | Verb] = [*line.options()]
    if line.verb is None:
        rows = [*options.VERBS, *(rows if current else ())]
    elif line.verb.name not in ("help", "version"):
        rows.append(options.HELP)
    once = {row for row in line.given if row in options.EXTENSIONS or not row.arg}
    found = []
    for row in rows:
        if row in once:
            continue
        spelt = [f"-{row.short}"] * bool(row.short) + [f"--{long}" for long in row.long]
        fitting = [word for word in spelt if word.startswith(current)]
        found += [(word, row.help) for word in fitting[:1]]
    return found


def _operands(before: list[str], current: str) -> Candidates:
    """Return the candidates behind a subcommand."""
    word, *others = before
    module = __import__(SUBCOMMANDS[word][0], fromlist=["words"])
    words: dict[str, str] = module.words(others)
    return Candidates("word", 0, _beginning(words.items(), current))


def _values(line: Line, row: Option | Verb, current: str, begin: int) -> Candidates:
    """Return the candidates for the value of ``row``, which begins at ``begin`` of ``current``."""
    text = current[begin:]
    if isinstance(row, Option) and row.name == "where":
        word = text[len(text.rstrip(_NAME)) :]
        words = _beginning(_expression(text.removesuffix(word)), word)
        return Candidates("part", len(current) - len(word), words)
    if row.arg == "FILE" or (row.name == "netns" and "/" in text):
        return Candidates("file", begin)
    if isinstance(row, Verb):
        tables = [(table, options.TABLES[table]) for table in options.tables(row)]
        return Candidates("word", begin, _beginning(tables, text))
    source = _WORDS.get(row.name) or (_fields if "FIELD" in row.arg else _WORDS.get(row.kind))
    if source is None:
        return Candidates("word", begin)
    several = "," in row.arg and not (
        line.verb is not None and options.single(line.verb, line.table, row)
    )
    chosen: list[str] = []
    if several:
        *chosen, text = text.split(",")
        begin = len(current) - len(text)
    elif "," in text:
        return Candidates("word", begin)
    words = [(word, what) for word, what in source(line, row, chosen) if word not in chosen]
    for sign in {"sort": "-", "status": "!"}.get(row.kind, ""):
        if text.startswith(sign):
            begin, text = begin + 1, text[1:]
            words = [each for each in words if row.kind == "sort" or options.STATUS[each[0]][0]]
    return Candidates("list" if several else "word", begin, _beginning(words, text))


# -- where words come from ---------------------------------------------------------------


def _fields(line: Line, row: Option, chosen: list[str]) -> Words:
    """Return the fields to show and to sort by: an age is not kept."""
    return [(name, what) for name, what in fields.sentences().items() if name != "age"]


def _counters(line: Line, row: Option, chosen: list[str]) -> Words:
    names = _fields(line, row, chosen)
    return [(name, what) for name, what in names if name.endswith(("bytes", "packets"))]


def _formats(line: Line, row: Option, chosen: list[str]) -> Words:
    """Return the words of -o that go with those that are chosen."""
    before = {*line.output, *chosen}
    if "save" in before:
        return []
    alone = {*DOCUMENTS} if before & {*DOCUMENTS} else set()
    alone |= {"save"} if before else set()
    words = options.OUTPUT if line.verb is None else options.formats(line.verb)
    return [(word, options.OUTPUT[word]) for word in words if word not in alone | before]


def _states(line: Line, row: Option, chosen: list[str]) -> Words:
    """Return the states, or the roles, of the protocols that have them."""
    found: dict[str, str] = {}
    for protocol in options.PROTOCOLS:
        for other in protocol.options:
            if other.name == row.name and line.protocols in ((), (protocol.number,)):
                for word in other.detail[0]:
                    found[word] = (
                        f"{found[word]}, {protocol.name}" if word in found else protocol.name
                    )
    return found.items()


def _labels(line: Line, row: Option, chosen: list[str]) -> Words:
    try:
        bits = option_values.read_labelmap(line.labelmap)
    except OSError:
        return []
    return [(name, f"label {bit}") for name, bit in bits.items() if _PLAIN.fullmatch(name)]


def _namespaces(line: Line, row: Option, chosen: list[str]) -> Words:
    try:
        names = sorted(os.listdir(_NETNS))
    except OSError:
        return []
    return [(name, "network namespace") for name in names if _PLAIN.fullmatch(name)]


def _plain(words: Iterable[str]) -> Callable[[Line, Option, list[str]], Words]:
    return lambda line, row, chosen: [(word, "") for word in words]


#: name or kind of an option -> its words
_WORDS: dict[str, Callable[[Line, Option, list[str]], Words]] = {
    "proto": lambda line, row, chosen: [
        (protocol.name, f"protocol {protocol.number}") for protocol in options.PROTOCOLS
    ],
    "family": _plain(options.FAMILIES),
    "status": _plain(options.STATUS),
    "events": _plain(options.EVENTS),
    "output": _formats,
    "states": _states,
    "any state": _states,
    "choice": _states,
    "labels": _labels,
    "labels?": _labels,
    "netns": _namespaces,
    "sum": _counters,
}


def _expression(text: str) -> Words:
    """Return what an expression may end with: the words of a field that is compared, or any name.

    ``text``: the expression without the word that is being typed.
    """
    compared = _COMPARED.search(text)
    field = field_of(compared[1]) if compared else None
    if field is not None:
        words = [*field.words.values(), *field.bits]
        if field.name == "state":
            words = [word for table in vocabulary.STATES.values() for word in table.values()]
        return [(word, "") for word in dict.fromkeys(words)]
    flags = [(flag, "flag") for flag in FLAGS]
    return [*fields.sentences().items(), *flags, *((word, "") for word in KEYWORDS)]
