"""Orders and groups of the rows of a FlowTable: which row comes where, and sums of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .table_columns import NUMBER, TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .columns import Column, Ints
    from .flow_table import FlowTable

#: odd, and its bits without a pattern: 2**64 divided by the golden ratio
_FACTOR = 0x9E3779B97F4A7C15
#: hashes have so many bits at most: the table of their first rows then fits a cache
_BITS = 20


def sort_keys(
    table: FlowTable, names: Sequence[str], *, descending: bool = False
) -> list[Column]:  # fmt: skip
    """Return the keys to sort by the columns ``names``, least significant first.

    Rows that lack a field come last in both directions.
    """
    keys: list[Column] = []
    for name in reversed(names):
        column = table._column(name)
        array = table._array(column)
        own: list[Column]
        if array.ndim == 2:
            halves = np.ascontiguousarray(array).view(">u8")
            own = [halves[:, 1], halves[:, 0], table._family()]
        elif array.dtype == object:
            distinct = sorted({value for value in array.tolist() if value is not None})
            number = {value: place for place, value in enumerate(distinct)}
            own = [np.array([number.get(value, 0) for value in array.tolist()], np.uint32)]
        else:
            own = [array.view(np.int64) if column.form == TIME else array]
        keys += [~key for key in own] if descending else own
        keys.append(~table._present(column))
    return keys


def order(keys: Sequence[Column], count: int) -> Ints:
    """Return the order of ``count`` rows by ``keys``, a stable one."""
    return np.lexsort(keys) if keys else np.arange(count)


def group_sums(
    table: FlowTable, names: Sequence[str], sums: Sequence[str]
) -> tuple[Ints, dict[str, Column]]:
    """Return the first row of each group by the columns ``names``, and their sums by name.

    The groups are in the order of their keys; ``flows`` is the number of rows.  Raises TypeError
    for a column of ``sums`` without numbers.
    """
    keys = sort_keys(table, names)
    first, place = grouped(keys, len(table))
    rank = order([key[first] for key in keys], len(first))
    added: dict[str, Column] = {
        "flows": np.bincount(place, minlength=len(first)).astype(np.uint64)[rank]
    }
    for name in sums:
        column = table._column(name)
        if column.form != NUMBER:
            raise TypeError(f"{name} is not a number")
        total = np.zeros(len(first), np.uint64)
        np.add.at(total, place, table._array(column).astype(np.uint64))
        added[name] = total[rank]
    return first[rank], added


def members(table: FlowTable, names: Sequence[str], least: int = 1) -> list[Ints]:
    """Return the rows of each group by the columns ``names`` with at least ``least`` rows.

    The largest group is first, among equals the one whose first row is.
    """
    first, place = grouped(sort_keys(table, names), len(table))
    count = np.bincount(place, minlength=len(first))
    large = np.flatnonzero(count >= least)
    number = np.full(len(first), len(large), np.uint16 if len(large) < 1 << 16 else np.uint32)
    number[large] = np.arange(len(large))
    rows = np.argsort(number[place], kind="stable")  # of 16 bits: a radix sort
    parts = np.split(rows, np.cumsum(count[large]))[:-1]
    return sorted(parts, key=len, reverse=True)


def grouped(keys: Sequence[Column], count: int) -> tuple[Ints, Ints]:
    """Return the first row of each group of ``count`` rows with equal ``keys``, in rising order,
    and for each row the place of its group there.

    No sort: each row is compared with the first one that has the same hash.  Those that differ,
    which share a hash by chance, are grouped again by another one.
    """
    varying = [key for key in keys if count and (key[0] != key).any()]
    leader = np.zeros(count, np.intp)
    rows, factor = np.arange(count if varying else 0), _FACTOR
    own = varying
    while len(rows):
        bits = min(max(len(rows).bit_length(), 4), _BITS)
        mixed = np.zeros(len(rows), np.uint64)
        for key in own:
            mixed ^= key.astype(np.uint64, copy=False)  # a time may be negative
            mixed *= np.uint64(factor)
            mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(factor)
        code = (mixed >> np.uint64(64 - bits)).astype(np.intp)
        holder = np.empty(1 << bits, np.intp)
        holder[code[::-1]] = rows[::-1]  # of equal codes the last assignment counts
        found = holder[code]
        same = np.ones(len(rows), np.bool_)
        for key, values in zip(varying, own, strict=True):
            same &= key[found] == values
        leader[rows[same]] = found[same]
        rows = rows[~same]
        own = [key[rows] for key in varying]
        factor = factor * _FACTOR & (1 << 64) - 1
    head = leader == np.arange(count)
    first = np.flatnonzero(head)
    return first, (np.cumsum(head) - 1)[leader]
