"""Columns of words, sets and addresses: they compare as values, and never are silently False."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyconntrack import Flow, FlowTable, RequestError, Tuple, Unknown
from pyconntrack.columnar import table_columns
from pyconntrack.columnar.table_columns import ADDRESS, COLUMNS, FLAG, WORD

FLOWS = [
    Flow(Tuple("10.0.0.1", "10.0.0.2", "tcp", 1, 80), status=["ASSURED"], tcp_state="ESTABLISHED"),
    Flow(Tuple("10.0.0.1", "10.0.0.2", 99), status=["ASSURED", "SEEN_REPLY", 1 << 20]),
    Flow(Tuple("2001:db8::1", "2001:db8::2", "udp", 1, 53), status=[]),
    Flow(Tuple("10.0.0.3", "10.0.0.2", "tcp", 1, 80), status=1 << 20, tcp_state=200),
]


@pytest.fixture
def table() -> FlowTable:
    data = b"".join(flow.message for flow in FLOWS)
    return FlowTable.from_batches([(data, len(data))])


def test_words_compare_as_values(table: FlowTable) -> None:
    proto, state = table["orig_proto"], table["tcp_state"]
    assert (proto == "tcp").tolist() == [True, False, False, True]
    assert (proto != "tcp").tolist() == [False, True, True, False]
    assert (state == "ESTABLISHED").tolist() == [True, False, False, False]
    # as in expressions, a comparison with a field that a row lacks is false
    assert (state != "ESTABLISHED").tolist() == [False, False, False, True]
    assert (state == None).tolist() == [False, True, True, False]  # noqa: E711
    assert (state != None).tolist() == [True, False, False, True]  # noqa: E711
    assert (proto == Unknown("proto", 99)).tolist() == [False, True, False, False]
    assert (proto == "99").tolist() == [False, True, False, False]
    assert proto.isin(["udp", "tcp"]).tolist() == [True, False, True, True]
    assert not proto.isin([]).any()


def test_values_are_those_of_flows(table: FlowTable) -> None:
    for name in ("orig_proto", "tcp_state", "status", "orig_src", "family", "dccp_role"):
        want = [getattr(flow, name) for flow in FLOWS]
        column: Any = table[name]
        assert column.tolist() == list(column) == np.asarray(column).tolist() == want
        assert [column[row] for row in range(4)] == want
        assert column[[2, 0]].tolist() == [want[2], want[0]]
        assert column[1:3].tolist() == want[1:3]
        assert column[np.array([True, False, False, True])].tolist() == [want[0], want[3]]
        assert column[-1] == want[-1]
        assert len(column) == 4
        assert "4 rows" in repr(column)
        with pytest.raises(IndexError):
            column[4]
        with pytest.raises(TypeError, match="unhashable"):
            hash(column)


def test_codes_number_the_categories(table: FlowTable) -> None:
    proto = table["orig_proto"]
    assert proto.categories[:3] == ("icmp", "tcp", "udp")
    assert proto.categories[-1] == "99"
    assert [proto.categories[code] for code in proto.codes.tolist()] == ["tcp", "99", "udp", "tcp"]
    state = table["tcp_state"]
    assert state.codes.tolist() == [3, -1, -1, 10]
    assert state.categories[3] == "ESTABLISHED"
    # the same whatever the rows have
    assert table[:0]["tcp_state"].categories == state.categories[:-1]


def test_sets_are_asked_for_words(table: FlowTable) -> None:
    status = table["status"]
    assert status.has("ASSURED").tolist() == [True, True, False, False]
    assert status.has("ASSURED", "SEEN_REPLY").tolist() == [False, True, False, False]
    assert status.has_any("SEEN_REPLY", Unknown("status", 1 << 20)).tolist() == [
        False, True, False, True,
    ]  # fmt: skip
    assert (status == {"ASSURED"}).tolist() == [True, False, False, False]
    assert (status != {"ASSURED"}).tolist() == [False, True, True, True]
    assert (status == frozenset()).tolist() == [False, False, True, False]
    assert status.isin([frozenset({"ASSURED"}), frozenset()]).tolist() == [True, False, True, False]
    codes, lengths, words = status.items()
    assert lengths.tolist() == [1, 3, 0, 1]
    assert [words[code] for code in codes.tolist()] == [
        "ASSURED", "SEEN_REPLY", "ASSURED", "1048576", "1048576",
    ]  # fmt: skip


def test_addresses_compare_in_every_form(table: FlowTable) -> None:
    src = table["orig_src"]
    for form in ("10.0.0.1", ipaddress.ip_address("10.0.0.1"), bytes([10, 0, 0, 1])):
        assert (src == form).tolist() == [True, True, False, False]
    assert (src == "2001:DB8:0::1").tolist() == [False, False, True, False]
    assert not (src == "a00:1::").any()  # the bytes of 10.0.0.1, of the other family
    assert src.isin(["10.0.0.3", "2001:db8::1"]).tolist() == [False, False, True, True]
    assert not (src == table["orig_dst"]).any()
    assert (src == src).all()
    assert src.packed.shape == (4, 16)


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda t: t["orig_proto"] == "tpc", RequestError, "do you mean `tcp'"),
        (lambda t: t["orig_proto"] != "TCP", RequestError, "do you mean `tcp'"),
        (lambda t: t["orig_proto"].isin(["tcp", "upd"]), RequestError, "do you mean `udp'"),
        (lambda t: t["orig_proto"].isin("tcp"), TypeError, "a list of values is wanted"),
        (lambda t: t["orig_proto"] == "6", RequestError, "'6' is none of icmp, tcp"),
        (lambda t: t["orig_proto"] == 6, TypeError, "numbers are in orig_proto_number"),
        (lambda t: t["tcp_state"] == "ESTABLISHD", RequestError, "do you mean `ESTABLISHED'"),
        (lambda t: t["tcp_state"] == t["orig_proto"], TypeError, "have different words"),
        (lambda t: t["tcp_state"] == t["orig_src"], TypeError, "differ"),
        (lambda t: t["status"] == "ASSURED", TypeError, ".has('ASSURED')"),
        (lambda t: t["status"] == 4, TypeError, ".has(4)"),
        (lambda t: t["status"].has("ASURED"), RequestError, "do you mean `ASSURED'"),
        (lambda t: t["status"].has(4), TypeError, "numbers are in status_bits"),
        (lambda t: t["orig_src"] == "10.0.0", RequestError, "an IPv4 or IPv6 address is wanted"),
        (lambda t: t["orig_src"] == 5, RequestError, "orig_src: an IPv4 or IPv6 address"),
        (
            lambda t: t["orig_proto"] == Unknown("tcp_state", 99), TypeError,
            "orig_proto: a word is wanted, not Unknown('tcp_state', 99)",
        ),
    ],
)  # fmt: skip
def test_what_no_row_can_have_is_an_error(
    ask: Any, error: type[Exception], said: str, table: FlowTable
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        ask(table)


def test_the_declared_names_are_those_of_the_schema() -> None:
    declared = {"Word": WORD, "Flags": FLAG, "Address": ADDRESS}
    text = Path(table_columns.__file__).read_text(encoding="utf-8")
    for name, form in declared.items():
        inside = re.search(rf"\n    {name} = Literal\[(.*?)\]", text, re.S)
        assert inside is not None
        names = set(re.findall(r'"(\w+)"', inside[1]))
        assert names == {column.name for column in COLUMNS.values() if column.form == form}
    assert all(c.dtype == np.uint8 for c in COLUMNS.values() if c.form == WORD)
