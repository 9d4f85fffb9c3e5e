"""Keyword filters: what they match, what is pushed down, what is refused."""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from pyconntrack import Filter, Flow, RequestError, Tuple
from pyconntrack.ctnetlink.kinds import BYTES, HOST32, IPV4, IPV6, LABELS, TEXT
from pyconntrack.ctnetlink.pushdown import push_down
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT, Attr
from pyconntrack.ctnetlink.vocabulary import FLAGS
from pyconntrack.filters import node_of
from pyconntrack.model import flatten, meets
from support.declared import DECLARED as d

TCP = Tuple("10.0.0.1", "192.0.2.2", "tcp", 1000, 80)
FLOW = Flow(TCP, TCP.inverted(), mark=5, zone=3, status=["ASSURED", "SEEN_REPLY"],
            tcp_state="ESTABLISHED", helper="ftp", labels=[7])  # fmt: skip
BARE = Flow(Tuple("2001:db8::1", "2001:db8::2", "udp", 5, 6))


def match(flow: Flow, **keywords: Any) -> bool:
    node = node_of(Filter(**keywords))
    assert node is not None
    return meets(node, flow._layout, flow.message)


@pytest.mark.parametrize(
    "keywords",
    [
        {}, {"orig_src": "10.0.0.1"}, {"orig_src": "10.0.0.0/8"}, {"orig_src": ["::1", "10.0.0.1"]},
        {"orig_src": ipaddress.ip_network("10.0.0.0/30")}, {"proto": "tcp"}, {"proto": 6},
        pytest.param({"proto": {"udp", "tcp"}}, id="a set"), {"orig_dport": 80},
        {"orig_dport": range(1, 100)},
        {"mark": 5}, {"mark": (1, 1)}, {"mark": [4, 5]}, {"zone": 3}, {"zone": [1, 3]},
        {"status": "ASSURED"}, {"status": ["ASSURED", "SEEN_REPLY"]}, {"status": "!DYING"},
        {"status": "!UNREPLIED"}, {"state": "ESTABLISHED"}, {"tcp_state": [1, 3]},
        {"helper": "ftp"}, {"helper": ["sip", "ftp"]}, {"label": 7}, {"family": 2},
        {"family": "ipv4"}, {"mark": None}, {"orig_src": ("::1", "10.0.0.1")},
        {"proto": {"tcp": 6}.keys()}, {"status": {"ASSURED": 4}.keys()},
    ],
    ids=repr,
)  # fmt: skip
def test_matches(keywords: dict[str, Any]) -> None:
    assert match(FLOW, **keywords)
    assert not (~Filter(**keywords)).matches(FLOW)


@pytest.mark.parametrize(
    "keywords",
    [
        {"orig_src": "10.0.0.2"}, {"orig_src": "11.0.0.0/8"}, {"orig_src": "::/0"},
        {"proto": "udp"}, {"orig_dport": range(81, 90)}, {"mark": 0}, {"mark": (0, 1)},
        {"zone": 0}, {"status": "UNREPLIED"}, {"status": ["ASSURED", "DYING"]}, {"label": 8},
        {"helper": "sip"}, {"family": 10}, {"master_src": "10.0.0.1"}, {"sctp_state": 0},
    ],
    ids=repr,
)  # fmt: skip
def test_does_not_match(keywords: dict[str, Any]) -> None:
    assert not match(FLOW, **keywords)


def test_zero_holds_where_mark_and_zone_are_absent() -> None:
    assert match(BARE, mark=0, zone=0)
    assert not match(BARE, mark=1)
    assert match(BARE, orig_src="2001:db8::/32")


def test_combination() -> None:
    both = Filter(proto="udp") | Filter(mark=5) & ~Filter(zone=4)
    assert both.matches(FLOW)


@pytest.mark.parametrize(
    ("keywords", "values"),
    [
        ({"mark": 5}, {"mark": 5, "mark_mask": 0xFFFFFFFF}),
        ({"status": "UNREPLIED"}, {"status": 0, "status_mask": 2}),
        ({"zone": 3}, {"zone": 3}),
        ({"zone": [3, 4]}, {}),
        ({"orig_src": "10.0.0.0/8"}, {}),
        ({"orig_src": "2001:db8::1"}, {}),
        ({"orig_src": "10.0.0.1"}, {"orig_src": b"\x0a\0\0\1", "filter_orig_flags": 1}),
    ],
    ids=repr,
)
def test_push_down(keywords: dict[str, Any], values: dict[str, Any]) -> None:
    assert push_down(node_of(Filter(**keywords))).values == values


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"colour": 1}, "no such field: colour"),
        ({"orig_src": "10.0.0"}, "orig_src: an IPv4 or IPv6 address is wanted"),
        ({"orig_src": "10.0.0.0/33"}, r"orig_src: a prefix length 0\.\.32"),
        ({"orig_src": "10.0.0.0/x"}, "orig_src: a prefix length"),
        ({"proto": "tpc"}, "proto: 'tpc' is none of"),
        ({"mark": "5"}, "mark: a whole number"),
        ({"mark": (2, 1)}, "mark: 0x2 has bits outside its mask 0x1"),
        ({"mark": (1, 2, 3)}, r"mark: \(value, mask\)"),
        ({"status": "GOOD"}, "status: 'GOOD' is none of"),
        ({"status": ["ASSURED", "!ASSURED"]}, "both wanted and not wanted"),
        ({"label": 128}, r"label: a number 0\.\.127"),
        ({"labels": 1}, "labels: no filter.*label=NUMBER"),
        ({"family": 4}, "family: 4 is none of"),
        ({"orig_dport": range(9, 1)}, "orig_dport: a range"),
        ({"zone": 65536}, "zone: 65536 is not in"),
    ],
)
def test_bad_keywords(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Filter(**keywords)


def test_what_is_no_filter() -> None:
    with pytest.raises(RequestError, match=r"filter: a Filter is wanted.*Filter\.where"):
        node_of("proto == tcp")
    with pytest.raises(RequestError, match="text: an expression is wanted, not 5"):
        Filter.where(5)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="entry: a Flow or an Expect is wanted"):
        Filter().matches(TCP)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unsupported operand"):
        Filter() & "proto == tcp"  # type: ignore[operator]


