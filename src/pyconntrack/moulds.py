"""Moulds: from checked values to the message that carries them, packed at once.

The first message with certain fields is written attribute by attribute.  Its layout then is a
mould for all that have the same fields and sizes: their values are packed at once, and the
headers between them are the mould's.

The values were checked before (:mod:`.convert`, or the command's parser).
"""

from __future__ import annotations

from _operator import itemgetter
from struct import error as StructError

from .convert import FAMILIES
from .encode import encode
from .errors import RequestError
from .fields import address
from .layout import find, rows_of
from .wire.frame import message as frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .layout import Layout

    #: the order of the values, the layout, the headers
    Mould = tuple[Callable[[Any], Any], Layout, int]

#: moulds kept; each order of the fields and each size of a text has one
LIMIT = 1024
_moulds: dict[tuple[Any, ...], Mould] = {}


def make(
    kind: int, values: dict[str, Any], family: int, prefix: str = ""
) -> tuple[bytes, Layout]:  # fmt: skip
    """A message of type `kind` with `values` (`prefix` + name: raw value), and its layout.

    A family of 0 is that of the addresses.  Raises RequestError where they are of another one.
    """
    sizes = []
    for name, value in values.items():
        if value.__class__ is str:
            values[name] = value = value.encode() + b"\0"
        if value.__class__ is bytes:
            sizes.append(len(value))
    key = (kind, family, *values, *sizes)
    mould = _moulds.get(key)
    if mould is None:
        mould = _mould(kind, values, family, prefix)
        if len(_moulds) >= LIMIT:
            _moulds.clear()
        _moulds[key] = mould
    order, layout, headers = mould
    try:
        packed = layout.struct.pack(*order(tuple(values.values())))
    except StructError:  # a number that does not fit: it names the field
        return _message(kind, values, family, prefix)
    whole = int.from_bytes(packed) | headers
    message = whole.to_bytes(layout.length)
    if whole & layout.mask != layout.template:  # another protocol
        names, layout = layout.names, find(message)
        if layout.names != names:  # which gives the attributes another meaning
            message, layout = _message(kind, values, family, prefix)
    return message, layout


def _mould(kind: int, values: dict[str, Any], family: int, prefix: str) -> Mould:
    message, layout = _message(kind, values, family, prefix)
    names = [prefix + name for name in values]
    places = [names.index(name) for name in layout.names]
    order = itemgetter(*places) if len(places) > 1 else tuple
    packed = layout.struct.pack(*order(tuple(values.values())))
    return order, layout, int.from_bytes(message) ^ int.from_bytes(packed)


def _message(
    kind: int, values: dict[str, Any], family: int, prefix: str
) -> tuple[bytes, Layout]:  # fmt: skip
    family = _family(values, family)
    named = {prefix + name: value for name, value in values.items()}
    message = frame(kind, 0, 0, family, encode(rows_of(kind), named, family))
    return message, find(message)


def _family(values: dict[str, Any], family: int) -> int:
    """The family of all addresses."""
    for name, value in values.items():
        if isinstance(value, bytes) and name.endswith(("src", "dst", "addr")):
            here = 2 if len(value) == 4 else 10
            if family not in (0, here):
                words = FAMILIES.get(family, f"family {family}")
                raise RequestError(f"{name}: {address(value)} is not an {words} address")
            family = here
    return family
