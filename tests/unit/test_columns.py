"""Batches as columns decide and decode exactly as single messages do."""

from __future__ import annotations

import random
from struct import pack_into
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.columnar import columns
from pyconntrack.columnar.columns import Group, groups, starts
from pyconntrack.columnar.predicates import mask
from pyconntrack.ctnetlink import predicates
from pyconntrack.ctnetlink.constants import (
    AF_INET,
    ct_msg,
)
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.predicates import Node, bind
from pyconntrack.errors import DecodeError
from pyconntrack.netlink.messages import attr, message, nest
from support.messages import BATCHES, NODES, SEQ, entry


@pytest.fixture(params=[1, 12], ids=["matrices", "mixed"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows a group needs to be a matrix."""
    number = int(request.param)
    monkeypatch.setattr(columns, "FEW", number)
    return number


def split(messages: list[bytes]) -> list[Group]:
    data = b"".join(messages)
    at = starts(data, len(data))
    assert at.tolist() == np.cumsum([0, *map(len, messages[:-1])]).tolist()
    return groups(data, at)


@pytest.mark.usefixtures("few")
class TestGroups:
    @given(BATCHES)
    def test_each_message_is_in_one_group_with_its_values(self, messages: list[bytes]) -> None:
        seen = {}
        for group in split(messages):
            layout = group.layout
            columns_ = [group.raw(name) for name in layout.names]
            assert group.messages() == [messages[number] for number in group.index]
            assert group.index.tolist() == sorted(group.index.tolist())
            for row, number in enumerate(group.index.tolist()):
                assert number not in seen
                seen[number] = tuple(column[row] for column in columns_)
                assert find(messages[number]) is layout
                assert seen[number] == layout.unpack(messages[number])
        assert len(seen) == len(messages)

    @given(BATCHES, st.randoms(use_true_random=False))
    def test_hostile_bytes_raise_decode_error_or_give_values(
        self, messages: list[bytes], chance: random.Random
    ) -> None:
        data = bytearray(b"".join(messages))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data))
            if chance.random() < 0.5:
                at &= ~3
            data[at] = chance.choice((0, 1, 3, 4, 8, 255, chance.randrange(256)))
        end = len(data) if chance.random() < 0.7 else chance.randrange(len(data) + 1)
        try:
            found = groups(data, starts(data, end))
        except DecodeError:
            return
        for group in found:
            for name in group.layout.names:
                assert len(group.raw(name)) == len(group)

    @given(BATCHES, st.data())
    def test_predicates_decide_as_for_single_messages(
        self, messages: list[bytes], data: st.DataObject
    ) -> None:
        node = data.draw(NODES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(predicates, "now", lambda: 10**18)
            self.decide(node, messages)

    def decide(self, node: Node, messages: list[bytes]) -> None:
        for group in split(messages):
            test = bind(node, group.layout)
            got = mask(node, group)
            assert got.dtype == bool
            want = [
                test if isinstance(test, bool) else bool(test(group.layout.unpack(each)))
                for each in group.messages()
            ]
            assert got.tolist() == want


class TestStarts:
    def test_nothing(self) -> None:
        assert starts(b"", 0).tolist() == []
        assert groups(b"", starts(b"", 0)) == []

    def test_what_lies_behind_the_end_is_not_read(self) -> None:
        one = entry(1, 2)
        data = memoryview(bytearray(one * 3 + b"\xff" * 13))
        assert len(starts(data, 3 * len(one))) == 3

    def test_a_message_that_imitates_headers_inside(self) -> None:
        inner = attr(22, message(ct_msg(0), 2, SEQ, AF_INET))
        data = b"".join([message(ct_msg(0), 2, SEQ, AF_INET, inner)] * 5)
        assert len(starts(data, len(data))) == 5

    def test_flags_may_change_within_a_dump(self) -> None:
        data = b"".join(message(ct_msg(0), flags, SEQ, AF_INET) for flags in (2, 0x12, 2))
        assert len(starts(data, len(data))) == 3

    def test_different_senders_and_types(self) -> None:
        data = b"".join(message(ct_msg(kind), 2, seq, AF_INET) for kind, seq in ((0, 1), (2, 0)))
        assert len(starts(data, len(data))) == 2
        kinds = [group.messages()[0][4] for group in groups(data, starts(data, len(data)))]
        assert sorted(kinds) == [0, 2]

    def test_equal_shapes_of_two_message_types_are_two_groups(self) -> None:
        kinds = [0, 2, 0] * 20
        found = split([message(ct_msg(kind), 2, SEQ, AF_INET) for kind in kinds])
        assert sorted((group.messages()[0][4], len(group)) for group in found) == [(0, 40), (2, 20)]
        for group in found:
            assert {each[4] for each in group.messages()} == {group.messages()[0][4]}

    @pytest.mark.parametrize("length", [0, 1, 15, 24, 2**31, 2**32 - 1, 2**32 - 3])
    def test_hostile_lengths(self, length: int) -> None:
        data = bytearray(message(ct_msg(0), 2, SEQ, AF_INET) * 4)
        pack_into("=I", data, 20, length)
        with pytest.raises(DecodeError):
            groups(data, starts(data, len(data)))

    @pytest.mark.parametrize("end", [1, 4, 15, 16, 17, 19, 21, 39])
    def test_a_cut(self, end: int) -> None:
        data = message(ct_msg(0), 2, SEQ, AF_INET) * 2
        with pytest.raises(DecodeError):
            groups(data, starts(data, end))

    def test_an_end_beyond_the_buffer(self) -> None:
        with pytest.raises(DecodeError):
            starts(b"", 4)

    def test_a_last_message_without_padding(self) -> None:
        whole = message(ct_msg(0), 2, SEQ, AF_INET, attr(5, b"")[:4] + attr(8, b"\0\0\0\1"))
        odd = bytearray(whole + b"\0\0\0")
        pack_into("=I", odd, 0, len(odd))
        data = (bytes(odd) + b"\0") * 20
        data = data[:-1]
        (group,) = groups(data, starts(data, len(data)))
        assert group.column("mark").tolist() == [1] * 20


def test_thousands_of_shapes_stay_quick() -> None:
    messages = [
        message(ct_msg(0), 2, SEQ, AF_INET, attr(5000 + n, b"x" * (n % 50)) + attr(8, b"\0\0\0\1"))
        for n in range(3000)
    ]
    found = split(messages)
    assert sum(map(len, found)) == 3000
    assert all(group.column("mark")[0] == 1 for group in found)


def test_column_types() -> None:
    body = nest(1, nest(1, attr(1, b"\x0a\0\0\1")) + nest(2, attr(1, b"\6") + attr(2, b"\x01\x02")))
    body += nest(9, attr(1, (2**40).to_bytes(8))) + attr(3, b"\0\0\1\0")
    (group,) = split([message(ct_msg(0), 2, SEQ, AF_INET, body)] * 20)
    kinds: dict[str, Any] = {name: group.column(name) for name in group.layout.names}
    assert {name: (each.dtype.name, each.shape) for name, each in kinds.items()} == {
        "orig_src": ("uint8", (20, 4)),
        "orig_proto": ("uint8", (20,)),
        "orig_sport": ("uint16", (20,)),
        "orig_packets": ("uint64", (20,)),
        "status": ("uint32", (20,)),
    }
    assert kinds["orig_packets"][0] == 2**40
    assert kinds["orig_sport"][0] == 0x102
    assert all(each.flags.c_contiguous for each in kinds.values())
    assert "mark" not in group
    with pytest.raises(KeyError):
        group.column("mark")
