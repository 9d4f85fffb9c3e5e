"""Format a batch of messages as a command formats the windows of a dump."""

from __future__ import annotations

from collections.abc import Callable

from pyconntrack.columnar.columns import Bools, Group, groups, selected, starts
from pyconntrack.columnar.render import Bulk


def formatted(
    bulk: Bulk, data: bytes | bytearray, select: Callable[[Group], Bools] | None = None,
    window: int = 8192,
) -> tuple[bytes, int]:  # fmt: skip
    """Return the lines of the messages that ``select`` takes, by ``window``, and their number."""
    at = starts(data, len(data))
    text, count = b"", 0
    for low in range(0, len(at), window):
        places = at[low : low + window]
        shapes = groups(data, places)
        lines, number = bulk.render(
            shapes if select is None else selected(shapes, select), len(places)
        )
        text, count = text + lines, count + number
    return text, count
