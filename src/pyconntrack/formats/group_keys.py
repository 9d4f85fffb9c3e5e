"""The fields by which entries are counted: how each is read from a layout, and how it is shown.

The value of a key is the same for all entries that are shown alike, and only for those: a number,
the packed bytes of an address (masked to its prefix), the text of a string, the numbers of the
labels, or None where an entry lacks the field.  The words of states are numbered across protocols,
as ESTABLISHED is one group whether of TCP or of SCTP.
"""

from __future__ import annotations

from ..ctnetlink.convert import json_converter
from ..ctnetlink.field_names import FIELDS
from ..ctnetlink.kinds import address, label_numbers
from ..ctnetlink.schema import CONNTRACK
from ..ctnetlink.vocabulary import FAMILY as FAMILIES
from ..ctnetlink.vocabulary import STATES
from ..netlink.messages import text
from ..where.fields import ADDRESS, FAMILY, LABEL, STATE, STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from ..ctnetlink.layout import Layout
    from ..ctnetlink.schema import Rows
    from ..where.fields import Field

    Value: TypeAlias = int | bytes | str | tuple[int, ...] | None

#: the words of all states; a state's number is its place, or 256 and more without a word
STATE_WORDS = tuple(dict.fromkeys(word for words in STATES.values() for word in words.values()))
#: state field -> the number of each of its 256 values
STATE_NUMBERS = {
    name: [STATE_WORDS.index(words[n]) if n in words else 256 + n for n in range(256)]
    for name, words in STATES.items()
}


class GroupKey:
    """A field to group by.

    ``name``: as it was typed; ``lengths``: size of an address in bytes -> length of the prefix that
    counts, empty for whole addresses; ``rows``: the schema of the entries.
    """

    __slots__ = ("_show", "field", "lengths", "masks", "name", "size")

    def __init__(
        self, name: str, field: Field, lengths: Mapping[int, int] | None = None,
        rows: Rows = CONNTRACK,
    ) -> None:  # fmt: skip
        self.name, self.field, self.lengths = name, field, lengths or {}
        #: size of an address -> the mask of its prefix
        self.masks = {size: (1 << 8 * size) - (1 << 8 * size - length)
                      for size, length in self.lengths.items()}  # fmt: skip
        #: bytes of the largest number
        self.size = 1
        convert = None
        if field.kind not in (FAMILY, STATE):
            attrs = FIELDS[id(rows)][field.names[0]]
            self.size = max(row.kind.size for row in attrs)
            convert = json_converter(attrs[0])
        self._show = convert or (lambda value: value)

    def reader(self, layout: Layout) -> Callable[[tuple[Any, ...]], Value] | None:
        """Return the function from raw values to the key's value; None if the layout lacks it."""
        if self.field.kind == FAMILY:
            family = layout.family
            return lambda raw: family
        names = self.field.within(layout)
        if not names:
            return None
        places = [layout.names.index(name) for name in names]
        place = places[0]
        if self.field.kind == STATE:
            numbers = STATE_NUMBERS[names[0]]
            return lambda raw: numbers[raw[place]]
        if len(places) > 1:
            return lambda raw: sum([raw[place] for place in places])
        convert = self.of_bytes(layout.slots[names[0]].size)
        return (lambda raw: raw[place]) if convert is None else (lambda raw: convert(raw[place]))

    def of_bytes(self, size: int) -> Callable[[bytes], Value] | None:
        """Return the function from ``size`` raw bytes to the key's value; None for none."""
        if self.field.kind == STRING:
            return text
        if self.field.kind == LABEL:
            return lambda raw: tuple(label_numbers(raw))
        mask = self.masks.get(size) if self.field.kind == ADDRESS else None
        if mask is None:
            return None
        return lambda raw: (int.from_bytes(raw) & mask).to_bytes(size)

    def shown(self, value: Value) -> Any:
        """Return the JSON form of the key's value."""
        if value is None:
            return None
        if isinstance(value, bytes):
            length = self.lengths.get(len(value))
            return address(value) if length is None else f"{address(value)}/{length}"
        if isinstance(value, str):
            return value
        if isinstance(value, tuple):
            return list(value)
        if self.field.kind == STATE:
            return STATE_WORDS[value] if value < 256 else value - 256
        if self.field.kind == FAMILY:
            return FAMILIES.get(value, value)
        return self._show(value)


def sort_key(value: Value) -> Any:
    """Return what orders the values of one key: IPv4 before IPv6, numbers, texts and labels."""
    return (len(value), value) if isinstance(value, bytes) else value
