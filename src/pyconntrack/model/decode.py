"""Decode many messages: the entries of a batch, and predicates over them."""

from __future__ import annotations

from struct import Struct

from ..ctnetlink.layout import find
from ..ctnetlink.predicates import bind
from ..errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    from ..ctnetlink.layout import Layout
    from ..ctnetlink.predicates import Node
    from .expect import Expect
    from .flow import Flow
    from .stats import CpuStats

    E = TypeVar("E", Flow, Expect, CpuStats)

_LENGTH = Struct("=I").unpack_from


def decode(cls: type[E], data: bytes, end: int, node: Node | None = None) -> Iterator[E]:
    """Yield the entries in ``data[:end]`` that match ``node``, each as a ``cls``.

    Raises :class:`~pyconntrack.DecodeError` if a message is malformed.
    """
    new = cls.__new__
    pos = 0
    while pos < end:
        length = _LENGTH(data, pos)[0]
        if length < 20 or length > end - pos:
            raise DecodeError(f"message at byte {pos}: length {length} of {end - pos}")
        message = data[pos : pos + length]
        pos += length + 3 & ~3
        layout = find(message)
        if node is not None and not meets(node, layout, message):
            continue
        value = new(cls)
        value._layout = layout
        value._message = message
        yield value


def meets(node: Node, layout: Layout, message: bytes) -> bool:
    """Return whether a proven message matches ``node``; the bound test is kept with the layout."""
    kept = layout.writers.get(meets)
    if kept is None or kept[0] is not node:
        kept = layout.writers[meets] = (node, bind(node, layout))
    test = kept[1]
    if isinstance(test, bool):
        return test
    return test(layout.struct.unpack(message))