def test_what_combines_filters_is_a_filter() -> None:
    udp = Filter.where("proto == udp")
    for made in udp, udp & Filter(mark=5), udp | Filter(mark=5), ~udp:
        assert type(made) is Filter
        assert made.matches(BARE) is bool(made != ~udp and made != udp & Filter(mark=5))


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (Filter(), "Filter()"),
        (~Filter(), "~Filter()"),
        (Filter(orig_src=[]), "~Filter()"),
        (Filter() & Filter(mark=5) | ~Filter(), "Filter.where('mark == 0x5')"),
        (~~Filter(proto="tcp"), "Filter.where('orig.proto == tcp')"),
        (Filter(proto="tcp", orig_dport=[80, 443]),
         "Filter.where('orig.proto == tcp and (orig.dport == 80 or orig.dport == 443)')"),
        (Filter(orig_src="10.0.0.1", reply_src="::1"),
         "Filter.where('orig.src == 10.0.0.1') & Filter.where('reply.src == ::1')"),
        (Filter(tuple_dport=21), "Filter(tuple_dport=21)"),
        (~(Filter(tuple_src="10.0.0.0/8") | Filter(mark=1)),
         "~(Filter(tuple_src=['10.0.0.0/8']) | Filter.where('mark == 0x1'))"),
        (Filter(helper="it's \"so\""), "Filter(helper=['it\\'s \"so\"'])"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_filter_is_shown_as_the_expression_that_makes_it(made: Filter, shown: str) -> None:
    assert repr(made) == shown
    assert eval(repr(made)) == made


def keywords_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    row = ROWS[name][0]
    values: st.SearchStrategy[Any]
    if row.words in FLAGS:
        words = st.sampled_from([*row.words.values()]) if row.words else st.nothing()
        values = words | words.map("!{}".format)
    elif row.kind in (IPV4, IPV6):
        values = st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0"])
    elif row.kind is TEXT:
        values = st.sampled_from(["ftp", "it's", 'a "b"', "\\", ""])
    else:
        numbers = st.integers(0, row.kind.limit)
        pairs = numbers.map(lambda mask: (mask & 5, mask))
        values = numbers | pairs | numbers.map(lambda low: range(low, min(low + 9, 1 << 8)))
        values = values.filter(lambda value: not isinstance(value, range) or bool(value))
    return st.one_of(values, st.lists(values.filter(lambda v: not isinstance(v, tuple)), min_size=1,
                                      max_size=3)).map(lambda value: {name: value})  # fmt: skip


ROWS = {**flatten(EXPECT), **flatten(CONNTRACK)}
COMPARED = [name for name in d.FilterFields.__annotations__ if name in ROWS]
LEAVES = st.sampled_from(COMPARED).flatmap(keywords_of)


def made_of(keywords: dict[str, Any]) -> Filter:
    try:
        return Filter(**keywords)
    except RequestError:
        reject()


@settings(deadline=None, max_examples=150)
@given(st.recursive(LEAVES.map(made_of), lambda part: st.one_of(
    part.map(operator.inv), st.tuples(part, part).map(lambda pair: pair[0] & pair[1]),
    st.tuples(part, part).map(lambda pair: pair[0] | pair[1]))))  # fmt: skip
def test_the_source_that_repr_shows_makes_an_equal_filter(made: Filter) -> None:
    again = eval(repr(made))
    assert again == made
    assert hash(again) == hash(made)
    assert repr(again) == repr(made)
    for entry in FLOW, BARE:
        assert again.matches(entry) == made.matches(entry)
        assert (~made).matches(entry) != made.matches(entry)


def test_the_types_of_keywords_follow_the_schema() -> None:
    def type_of(row: Attr) -> Any:
        if row.words in FLAGS:
            return d.Words | None
        if row.kind in (IPV4, IPV6):
            return d.Networks
        if row.kind is TEXT:
            return d.Texts
        return d.Numbers if row.words is None else d.Coded

    wanted: dict[str, object] = {"family": d.Word | None, "label": int | Iterable[int] | None,
                                 "proto": d.Coded, "state": d.States}  # fmt: skip
    for name, (row, *_) in {**flatten(EXPECT), **flatten(CONNTRACK)}.items():
        if row.kind not in (BYTES, HOST32, LABELS) and name != "class":  # no name in Python
            wanted[name] = type_of(row)
    assert d.FilterFields.__annotations__ == wanted
