"""Tables of text by number, from which :mod:`.lanes` takes the text of a lane.

Each is made when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.segments import Scale
    from .columns import Column, Ints

Values = npt.NDArray[Any]

_tables: dict[str, Values] = {}


def table_of(name: str) -> Values:
    """Return a table by name.

    Each entry has up to seven bytes of text, and their number in the eighth.  ``decimal``: 65,536
    numbers; ``leading``: the same, "" for 0; ``last``: 0 to 9,999, then the same with leading
    zeros; ``middle``: the same, "" for 0; ``octets``: "a.b" by two octets in memory order;
    ``hex``: ":abcd" by the same; ``first``: without the colon; ``zeros``: (8, 256) the text of a
    part that is zero, by part and by which parts are zero.
    """
    table = _tables.get(name)
    if table is None:
        table = _tables[name] = _MAKERS[name]()
    return table


def words(texts: list[bytes]) -> Values:
    """Return texts of at most seven bytes as entries of a table."""
    return np.frombuffer(b"".join([t.ljust(7, b"\0") + bytes((len(t),)) for t in texts]), np.uint64)


def codes_of(scale: Scale) -> Values:
    """Return the texts of a scale below its end, as entries of a table by :func:`code_of`."""
    table = _scales.get(scale)
    if table is None:
        limits = [*[limit for limit, _ in scale.steps], scale.end]
        numbers = [
            number
            for at, (limit, unit) in enumerate(scale.steps)
            for number in range(limit, limits[at + 1], unit)
        ]
        table = _scales[scale] = words([scale.text(number).encode() for number in numbers])
    return table


def code_of(scale: Scale, column: Column) -> Ints:
    """Return the indexes of numbers, (n,) unsigned, in the table of a scale; from the scale's end
    on the length of that table."""
    steps = [(limit, unit) for limit, unit in scale.steps]
    begins, above = [], 0
    for at, (limit, unit) in enumerate(steps):
        begins.append(above - limit // unit)
        above += ((steps[at + 1][0] if at + 1 < len(steps) else scale.end) - limit) // unit
    limits = np.array([limit for limit, _ in steps[1:]], np.uint64)
    step = np.searchsorted(limits, column.astype(np.uint64), side="right")
    units = np.array([unit for _, unit in steps], np.uint64)
    code: Ints = (column // units[step]).astype(np.intp) + np.array(begins, np.intp)[step]
    return np.minimum(code, above)


_scales: dict[Scale, Values] = {}


def _numerals(count: int, width: int, base: int, *, padded: bool = False) -> Values:
    """Return the numbers below ``count`` in at most ``width`` digits, as entries of a table."""
    signs = np.frombuffer(b"0123456789abcdef", np.uint8)
    out = np.zeros((count, 8), np.uint8)
    low = 0
    for size in range(1, width + 1):
        high = min(base**size, count)
        if padded and size < width:
            continue
        left = np.arange(low, high)
        for place in range(size - 1, -1, -1):
            above = left // base
            out[low:high, place] = signs[left - above * base]
            left = above
        out[low:high, 7] = size
        low = high
    return out.view(np.uint64)[:, 0]


def _by_memory(table: Values) -> Values:
    """Convert a table by number to one by the number's two bytes in network byte order."""
    if not np.little_endian:
        return table
    return np.ascontiguousarray(table.reshape(256, 256).T).reshape(65536)


def _octets() -> Values:
    octet = _numerals(256, 3, 10).view(np.uint8).reshape(256, 8)
    pairs = np.zeros((256, 256, 8), np.uint8)
    for low, high, length in ((0, 10, 1), (10, 100, 2), (100, 256, 3)):  # of the first octet
        pairs[low:high, :, :length] = octet[low:high, None, :length]
        pairs[low:high, :, length] = ord(".")
        pairs[low:high, :, length + 1 : length + 4] = octet[:, :3]
        pairs[low:high, :, 7] = octet[:, 7] + np.uint8(length + 1)
    return _by_memory(pairs.view(np.uint64).reshape(65536))


def _hex() -> Values:
    plain = _numerals(65536, 4, 16).view(np.uint8).reshape(65536, 8)
    out = np.zeros((65536, 8), np.uint8)
    out[:, 0] = ord(":")
    out[:, 1:5] = plain[:, :4]
    out[:, 7] = plain[:, 7] + np.uint8(1)
    return _by_memory(out.view(np.uint64)[:, 0])


def _zeros() -> Values:
    entries = []
    for number in range(8):
        for pattern in range(256):
            bits = f"{pattern:08b}"
            length = max(map(len, bits.split("0")))
            begin = bits.index("1" * length) if length > 1 else 8
            if begin <= number < begin + length:
                entries.append(b":" if number in (begin, 7) else b"")
            else:
                entries.append(b":0" if number else b"0")
    return words(entries).reshape(8, 256)


def _without_zero(name: str) -> Values:
    table = table_of(name).copy()
    table[0] = 0
    return table


_MAKERS: dict[str, Callable[[], Values]] = {
    "decimal": lambda: _numerals(65536, 5, 10),
    "leading": lambda: _without_zero("decimal"),
    "last": lambda: np.concatenate(
        [_numerals(10_000, 4, 10), _numerals(10_000, 4, 10, padded=True)]
    ),
    "middle": lambda: _without_zero("last"),
    "octets": _octets,
    "hex": _hex,
    "first": lambda: _by_memory(_numerals(65536, 4, 16)),
    "zeros": _zeros,
}
