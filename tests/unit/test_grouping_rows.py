"""Rows with equal keys are found without sorting: the same groups as by a dict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.columnar import arrangement
from pyconntrack.columnar.arrangement import grouped, members
from support.tables import flow_table

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 2)))


def columns(rows: list[tuple[int, int]]) -> list[np.ndarray]:
    first, second = zip(*rows, strict=True) if rows else ((), ())
    return [np.array(first, np.uint8), np.array(second, np.uint64)]


@pytest.mark.parametrize("bits", [0, 1, 20])
@given(rows=ROWS)
def test_groups_are_those_of_a_dict(bits: int, rows: list[tuple[int, int]]) -> None:
    """Also where nearly all keys share a hash: with few bits many rounds are needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrangement, "_BITS", bits)
        first, place = grouped(columns(rows), len(rows))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(rows))}
    assert place.tolist() == [numbers[row] for row in rows]
    assert first.tolist() == [rows.index(key) for key in numbers]


@given(st.lists(st.sampled_from([None, 1, 2, 3])), st.integers(1, 5))
def test_members_are_the_rows_of_large_groups(marks: list[int | None], least: int) -> None:
    table = flow_table(len(marks), zone=marks)
    want: dict[int | None, list[int]] = {}
    for row, mark in enumerate(marks):
        want.setdefault(mark, []).append(row)
    found = [rows.tolist() for rows in members(table, ["zone"], least)]
    assert sorted(found) == sorted(rows for rows in want.values() if len(rows) >= least)
    assert [len(rows) for rows in found] == sorted(map(len, found), reverse=True)
