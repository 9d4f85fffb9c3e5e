"""What ``--count-by`` prints: lines as by ``uniq -c``, JSON, NDJSON and CSV.

A group is shown as its number of entries, its sums and its fields, in this order in each format.
What is unknown, as the entries lack it, is ``-`` in a line, null in JSON and an empty cell in CSV.
"""

from __future__ import annotations

from ..escape import printable
from .csv import quoted
from .json import FOOT, head, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeAlias

    from .group_keys import GroupKey, Value

    #: the values of the keys, the number of entries, the sums
    Group: TypeAlias = tuple[tuple[Value, ...], int, tuple[int | None, ...]]

COUNT = "count"


class GroupWriter:
    """Format groups; ``head`` and ``foot`` frame the document.

    ``sums``: the names of the sums; ``title``: begin lines with a heading, for a terminal;
    ``colour``: which is bold.
    """

    __slots__ = ("_begun", "_colour", "_format", "_keys", "_names", "_title", "_widths", "foot",
                 "head")  # fmt: skip

    def __init__(
        self, form: str, keys: Sequence[GroupKey], sums: Sequence[str], *, title: bool = False,
        colour: bool = False,
    ) -> None:  # fmt: skip
        self._keys, self._title, self._colour = keys, title, colour
        self._names = [COUNT, *sums, *(key.name for key in keys)]
        self._widths = [0] * len(self._names)
        self._begun = False
        self.head = self.foot = b""
        self._format = {"json": self._json, "ndjson": self._json, "csv": self._csv}.get(
            form, self._text
        )
        if form == "json":
            self.head, self.foot = head("groups"), FOOT
        elif form == "csv":
            self.head = (",".join(self._names) + "\n").encode()

    def lines(self, groups: Iterable[Group]) -> bytes:
        """Return the lines of these groups."""
        rows = []
        for values, count, sums in groups:
            shown = [key.shown(value) for key, value in zip(self._keys, values, strict=True)]
            rows.append([count, *sums, *shown])
        text = self._format(rows) if rows else ""
        self._begun = True
        return text.encode("utf-8", "backslashreplace")

    def _json(self, rows: list[list[Any]]) -> str:
        names = [f"{string(name)}:" for name in self._names]
        between = "," if self.foot else ""
        lines = []
        for row in rows:
            members = [name + _member(value) for name, value in zip(names, row, strict=True)]
            lines.append(f"{between}{{{','.join(members)}}}\n")
        text = "".join(lines)
        return text if self._begun else text[len(between) :]

    def _csv(self, rows: list[list[Any]]) -> str:
        return "".join([",".join([quoted(_text(value)) for value in row]) + "\n" for row in rows])

    def _text(self, rows: list[list[Any]]) -> str:
        cells = [[_text(value) or ("-" if value is None else '""') for value in row]
                 for row in rows]  # fmt: skip
        title = self._title and not self._begun
        if title:
            cells.insert(0, self._names)
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        # a column never gets narrower
        self._widths = list(map(max, self._widths, widths))
        numbers = len(self._names) - len(self._keys)
        specs = [f"%{width}s" if number < numbers else f"%-{width}s"
                 for number, width in enumerate(self._widths)]  # fmt: skip
        line = "  ".join([*specs[:-1], "%s"])
        lines = [line % tuple(row) for row in cells]
        if title and self._colour:
            lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
        return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    """Return a value as text; "" for None."""
    if isinstance(value, list):
        return "|".join(map(str, value)) if value else "0"
    return "" if value is None else printable(str(value))


def _member(value: Any) -> str:
    """Return a value in JSON."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return f"[{','.join(map(_member, value))}]"
    return "null" if value is None else str(value)
