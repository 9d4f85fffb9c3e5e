"""A batch of messages as text, the way that a command makes it of a dump's windows."""

from __future__ import annotations

from collections.abc import Callable

from pyconntrack.columnar.columns import Bools, Group, groups, selected, starts
from pyconntrack.columnar.render import Bulk


def formatted(
    bulk: Bulk, data: bytes | bytearray, select: Callable[[Group], Bools] | None = None,
    window: int = 8192,
) -> tuple[bytes, int]:  # fmt: skip
    """The lines of the messages that ``select`` takes, ``window`` at a time, and their number."""
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
