"""What a command found: whole messages in the kernel's order, all that writers and requests need.

Owns no more than holding them; finding is :mod:`.matches`' (and :mod:`.bulk`'s, as columns).
"""

from __future__ import annotations

from ..layout import find
from ..wire.frame import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..columns import Group
    from ..layout import Layout


class Found:
    """Messages that match: `data`, back to back; `count`; whether to handle them as columns.

    `lines`: for --from-file, (index of the message, number of the line) of each hit.
    `groups`: the messages as columns, where they were made already.
    """

    __slots__ = ("count", "data", "groups", "large", "lines")

    def __init__(self, data: bytes, count: int, large: bool) -> None:
        self.data, self.count, self.large = data, count, large
        self.lines: list[tuple[int, int]] = []
        self.groups: list[Group] | None = None

    def items(self) -> list[tuple[Layout, bytes]]:
        """The messages one by one, with their layouts."""
        data = self.data
        out = []
        for pos, length, _, _, _ in split(data):
            message = data[pos : pos + length]
            out.append((find(message), message))
        return out

    def without(self, gone: set[int]) -> Found:
        """Without the messages of these indices."""
        if not gone:
            return self
        kept = [
            self.data[pos : pos + (length + 3 & ~3)]
            for number, (pos, length, _, _, _) in enumerate(split(self.data))
            if number not in gone
        ]
        found = Found(b"".join(kept), len(kept), self.large)
        found.lines = [pair for pair in self.lines if pair[0] not in gone]
        return found
