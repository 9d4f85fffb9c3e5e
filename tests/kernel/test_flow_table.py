"""A table says what its messages say."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.reference import json_schema

from pyconntrack import Flow
from pyconntrack.columnar import columns
from pyconntrack.columnar.flow_table import FlowTable
from pyconntrack.columnar.predicates import mask
from pyconntrack.columnar.table_columns import ADDRESS, COLUMNS, DEFAULT
from pyconntrack.ctnetlink.constants import (
    AF_INET,
    AF_INET6,
    ct_msg,
)
from pyconntrack.ctnetlink.kinds import address
from pyconntrack.ctnetlink.predicates import In
from pyconntrack.errors import DecodeError, RequestError
from pyconntrack.formats import csv
from pyconntrack.formats.json import OBJECT
from pyconntrack.netlink.messages import attr, message, nest
from support.messages import SEQ, batch

FLOWS = st.builds(batch, st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 30))


def expected(each: bytes) -> dict[str, Any]:
    """The values of Flow's attributes, as far as they are columns."""
    entry = Flow.from_message(each)
    values: dict[str, Any] = {}
    for name in DEFAULT:
        value = getattr(entry, name)
        if name.startswith("timestamp_") and value is not None:
            value = np.datetime64(value, "ns") if value < 2**63 else None
        elif COLUMNS[name].form == ADDRESS and value is not None:
            # made up messages have addresses of the other family, too
            raw = (entry.raw(name) or b"").ljust(16, b"\0")
            value = address(raw if entry.family_number == AF_INET6 else raw[:4])
        if value is not None:
            values[name] = value
    return values


