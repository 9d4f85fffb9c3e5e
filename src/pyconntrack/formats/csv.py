"""``-o csv``: a header, then one line for each entry, always with the same columns.

An absent value is an empty cell.  The columns are the schema's names of all fields that a listing
or an event can have.
"""

from __future__ import annotations

from time import time_ns

from ..ctnetlink.schema import CONNTRACK, EXPECT, REPORT, names
from ..ctnetlink.vocabulary import FAMILY
from .json import value
from .segments import Call, Total, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..ctnetlink.layout import Layout
    from .segments import Piece


#: the columns before those of an event
EVENT = ["event", "time"]


def columns(*, expect: bool = False) -> list[str]:
    """Return the columns of a document, without those of :data:`EVENT`."""
    return ["family", *names(EXPECT if expect else CONNTRACK, REPORT)]


def head(*, expect: bool, event: bool) -> bytes:
    """Return the header line."""
    return (",".join([*EVENT * event, *columns(expect=expect)]) + "\n").encode()


def event_cells(event: str) -> list[Piece]:
    """Return the segments of the cells before those of an event's entry; [] in a listing."""
    return [event, ",", Call(lambda: str(time_ns())), ","] if event else []


def flow(layout: Layout, event: str = "", *, expect: bool = False) -> list[Piece]:
    """Return the segments for the cells of an entry."""
    out = event_cells(event)
    for number, name in enumerate(columns(expect=expect)):
        if number:
            out.append(",")
        if name == "family" or name in layout.slots:
            out += cell(layout, [name])
    return out


def text(raw: bytes) -> str:
    """Return a string from the kernel as a cell."""
    return quoted(shown(raw))


def quoted(cell: str) -> str:
    """Return the text of a cell (RFC 4180)."""
    if any(char in cell for char in ',"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def cell(
    layout: Layout, names: Sequence[str], string: Callable[[bytes], str] = text
) -> list[Piece]:
    """Return the segments for the value of a field, or for the sum of several; [] for no name.

    ``string`` formats a string from the kernel.
    """
    if len(names) > 1:
        return [Total(None, *names)]
    if "family" in names:
        return [FAMILY.get(layout.family, str(layout.family))]
    return [piece for name in names
            for piece in value(layout, name, "", string, "|".join, nameless=False)]  # fmt: skip
