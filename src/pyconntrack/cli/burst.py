"""Events by the thousand: many a system call, formatted as columns, to the same lines.

The fast path of -E; :mod:`.watch` goes over to it when events come thick and fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..columns import Group, groups, mask
from ..errors import DecodeError
from ..event_stream import kind_of
from ..mmsg import Mmsg
from .bulk import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from .watch import EventLines


class Bursts:
    """Reads and formats what waits on the socket ``fd``."""

    def __init__(self, fd: int, lines: EventLines) -> None:
        self._mmsg = Mmsg(fd)
        self._lines = lines

    def recv(self) -> int:
        """Receive what waits; return how many datagrams there were.

        Raises BlockingIOError where there was none, and :class:`~pyconntrack.KernelError` with
        ENOBUFS after a loss.
        """
        number = self._mmsg.receive()
        if not number:
            raise BlockingIOError
        return number

    def read(self, number: int) -> Iterator[tuple[bytes, int] | DecodeError]:
        """Yield the lines of the ``number`` datagrams that were received, and how many they are.

        A datagram that cannot be read is a :class:`DecodeError` before them.
        """
        try:
            yield self._format(self._mmsg.messages(number))
        except DecodeError:
            yield from self._lines.read(map(bytes, self._mmsg.views(number)))

    def _format(self, offsets: npt.NDArray[np.int64]) -> tuple[bytes, int]:
        words = np.frombuffer(self._mmsg.buffer, np.uint32)
        head = offsets >> 2
        types, ports = words[head + 1], words[head + 3]  # type and flags, port id
        node = self._lines.node
        out: list[bytes | None] = [None] * len(offsets)
        rest = np.arange(len(offsets))
        while len(rest):  # one round for each kind of event
            same = types[rest] == types[rest[0]]
            where, rest = rest[same], rest[~same]
            event = kind_of(*types[where[:1]].view(np.uint16).tolist())
            for group in groups(self._mmsg.buffer, offsets[where]):
                chosen = group if node is None else group.take(mask(node, group))
                if len(chosen):
                    alone = Group(chosen.layout, chosen.rows, np.arange(len(chosen)))
                    text = self._lines.texts[event](Columns([alone], len(chosen)))
                    self._fill(out, where[chosen.index], text.split(b"\n")[:-1], ports)
        found = [line for line in out if line is not None]
        return b"\n".join(found) + b"\n" if found else b"", len(found)

    def _fill(
        self, out: list[bytes | None], where: npt.NDArray[np.int64], lines: list[bytes],
        ports: npt.NDArray[np.uint32],
    ) -> None:  # fmt: skip
        for at, line in zip(where.tolist(), lines, strict=True):
            out[at] = line
        if not self._lines.marks:
            return
        for at in where[ports[where] != 0].tolist():
            line = out[at]
            assert line is not None
            out[at] = line + self._lines.mark(int(ports[at])).encode()
