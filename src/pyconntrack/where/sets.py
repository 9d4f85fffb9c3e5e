"""Sets of values in predicates: sorted ranges of numbers, networks of addresses."""

from __future__ import annotations

Ranges = list[tuple[int, int]]

#: every IPv4 and every IPv6 address
ANY = ((b"\0" * 4, b"\0" * 4), (b"\0" * 16, b"\0" * 16))


def union(ranges: Ranges) -> Ranges:
    """Return ``ranges`` sorted and joined, without empty ones."""
    found: Ranges = []
    for low, high in sorted(ranges):
        if low > high:
            continue
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def between(first: bytes, last: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fewest networks (address, mask) that hold all addresses from ``first`` on."""
    size = len(first)
    every = (1 << 8 * size) - 1
    low, high = int.from_bytes(first), int.from_bytes(last)
    found = []
    while low <= high:
        # the largest block that begins here: by its alignment, and by what is left
        block = min(low & -low or every + 1, 1 << (high - low + 1).bit_length() - 1)
        found.append((low.to_bytes(size), (every - block + 1).to_bytes(size)))
        low += block
    return found


def rest(ranges: Ranges, limit: int) -> Ranges:
    """Return the complement of sorted ``ranges`` in 0..limit."""
    found, start = [], 0
    for low, high in ranges:
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    if start <= limit:
        found.append((start, limit))
    return found
