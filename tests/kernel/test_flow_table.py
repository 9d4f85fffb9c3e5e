"""A table says what its messages say."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.columnar import columns
from pyconntrack.columnar.flow_table import FlowTable
from pyconntrack.columnar.predicates import mask
from pyconntrack.ctnetlink.constants import (
    AF_INET,
    AF_INET6,
    ct_msg,
)
from pyconntrack.ctnetlink.kinds import address
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.predicates import In
from pyconntrack.errors import DecodeError
from pyconntrack.netlink.messages import attr, message, nest
from support.messages import BATCHES, SEQ


def expected(each: bytes) -> dict[str, Any]:
    layout = find(each)
    values: dict[str, Any] = {"family": layout.family, **layout.values(each)}
    for name, slot in layout.slots.items():
        if slot.kind.name in ("IPV4", "IPV6"):
            packed = values[name]
            if layout.family == AF_INET6 and len(packed) == 4:
                packed += bytes(12)
            values[name] = address(packed[: 16 if layout.family == AF_INET6 else 4])
    return values


def built(messages: list[bytes], parts: int = 1, **options: Any) -> FlowTable:
    size = -(-len(messages) // parts) or 1
    joined = [b"".join(messages[at : at + size]) for at in range(0, len(messages), size)]
    return FlowTable.from_batches([(data, len(data)) for data in joined], **options)


@given(BATCHES, st.integers(1, 4))
def test_rows_are_the_messages(messages: list[bytes], parts: int) -> None:
    want = [expected(each) for each in messages]
    for few in (1, 12):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(columns, "FEW", few)
            table = built(messages, parts)
        assert len(table) == len(messages)
        assert table.to_dicts() == want
    assert set(table.columns) == {name for row in want for name in row}
    for name in table.columns:
        assert table.mask(name).tolist() == [name in row for row in want]
    assert list(table.rows("family")) == [(row["family"],) for row in want]


@given(BATCHES)
def test_concat_is_one_behind_the_other(messages: list[bytes]) -> None:
    half = len(messages) // 2
    both = FlowTable.concat([built(messages[:half]), built(messages[half:])])
    assert both.to_dicts() == built(messages).to_dicts()


@given(BATCHES)
def test_arrow_says_the_same(messages: list[bytes]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = built(messages)
    read = pyarrow.table(table)
    read.validate(full=True)
    want = [{name: row.get(name) for name in table.columns} for row in table.to_dicts()]
    assert read.to_pylist() == want


def flow(
    src: bytes, sport: int | None, octets: int, *, mark: int | None = None, helper: str = ""
) -> bytes:
    family, at = (AF_INET, 1) if len(src) == 4 else (AF_INET6, 3)
    protocol = attr(1, b"\6")
    if sport is not None:
        protocol += attr(2, sport.to_bytes(2))
    body = nest(1, nest(1, attr(at, src) + attr(at + 1, src[::-1])) + nest(2, protocol))
    body += nest(9, attr(1, (1).to_bytes(8)) + attr(2, octets.to_bytes(8)))
    if mark is not None:
        body += attr(8, mark.to_bytes(4))
    if helper:
        body += nest(5, attr(1, helper.encode() + b"\0"))
    return message(ct_msg(0), 2, SEQ, family, body)


A, B, C6 = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\xfe\x80" + bytes(13) + b"\1"


@pytest.fixture
def table() -> FlowTable:
    return built(
        [
            flow(A, 1, 100, mark=7),
            flow(B, 2, 2**40, helper="ftp"),
            flow(C6, 3, 5),
            flow(A, 4, 50, mark=0, helper="sip"),
            flow(C6, None, 1, mark=2),
        ]
    )


def test_columns(table: FlowTable) -> None:
    assert len(table) == 5
    assert table["family"].tolist() == [2, 2, 10, 2, 10]
    assert table["orig_src"].shape == (5, 16)
    assert table["orig_src"][0].tobytes() == A + bytes(12)
    assert table["orig_sport"].dtype == np.uint16
    assert table["orig_sport"].tolist() == [1, 2, 3, 4, 0]
    assert table.mask("orig_sport").tolist() == [True] * 4 + [False]
    assert table.mask("mark").tolist() == [True, False, False, True, True]
    assert not table.mask("nonsense").any()
    assert table["helper"].tolist() == [None, "ftp", None, "sip", None]
    assert "mark" in table
    assert "zone" not in table
    with pytest.raises(KeyError):
        table["zone"]
    assert "5 rows" in repr(table)
    assert table.nbytes > 5 * 32


def test_addresses(table: FlowTable) -> None:
    want = ["10.0.0.1", "10.0.0.2", "fe80::1", "10.0.0.1", "fe80::1"]
    assert table.addresses("orig_src").tolist() == want
    assert table[:0].addresses("orig_src").tolist() == []
    with pytest.raises(TypeError):
        table.addresses("mark")


def test_selection(table: FlowTable) -> None:
    assert table[table["orig_bytes"] > 60]["orig_bytes"].tolist() == [100, 2**40]
    assert table[1:3]["orig_sport"].tolist() == [2, 3]
    assert table[::-1]["orig_sport"].tolist() == [0, 4, 3, 2, 1]
    assert table[[3, 0]]["orig_sport"].tolist() == [4, 1]
    assert len(table[[]]) == 0
    assert table[[4]].to_dicts()[0].keys().isdisjoint({"orig_sport", "helper"})
    with pytest.raises(TypeError):
        table[0]  # type: ignore[call-overload]


def test_sort(table: FlowTable) -> None:
    assert table.sort("orig_bytes")["orig_bytes"].tolist() == [1, 5, 50, 100, 2**40]
    down = table.sort("orig_bytes", descending=True)
    assert down["orig_bytes"].tolist() == [2**40, 100, 50, 5, 1]
    # what lacks the field comes last, equal rows keep their order
    assert table.sort("mark")["orig_bytes"].tolist() == [50, 1, 100, 2**40, 5]
    assert table.sort("mark", descending=True)["orig_bytes"].tolist() == [100, 1, 50, 2**40, 5]
    assert table.sort("helper")["helper"].tolist() == ["ftp", "sip", None, None, None]
    by = table.sort(["orig_src", "orig_bytes"])
    assert by["orig_bytes"].tolist() == [50, 100, 2**40, 1, 5]
    assert table.sort([]).to_dicts() == table.to_dicts()


def test_group_sum(table: FlowTable) -> None:
    sums = table.group_sum("orig_src", ["orig_bytes", "orig_packets"])
    assert sums.addresses("orig_src").tolist() == ["10.0.0.1", "10.0.0.2", "fe80::1"]
    assert sums["flows"].tolist() == [2, 1, 2]
    assert sums["orig_bytes"].tolist() == [150, 2**40, 6]
    assert sums["orig_bytes"].dtype == np.uint64
    assert sums.sort("orig_bytes", descending=True).to_dicts()[0] == {
        "orig_src": "10.0.0.2",
        "family": 2,
        "flows": 1,
        "orig_bytes": 2**40,
        "orig_packets": 1,
    }
    marks = table.group_sum("mark").to_dicts()
    assert marks == [
        {"mark": 0, "flows": 1},
        {"mark": 2, "flows": 1},
        {"mark": 7, "flows": 1},
        {"flows": 2},
    ]
    assert table.group_sum(["helper", "family"])["flows"].tolist() == [1, 1, 1, 2]
    assert len(table[:0].group_sum("orig_src", "orig_bytes")) == 0
    assert table.group_sum([], "orig_bytes")["orig_bytes"].tolist() == [2**40 + 156]
    with pytest.raises(TypeError):
        table.group_sum("mark", "helper")


def test_only_some_columns_and_rows() -> None:
    messages = [flow(A, number, number, mark=number % 3) for number in range(100)]
    few = built(
        messages, 3, columns=["mark", "orig_sport"],
        select=lambda group: mask(In("mark", (1, 2)), group), expect=10,
    )  # fmt: skip
    assert few.columns == ("family", "orig_sport", "mark")
    assert few["orig_sport"].tolist() == [n for n in range(100) if n % 3]


def test_selected_rows_of_several_shapes_keep_their_order() -> None:
    messages = [flow(A if number % 2 else C6, number, number, mark=number) for number in range(100)]
    some = built(messages, 2, select=lambda group: mask(In("mark", (30, 70)), group))
    assert some["mark"].tolist() == list(range(30, 71))


def test_growing_and_wider_counters() -> None:
    narrow = nest(9, attr(3, (9).to_bytes(4)))
    wide = nest(9, attr(1, (2**40).to_bytes(8)))
    rows = [message(ct_msg(0), 2, SEQ, AF_INET, narrow)] * 5000
    rows += [message(ct_msg(0), 2, SEQ, AF_INET, wide)] * 5000
    table = built(rows, 4)
    assert table["orig_packets"].tolist() == [9] * 5000 + [2**40] * 5000
    both = FlowTable.concat([built(rows[:3]), built(rows[-3:])])
    assert both["orig_packets"].tolist() == [9] * 3 + [2**40] * 3


def test_nothing() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    for table in (FlowTable.from_batches([]), FlowTable.concat([]), FlowTable({})):
        assert len(table) == 0
        assert table.to_dicts() == []
        assert pyarrow.table(table).num_rows == 0
        assert len(FlowTable.concat([table, table])) == 0
    with pytest.raises(DecodeError):
        FlowTable.from_batches([(b"1234", 4)])


def test_masks_of_given_columns() -> None:
    table = FlowTable(
        {"a": np.arange(4, dtype=np.uint32), "b": np.arange(4, dtype=np.uint32)},
        {"a": np.array([1, 0, 1, 0], np.bool_), "b": np.array([1, 1, 0, 0], np.bool_)},
    )
    assert table.to_dicts() == [{"a": 0, "b": 0}, {"b": 1}, {"a": 2}, {}]


def test_pandas(table: FlowTable) -> None:
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert frame["orig_bytes"].sum() == 2**40 + 156
    assert frame["mark"].isna().tolist() == [False, True, True, False, False]
    assert frame["orig_src"].tolist() == table.addresses("orig_src").tolist()
    assert str(frame["mark"].dtype) == "UInt32"


def test_polars(table: FlowTable) -> None:
    pytest.importorskip("polars")
    frame = table.to_polars()
    assert frame["orig_src"].to_list() == table.addresses("orig_src").tolist()
    assert frame["mark"].to_list() == [7, None, None, 0, 2]
    assert frame["helper"].to_list() == table["helper"].tolist()


def test_duckdb(table: FlowTable) -> None:
    duckdb = pytest.importorskip("duckdb")
    pyarrow = pytest.importorskip("pyarrow")
    flows = pyarrow.table(table)
    found = duckdb.sql("select orig_src, sum(orig_bytes) from flows group by 1 order by 2")
    assert flows.num_rows == 5
    assert found.fetchall() == [("fe80::1", 6), ("10.0.0.1", 150), ("10.0.0.2", 2**40)]


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("nanoarrow", lambda table: table.__arrow_c_stream__(), "arrow"),
        ("pandas", lambda table: table.to_pandas(), "pandas"),
        ("polars", lambda table: table.to_polars(), "polars"),
    ],
)
def test_a_missing_extra_is_named(
    module: str, use: Any, extra: str, table: FlowTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pyconntrack\[{extra}\]"):
        use(table)
