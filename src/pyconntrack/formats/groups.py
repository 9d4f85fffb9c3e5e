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
    from collections.abc import Sequence
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

    __slots__ = ("_begun", "_cell", "_colour", "_join", "_keys", "_names", "_title", "_widths",
                 "foot", "head")  # fmt: skip

    def __init__(
        self, form: str, keys: Sequence[GroupKey], sums: Sequence[str], *, title: bool = False,
        colour: bool = False,
    ) -> None:  # fmt: skip
        self._keys, self._title, self._colour = keys, title, colour
        self._names = [COUNT, *sums, *(key.name for key in keys)]
        self._widths = [0] * len(self._names)
        self._begun = False
        self.head = self.foot = b""
        self._cell, self._join = {
            "json": (_member, self._objects), "ndjson": (_member, self._objects),
            "csv": (_cell, self._cells),
        }.get(form, (_word, self._aligned))  # fmt: skip
        if form == "json":
            self.head, self.foot = head("groups"), FOOT
        elif form == "csv":
            self.head = (",".join(self._names) + "\n").encode()

    def lines(self, groups: Sequence[Group]) -> bytes:
        """Return the lines of these groups."""
        if not groups:
            return b""
        values, counts, sums = zip(*groups, strict=True)
        columns = [self._texts(column) for column in (counts, *zip(*sums, strict=True))]
        for key, column in zip(self._keys, zip(*values, strict=True), strict=True):
            columns.append(self._texts(column, key))
        text = self._join(columns)
        self._begun = True
        return text.encode("utf-8", "backslashreplace")

    def _texts(self, column: Sequence[Any], key: GroupKey | None = None) -> list[str]:
        """Return the texts of a column; equal values are formatted once."""
        cell = self._cell
        texts = {value: cell(value if key is None else key.shown(value)) for value in {*column}}
        return [texts[value] for value in column]

    def _objects(self, columns: list[list[str]]) -> str:
        between = "," if self.foot else ""
        names = ",".join([string(name).replace("%", "%%") + ":%s" for name in self._names])
        line = f"{between}{{{names}}}\n"
        text = "".join([line % row for row in zip(*columns, strict=True)])
        return text if self._begun else text[len(between) :]

    def _cells(self, columns: list[list[str]]) -> str:
        return "\n".join([",".join(row) for row in zip(*columns, strict=True)]) + "\n"

    def _aligned(self, columns: list[list[str]]) -> str:
        title = self._title and not self._begun
        if title:
            columns = [[name, *texts] for name, texts in zip(self._names, columns, strict=True)]
        # a column never gets narrower
        self._widths = [max(width, *map(len, texts))
                        for width, texts in zip(self._widths, columns, strict=True)]  # fmt: skip
        numbers = len(self._names) - len(self._keys)
        specs = [f"%{width}s" if number < numbers else f"%-{width}s"
                 for number, width in enumerate(self._widths)]  # fmt: skip
        line = "  ".join([*specs[:-1], "%s"])
        lines = [line % row for row in zip(*columns, strict=True)]
        if title and self._colour:
            lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
        return "\n".join(lines) + "\n"


def _word(value: Any) -> str:
    """Return a value for a line."""
    if isinstance(value, list):
        return "|".join(map(str, value)) or "0"
    return "-" if value is None else printable(str(value)) or '""'


def _cell(value: Any) -> str:
    """Return a value for CSV."""
    return "" if value is None else '""' if value == "" else quoted(_word(value))


def _member(value: Any) -> str:
    """Return a value in JSON."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return f"[{','.join(map(_member, value))}]"
    return "null" if value is None else str(value)
