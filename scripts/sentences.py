"""What the documentation says of each field: the ``#:`` comments above the rows of the schema.

Comments cost nothing when a program starts, and a field stays one place of the schema.
"""

from __future__ import annotations

import re
from inspect import getsource

from pyconntrack.ctnetlink import schema
from pyconntrack.ctnetlink.schema import Attr, Rows

_ROW = re.compile(
    r"""(?:\#:\ (?P<what>[^\n;[]+)(?P<note>;[^\n[]+)?(?:\ \[(?P<unit>[^\n]+)\])?\n\ +)?
        (?:Attr|Nest)\(\d+,\ "(?P<cta>\w+)",\ "(?P<name>\w*)\"""",
    re.VERBOSE,
)


class Sentence:
    """What is said of a row: ``what``, a ``note``, the ``unit``; each may be empty."""

    def __init__(self, what: str, note: str, unit: str) -> None:
        self.what, self.note, self.unit = what, note, unit

    def __str__(self) -> str:
        return f"{self.what}{self.note}."


_SAID = {
    (row["cta"], row["name"]): Sentence(
        (row["what"] or "").strip(), (row["note"] or "").rstrip(), row["unit"] or ""
    )
    for row in _ROW.finditer(getsource(schema))
}


def sentences(rows: Rows, prefix: str = "", of: str = "") -> dict[str, Sentence]:
    """Return field name -> its sentence; raise ValueError for a field without one."""
    found: dict[str, Sentence] = {}
    for row in rows.values():
        said = _SAID[row.cta, row.name]
        name = prefix + row.name
        if not isinstance(row, Attr):
            inner = sentences(row.rows, f"{name}_" if row.name else prefix, said.what or of)
            found = inner | found
        elif name not in found:
            if not said.what:
                raise ValueError(f"{row.cta}: schema.py has no `#:' comment above its row")
            found[name] = Sentence(f"{said.what} {of}".strip(), said.note, said.unit)
    return found
