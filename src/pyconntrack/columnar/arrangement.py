"""Orders and groups of the rows of a FlowTable: which row comes where, and sums of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .table_columns import NUMBER, TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .columns import Column, Ints
    from .flow_table import FlowTable


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
            halves = np.ascontiguousarray(array).view(">u8").astype(np.uint64)
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

    ``flows`` is the number of rows.  Raises TypeError for a column of ``sums`` without numbers.
    """
    keys, count = sort_keys(table, names), len(table)
    rows = order(keys, count)
    new = np.zeros(count, np.bool_)
    new[:1] = True
    for key in keys:
        ordered = key[rows]
        new[1:] |= ordered[1:] != ordered[:-1]
    edges = np.flatnonzero(new)
    added: dict[str, Column] = {"flows": np.diff(edges, append=count).astype(np.uint64)}
    for name in sums:
        column = table._column(name)
        if column.form != NUMBER:
            raise TypeError(f"{name} is not a number")
        wide = table._array(column)[rows].astype(np.uint64)
        added[name] = np.add.reduceat(wide, edges) if count else wide
    return rows[edges], added
