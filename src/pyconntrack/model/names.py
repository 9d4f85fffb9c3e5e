"""The schema by name: which fields there are, and which of them JSON keeps in objects.

Owns names, no values.
"""

from __future__ import annotations

from ..schema import CONNTRACK, COUNTERS, EXPECT, TUPLE, Attr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..schema import Rows

def flatten(rows: Rows) -> dict[str, tuple[Attr, ...]]:
    """Public field name -> the schema rows that carry it."""
    found: dict[str, tuple[Attr, ...]] = {}
    for name, _, row in _leaves(rows, "", ""):
        found[name] = (*found.get(name, ()), row)
    return found


def _leaves(rows: Rows, prefix: str, group: str) -> Iterator[tuple[str, str, Attr]]:
    """(field name, the JSON object it lies in or "", row) of every leaf, in kernel order."""
    for row in rows.values():
        if isinstance(row, Attr):
            yield prefix + row.name, group, row
        else:
            name = prefix + row.name + "_" if row.name else prefix
            inner = name[:-1] if row.rows is TUPLE or row.rows is COUNTERS else group
            yield from _leaves(row.rows, name, inner)


#: id of the rows -> field name -> schema rows
FIELDS = {id(rows): flatten(rows) for rows in (CONNTRACK, EXPECT, TUPLE)}
#: what tells connections apart, in one direction: the order of Tuple's parameters
TUPLE_NAMES = tuple(FIELDS[id(TUPLE)])
#: id of the rows -> field name -> the JSON object it lies in, or ""
GROUPS = {
    id(rows): {name: group for name, group, _ in _leaves(rows, "", "")}
    for rows in (CONNTRACK, EXPECT)
}
