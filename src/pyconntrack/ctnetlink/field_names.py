"""The fields of the schema by name, and the JSON objects that hold them."""

from __future__ import annotations

from .schema import CONNTRACK, EXPECT, TUPLE, leaves
from .vocabulary import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .schema import Attr, Rows


def flatten(rows: Rows) -> dict[str, tuple[Attr, ...]]:
    """Return public field name -> the leaves of ``rows`` that carry it."""
    found: dict[str, tuple[Attr, ...]] = {}
    for name, _, row in leaves(rows):
        found[name] = (*found.get(name, ()), row)
    return found


def number_name(name: str, row: Attr) -> str:
    """Return the name of the number of a field whose value is a word, or of the bits of flags."""
    return f"{name}_bits" if row.words in FLAGS else f"{name}_number"


#: id of the rows -> field name -> schema rows
FIELDS = {id(rows): flatten(rows) for rows in (CONNTRACK, EXPECT, TUPLE)}
#: the fields of a tuple, in the order of Tuple's parameters
TUPLE_NAMES = tuple(FIELDS[id(TUPLE)])
#: id of the rows -> field name -> the JSON object it lies in, or ""
GROUPS = {
    id(rows): {name: group for name, group, _ in leaves(rows)} for rows in (CONNTRACK, EXPECT)
}
#: id of the rows -> the JSON objects that hold fields
OBJECTS = {key: frozenset(groups.values()) - {""} for key, groups in GROUPS.items()}
