"""Moulds: pack checked values into a message at once.

The first message with certain fields is written attribute by attribute.  It is then the mould of
all messages with the same fields and sizes: their values are packed at once, and all other bytes
are the mould's.  The places of the values are those of its layout; which value goes to which is
known by its name, or from trials for lines of ``-R`` (:mod:`pyconntrack.formats.templates`).

The values are checked before (:mod:`.convert`, or the command's parser).
"""

from __future__ import annotations

from _operator import itemgetter
from struct import error as StructError

from ..errors import RequestError
from ..netlink.messages import message as frame
from ..netlink.messages import nest
from .encode import encode
from .kinds import address
from .layout import find, rows_of
from .schema import Nest
from .vocabulary import FAMILY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from struct import Struct
    from typing import Any

    from .layout import Layout

#: moulds kept; each order of the fields and each size of a text has one
LIMIT = 1024
_moulds: dict[tuple[Any, ...], tuple[Mould, Layout]] = {}


class Mould:
    """A message without the fields that ``struct`` packs; ``order``: the index of each value."""

    __slots__ = ("_constant", "_order", "_pack")

    def __init__(self, message: bytes, struct: Struct, order: Sequence[int]) -> None:
        # itemgetter() makes no tuple of a single item
        self._order = itemgetter(*order) if len(order) > 1 else lambda got: [got[n] for n in order]
        self._pack = struct.pack
        packed = struct.pack(*struct.unpack(message))
        self._constant = int.from_bytes(message) ^ int.from_bytes(packed)

    def fill(self, values: Sequence[Any]) -> int:
        """Return the message with ``values`` as a number; struct.error if one does not fit."""
        return int.from_bytes(self._pack(*self._order(values))) | self._constant


def make(
    kind: int, values: dict[str, Any], family: int, prefix: str = ""
) -> tuple[bytes, Layout]:  # fmt: skip
    """Return a message of type ``kind`` with ``values`` (name, without ``prefix``: raw value), and
    its layout.

    A ``family`` of 0 means that of the addresses.  Raises RequestError if addresses differ in it.
    """
    sizes = []
    for name, value in values.items():
        if value.__class__ is str:
            values[name] = value = value.encode() + b"\0"
        if value.__class__ is bytes:
            sizes.append(len(value))
    key = (kind, family, *values, *sizes)
    known = _moulds.get(key)
    if known is None:
        message, layout = _message(kind, values, family, prefix)
        fields = [prefix + name for name in values]
        order = [fields.index(name) for name in layout.names]
        if len(_moulds) >= LIMIT:
            _moulds.clear()
        known = _moulds[key] = Mould(message, layout.struct, order), layout
    mould, layout = known
    try:
        whole = mould.fill(tuple(values.values()))
    except StructError:  # a number does not fit: raise an error that names the field
        return _message(kind, values, family, prefix)
    message = whole.to_bytes(layout.length)
    if whole & layout.mask != layout.template:  # another protocol
        names, layout = layout.names, find(message)
        if layout.names != names:  # its attributes have other meanings
            message, layout = _message(kind, values, family, prefix)
    return message, layout


def _message(
    kind: int, values: dict[str, Any], family: int, prefix: str
) -> tuple[bytes, Layout]:  # fmt: skip
    family = _family(values, family)
    rows = rows_of(kind)
    if prefix:  # an error names the field without it
        outer = next(row for row in rows.values()
                     if isinstance(row, Nest) and f"{row.name}_" == prefix)  # fmt: skip
        payload = nest(outer.number, encode(outer.rows, values, family)) if values else b""
    else:
        payload = encode(rows, values, family)
    message = frame(kind, 0, 0, family, payload)
    return message, find(message)


def _family(values: dict[str, Any], family: int) -> int:
    """Return the family of all addresses, or ``family`` if there are none."""
    for name, value in values.items():
        if isinstance(value, bytes) and name.endswith(("src", "dst", "addr")):
            here = 2 if len(value) == 4 else 10
            if family not in (0, here):
                words = FAMILY.get(family, f"family {family}")
                if value == values.get(name.replace("_min_", "_max_")):
                    name = name.removesuffix("_min_addr")  # a single address is given by this name
                raise RequestError(f"{name}: {address(value)} is not an {words} address")
            family = here
    return family