def built(messages: list[bytes], parts: int = 1, **options: Any) -> FlowTable:
    size = -(-len(messages) // parts) or 1
    joined = [b"".join(messages[at : at + size]) for at in range(0, len(messages), size)]
    return FlowTable.from_batches([(data, len(data)) for data in joined], **options)


@given(FLOWS, st.integers(1, 4))
def test_rows_have_the_values_of_flows(messages: list[bytes], parts: int) -> None:
    want = [expected(each) for each in messages]
    for few in (1, 12):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(columns, "FEW", few)
            table = built(messages, parts)
        assert len(table) == len(messages)
        assert table.to_dicts() == want
    assert table.columns == DEFAULT
    for name in table.columns:
        assert table.mask(name).tolist() == [name in row for row in want]
    assert list(table.rows("family")) == [(row["family"],) for row in want]


@given(FLOWS)
def test_numbers_beside_words_are_those_of_flows(messages: list[bytes]) -> None:
    names = [name for name in COLUMNS if name.endswith(("_number", "_bits"))]
    assert len(names) == 9
    table = built(messages, columns=names)
    for entry, row in zip(map(Flow.from_message, messages), table, strict=True):
        assert row == tuple(getattr(entry, name) for name in names)


@given(FLOWS)
def test_concat_is_one_behind_the_other(messages: list[bytes]) -> None:
    half = len(messages) // 2
    both = FlowTable.concat([built(messages[:half]), built(messages[half:])])
    assert both.to_dicts() == built(messages).to_dicts()


@given(FLOWS)
def test_a_table_is_made_of_the_columns_of_another(messages: list[bytes]) -> None:
    table = built(messages)
    numbers = {name: table.mask(name) for name in table.columns}
    again = FlowTable({name: table[name] for name in table.columns}, numbers)
    assert again.to_dicts() == table.to_dicts()


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
    assert table["family"].tolist() == ["ipv4", "ipv4", "ipv6", "ipv4", "ipv6"]
    assert table["family_number"].tolist() == [2, 2, 10, 2, 10]
    assert table["orig_src_packed"].shape == (5, 16)
    assert table["orig_src_packed"][0].tobytes() == A + bytes(12)
    assert table["orig_sport"].dtype == np.uint16
    assert table["orig_sport"].tolist() == [1, 2, 3, 4, 0]
    assert table.mask("orig_sport").tolist() == [True] * 4 + [False]
    assert table.mask("mark").tolist() == [True, False, False, True, True]
    assert table["helper"].tolist() == [None, "ftp", None, "sip", None]
    assert "mark" in table
    assert "5 rows" in repr(table)


def test_a_column_without_values_is_there_and_takes_no_memory(table: FlowTable) -> None:
    assert table["zone"].tolist() == [0] * 5
    assert not table.mask("zone").any()
    assert table["zone"].dtype == np.uint16
    assert table["labels"].tolist() == [None] * 5
    assert table["tcp_state"].tolist() == [None] * 5
    assert np.isnat(table["timestamp_start"]).all()
    many = built([flow(A, 1, 100)] * 10_000)
    # the addresses, protocol and port, counters, and the shape
    assert many.nbytes == 10_000 * (16 + 16 + 1 + 2 + 8 + 8 + 4)
    assert many["zone"].strides == many["reply_src_packed"].strides[:1] == (0,)


def test_the_default_columns_are_those_of_csv() -> None:
    head = csv.head(expect=False, event=False).decode().strip()
    assert FlowTable.from_batches([]).columns == tuple(head.split(","))


def test_names_are_those_of_json_and_of_flow() -> None:
    members = {(OBJECT.get(name, ""), name) for name in DEFAULT}
    flow = json_schema()["$defs"]["flow"]["properties"]
    named = {("", name) for name, member in flow.items() if "properties" not in member}
    for group, member in flow.items():
        named |= {(group, f"{group}_{name}") for name in member.get("properties", ())}
    assert members == named - {("", "unknown")}
    assert [name for name in COLUMNS if not hasattr(Flow, name)] == [
        name for name in COLUMNS if name.endswith("_packed")
    ]


def test_columns_are_those_asked_for_in_their_order(table: FlowTable) -> None:
    names = ("mark", "orig_src_packed", "tcp_state_number", "orig_src", "status_bits")
    for rows in ([flow(A, 1, 100, mark=7)], []):
        some = built(rows, columns=iter(names))
        assert some.columns == names
    assert table.select(*names).columns == names
    assert built([flow(A, 1, 1)], columns=[]).columns == ()
    assert len(built([flow(A, 1, 1)] * 3, columns=[])) == 3


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["mark", "orig_scr"], "no column 'orig_scr': do you mean `orig_src'"),
        (["tcp_sate_number"], "do you mean `tcp_state_number'"),
        (["src_nat_min_addr"], "no column 'src_nat_min_addr'"),  # only ever requested
        (["mark", "zone", "mark"], "'mark' is given twice"),
        ("mark", "a list of names is wanted, not 'mark'"),
        (5, "a list of names is wanted, not 5"),
        ([5], "no column 5"),
    ],
)
def test_a_name_that_is_no_column_is_refused(names: Any, said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        FlowTable.from_batches([], columns=names)


def test_a_column_that_the_table_lacks_is_named(table: FlowTable) -> None:
    with pytest.raises(KeyError, match="do you mean `orig_src'"):
        table["orig_scr"]
    with pytest.raises(KeyError, match="without the column 'zone': add it to columns="):
        table.select("mark")["zone"]
    for use in (table.mask, table.sort, table.group_sum, table.select, table.rows):
        with pytest.raises(KeyError, match="do you mean"):
            use("orig_byte")


def test_other_messages_than_those_of_flows_are_refused() -> None:
    with pytest.raises(DecodeError, match="not that of a flow"):
        built(batch(1, 1, 3, expect=True))


def test_times_are_datetimes(table: FlowTable) -> None:
    def stamped(start: int, stop: int | None) -> bytes:
        body = attr(1, start.to_bytes(8)) + (b"" if stop is None else attr(2, stop.to_bytes(8)))
        return message(ct_msg(0), 2, SEQ, AF_INET, nest(20, body))

    some = built([stamped(1_700_000_000_123_456_789, 1_700_000_060_000_000_000), stamped(5, None)])
    assert str(some["timestamp_start"][0]) == "2023-11-14T22:13:20.123456789"
    assert some["timestamp_start"].dtype == np.dtype("M8[ns]")
    assert np.isnat(some["timestamp_stop"]).tolist() == [False, True]
    took = some["timestamp_stop"] - some["timestamp_start"]
    assert took[0] // np.timedelta64(1, "s") == 59
    assert some.sort("timestamp_start")["timestamp_start"][0] == np.datetime64(5, "ns")
    assert some.sort("timestamp_stop", descending=True).mask("timestamp_stop").tolist() == [
        True,
        False,
    ]
    with pytest.raises(TypeError):
        some.group_sum([], "timestamp_start")


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
    assert sums["orig_src"].tolist() == ["10.0.0.1", "10.0.0.2", "fe80::1"]
    assert sums["flows"].tolist() == [2, 1, 2]
    assert sums["orig_bytes"].tolist() == [150, 2**40, 6]
    assert sums["orig_bytes"].dtype == np.uint64
    assert sums.sort("orig_bytes", descending=True).to_dicts()[0] == {
        "orig_src": "10.0.0.2",
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
    assert table.group_sum("orig_proto").to_dicts() == [{"orig_proto": "tcp", "flows": 5}]
    with pytest.raises(TypeError):
        table.group_sum("mark", "helper")


def test_only_some_columns_and_rows() -> None:
    messages = [flow(A, number, number, mark=number % 3) for number in range(100)]
    few = built(
        messages, 3, columns=["mark", "orig_sport"],
        select=lambda group: mask(In("mark", (1, 2)), group), expect=10,
    )  # fmt: skip
    assert few.columns == ("mark", "orig_sport")
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
    for table in (FlowTable.from_batches([]), FlowTable.concat([]), FlowTable({})):
        assert len(table) == 0
        assert table.to_dicts() == []
        assert list(table) == []
        assert len(FlowTable.concat([table, table])) == 0
        assert len(table.sort([])) == 0
    assert FlowTable.concat([]).columns == DEFAULT
    assert len(FlowTable.from_batches([]).group_sum("orig_src", "orig_bytes")) == 0
    with pytest.raises(DecodeError):
        FlowTable.from_batches([(b"1234", 4)])


def test_tables_of_different_columns_are_not_joined(table: FlowTable) -> None:
    with pytest.raises(RequestError, match=r"differ in 1 columns \(zone\).*columns="):
        FlowTable.concat([table.select("mark", "zone"), table.select("mark")])
    with pytest.raises(RequestError, match=r"71 columns \(dccp_handshake_seq, .*, \.\.\.\)"):
        FlowTable.concat([table, table.select("mark")])
    turned = FlowTable.concat([table.select("mark", "zone"), table.select("zone", "mark")])
    assert turned.columns == ("mark", "zone")
    assert turned["mark"].tolist() == table["mark"].tolist() * 2
    sums = table.group_sum("orig_src", "orig_bytes")
    assert FlowTable.concat([sums, sums])["flows"].tolist() == [2, 1, 2] * 2


def test_masks_of_given_columns() -> None:
    table = FlowTable(
        {"a": np.arange(4, dtype=np.uint32), "b": np.arange(4, dtype=np.uint32)},
        {"a": np.array([1, 0, 1, 0], np.bool_), "b": np.array([1, 1, 0, 0], np.bool_)},
    )
    assert table.to_dicts() == [{"a": 0, "b": 0}, {"b": 1}, {"a": 2}, {}]
    assert FlowTable({"helper": ["ftp", None]}).to_dicts() == [{"helper": "ftp"}, {}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mark": [1, 2], "zone": [1]}, "zone: 1 rows, not 2"),
        ({"orig_proto": ["tcp"]}, "orig_proto: a column of a table is wanted"),
        ({"mine": ["a"]}, "mine: a column that is no field holds numbers"),
    ],
)
def test_columns_that_do_not_fit_are_refused(given: Any, said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        FlowTable(given)
