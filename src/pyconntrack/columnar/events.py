"""Format thousands of events as columns, to the same lines as one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ctnetlink.event_stream import kind_of
from .columns import Group, groups
from .predicates import mask
from .selection import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    import numpy.typing as npt

    from ..ctnetlink.predicates import Node

    class EventText(Protocol):
        """The parts of an event's line: a predicate, text by kind, a process's mark."""

        node: Node | None
        marks: bool

        @property
        def texts(self) -> Mapping[str, Callable[[Columns], bytes]]:
            """Return the formatter of entries for each kind of event."""

        def mark(self, portid: int, /) -> str:
            """Return the text that follows an event caused by a process."""


def event_lines(buffer: bytearray, starts: range, text: EventText) -> tuple[bytes, int]:
    """Return the lines of the messages at ``starts`` of ``buffer``, and how many they are."""
    offsets = np.arange(starts.start, starts.stop, starts.step)
    words = np.frombuffer(buffer, np.uint32)
    head = offsets >> 2
    types, ports = words[head + 1], words[head + 3]  # type and flags, port id
    out: list[bytes | None] = [None] * len(offsets)
    rest = np.arange(len(offsets))
    while len(rest):  # one round for each kind of event
        same = types[rest] == types[rest[0]]
        where, rest = rest[same], rest[~same]
        event = kind_of(*types[where[:1]].view(np.uint16).tolist())
        for group in groups(buffer, offsets[where]):
            chosen = group if text.node is None else group.take(mask(text.node, group))
            if len(chosen):
                alone = Group(chosen.layout, chosen.rows, np.arange(len(chosen)))
                lines = text.texts[event](Columns([alone], len(chosen))).split(b"\n")[:-1]
                _fill(out, where[chosen.index], lines, ports, text)
    found = [line for line in out if line is not None]
    return b"\n".join(found) + b"\n" if found else b"", len(found)


def _fill(
    out: list[bytes | None], where: npt.NDArray[np.intp], lines: list[bytes],
    ports: npt.NDArray[np.uint32], text: EventText,
) -> None:  # fmt: skip
    for at, line in zip(where.tolist(), lines, strict=True):
        out[at] = line
    if not text.marks:
        return
    for at in where[ports[where] != 0].tolist():
        line = out[at]
        assert line is not None
        out[at] = line + text.mark(int(ports[at])).encode()
