"""The words of a command line before the cursor, as far as they say what may follow."""

from __future__ import annotations

from .. import option_values, options
from ..console import UsageError
from ..options import Option, Verb
from ..parser import meaning

_LETTERS: dict[str, Option | Verb] = {
    row.short: row for row in (*options.OPTIONS, *options.VERBS) if row.short
}
_PROTOCOLS = [(protocol.name, protocol.number) for protocol in options.PROTOCOLS]


class Line:
    """The command and the options among the words read so far.

    ``verb``: the command, or None; ``table``: its table; ``given``: the options; ``protocols``:
    those of -p; ``output``: the words of -o; ``labelmap``: the path of the label map; ``waiting``:
    the row whose value the next word may be.
    """

    def __init__(self, words: list[str]) -> None:
        self.verb: Verb | None = None
        self.table = options.CONNTRACK
        self.given: set[Option] = set()
        self.protocols: tuple[int, ...] = ()
        self.output: list[str] = []
        self.labelmap = options.LABELMAP
        self.waiting: Option | Verb | None = None
        for word in words:
            self._read(word)

    def _read(self, word: str) -> None:
        row, self.waiting = self.waiting, None
        if row is not None and not (optional(row) and word.startswith("-")):
            self._value(row, word)
        elif word.startswith("-"):
            row, fixed = self.begun(word)
            if row is not None:
                self._row(row)
                if fixed < len(word) or word.endswith("="):
                    self._value(row, word[fixed:])
                elif row.arg:
                    self.waiting = row

    def begun(self, word: str) -> tuple[Option | Verb | None, int]:
        """Return the row of the option that ``word`` ends with, and where its value would begin.

        The row is None if the word names no option.
        """
        if word.startswith("--"):
            name, equals, _ = word[2:].partition("=")
            return meaning(name, self.protocols), 2 + len(name) + len(equals)
        for index, letter in enumerate(word[1:], 2):
            row = _LETTERS.get(letter)
            if row is None:
                return None, 0
            attached = word[index:]
            if not attached or (
                row.arg
                if isinstance(row, Option)
                else row.arg == "FILE" or self._is_table(row, attached)
            ):
                return row, index
            self._row(row)
        return None, 0

    def _is_table(self, verb: Verb, text: str) -> bool:
        return any(table.startswith(text) for table in options.tables(verb))

    def _row(self, row: Option | Verb) -> None:
        if isinstance(row, Option):
            self.given.add(row)
        else:
            self.verb = row

    def _value(self, row: Option | Verb, text: str) -> None:
        if isinstance(row, Verb):
            fitting = [table for table in options.tables(row) if text and table.startswith(text)]
            self.table = fitting[0] if fitting else self.table
        elif row.kind == "proto":
            try:
                self.protocols = option_values.protocols(text, _PROTOCOLS)
            except UsageError:
                self.protocols = ()
        elif row.kind == "output":
            self.output += text.split(",")
        elif row.name == "labelmap":
            self.labelmap = text

    def options(self) -> list[Option]:
        """Return the options that the command takes; before a command, those of any."""
        found: dict[Option, None] = {}
        for verb in options.VERBS if self.verb is None else (self.verb,):
            found |= dict.fromkeys(options.together(verb, self.table, self.protocols))
        return list(found)


def optional(row: Option | Verb) -> bool:
    """Return whether the value of an option, or the operand of a command, may be left out."""
    return row.arg.startswith("[")
