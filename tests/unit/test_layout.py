"""Layouts: cached = uncached, and broken messages are DecodeErrors and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import DecodeError, Flow, Tuple
from pyconntrack.ctnetlink import layout
from pyconntrack.ctnetlink.constants import (
    ct_msg,
    exp_msg,
)
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.layout import Layout, find
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT
from pyconntrack.model import plain
from pyconntrack.netlink.messages import attr, message
from support.messages import messages

FLOW = Flow(
    Tuple("10.0.0.1", "10.0.0.2", "tcp", 1000, 80), Tuple("10.0.0.2", "10.0.0.1", "tcp", 80, 1000),
    mark=5, status=["ASSURED", "SEEN_REPLY"], tcp_state="ESTABLISHED", timeout=60, helper="ftp",
)  # fmt: skip


ANY = st.one_of(messages(CONNTRACK, ct_msg(0)), messages(EXPECT, exp_msg(0)))


@given(ANY)
def test_cached_and_uncached_layouts_agree(data: bytes) -> None:
    fresh = Layout(data, layout.rows_of(int.from_bytes(data[4:6], "little")))
    found = find(data)
    assert found is find(data)
    assert find(data) is found
    assert found.values(data) == fresh.values(data)
    assert found.names == fresh.names
    assert plain(found, data) == plain(fresh, data)


@given(messages(CONNTRACK, ct_msg(0)))
def test_decode_then_encode_gives_the_same_values(data: bytes) -> None:
    found = find(data)
    values = found.values(data)
    again = message(ct_msg(0), 0, 7, found.family, encode(CONNTRACK, values, found.family))
    assert find(again).values(again) == values


@given(ANY, st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4))
def test_mutated_bytes_give_a_value_or_a_decode_error(
    data: bytes, changes: list[tuple[int, int]]
) -> None:
    raw = bytearray(data)
    for at, value in changes:
        raw[at % len(raw)] = value
    mutated = bytes(raw)
    try:
        found = find(mutated)
        found.values(mutated)
        plain(found, mutated)
    except DecodeError:
        pass


@given(ANY, st.integers(0, 4000))
def test_a_message_cut_short_gives_a_value_or_a_decode_error(data: bytes, end: int) -> None:
    cut = data[: end % len(data)]
    try:
        found = find(cut)
        found.values(cut)
    except DecodeError:
        pass


@given(st.binary(max_size=200))
def test_noise_gives_a_value_or_a_decode_error(data: bytes) -> None:
    try:
        find(data).values(data)
    except DecodeError:
        pass


def test_the_same_length_is_not_the_same_shape() -> None:
    one = message(ct_msg(0), 0, 0, 2, attr(8, b"\0\0\0\1"))
    two = message(ct_msg(0), 0, 0, 2, attr(7, b"\0\0\0\1"))
    assert find(one).values(one) == {"mark": 1}
    assert find(two).values(two) == {"timeout": 1}


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CACHE_LIMIT", 10)
    monkeypatch.setattr(layout, "_cache", {})
    monkeypatch.setattr(layout, "_cached", 0)
    for size in range(100):
        find(message(ct_msg(0), 0, 0, 2, attr(200, bytes(size))))
    assert sum(map(len, layout._cache.values())) <= 10


def test_unknown_attributes_are_kept() -> None:
    data = FLOW.message + attr(77, b"new!")
    data = len(data).to_bytes(4, "little") + data[4:]
    flow = Flow.from_message(data)
    assert flow.unknown == (((77,), b"new!"),)
    assert flow.mark == 5
    assert flow.to_dict()["unknown"] == [{"path": [77], "data": b"new!".hex()}]
    assert Flow.from_dict(flow.to_dict()).unknown == flow.unknown
    assert flow.replace(mark=6).unknown == flow.unknown


def test_a_foreign_message_type_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="not ctnetlink's"):
        find(message(0x0900, 0, 0, 2))
