"""Events by the thousand: many a system call, formatted as columns, to the same lines.

Owns the fast path of -E; :mod:`.watch` goes over to it when events come thick and fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..columns import groups, mask
from ..mmsg import Mmsg
from ..output.bulk import Bulk
from ..wire import consts as c

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ..layout import Layout
    from ..output.pieces import Piece
    from .watch import EventLines

_NEW = c.NLM_F_CREATE | c.NLM_F_EXCL
_EVENTS = ("new", "update", "destroy")


class Bursts:
    """Reads and formats what waits on the socket `fd`."""

    def __init__(self, fd: int, lines: EventLines) -> None:
        self._mmsg = Mmsg(fd)
        self._lines = lines
        self._bulks = {event: Bulk(self._pieces(event)) for event in _EVENTS}

    def _pieces(self, event: str) -> Callable[[Layout], list[Piece]]:
        return lambda layout: self._lines.pieces(layout, event)

    def read(self) -> tuple[bytes, int, int]:
        """(the lines of a burst, their number, how many datagrams there were)."""
        at = self._mmsg.read()
        if not len(at):
            return b"", 0, 0
        words = np.frombuffer(self._mmsg.buffer, np.uint32)
        head = at >> 2
        kinds = words[head + 1]
        event = np.where(kinds & 0xFF == c.IPCTNL_MSG_CT_DELETE, 2,
                         np.where(kinds >> 16 & _NEW, 0, 1))  # fmt: skip
        ports = words[head + 3]
        node = self._lines.node
        out: list[bytes | None] = [None] * len(at)
        for number, name in enumerate(_EVENTS):
            (where,) = np.nonzero(event == number)
            if not len(where):
                continue
            for group in groups(self._mmsg.buffer, at[where]):
                chosen = group if node is None else group.take(mask(node, group))
                if len(chosen):
                    self._fill(out, where[chosen.index], self._bulks[name].lines(chosen), ports)
        found = [line for line in out if line is not None]
        text = b"\n".join(found) + b"\n" if found else b""
        return text, len(found), len(at)

    def _fill(
        self, out: list[bytes | None], where: npt.NDArray[np.int64], lines: list[bytes],
        ports: npt.NDArray[np.uint32],
    ) -> None:  # fmt: skip
        for at, line in zip(where.tolist(), lines, strict=True):
            out[at] = line
        mark = self._lines.mark
        if not self._lines.marks:
            return
        for at in where[ports[where] != 0].tolist():
            line = out[at]
            assert line is not None
            out[at] = line + mark(int(ports[at])).encode()
