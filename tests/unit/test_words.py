"""Words: what JSON shows as a word is that word wherever a user meets it, and never a number."""

from __future__ import annotations

import copy
import pickle
import re
import sys
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyconntrack
from pyconntrack import Event, Expect, Filter, Flow, FlowTable, RequestError, Tuple, Unknown
from pyconntrack.ctnetlink.constants import ct_msg, exp_msg
from pyconntrack.ctnetlink.field_names import number_name
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT, Attr, Rows
from pyconntrack.ctnetlink.vocabulary import EVENT_KINDS, FLAGS, PROTO, STATUS, VOCABULARIES
from pyconntrack.ctnetlink.words import Table, flag_words, word
from pyconntrack.formats.json import OBJECT
from pyconntrack.model import flatten
from support import ROOT
from support.messages import messages

#: vocabulary -> its type
KINDS = {
    "family": "FamilyName", "proto": "ProtoName", "status": "StatusName", "tcp_state": "TcpState",
    "sctp_state": "SctpState", "dccp_state": "DccpState", "dccp_role": "DccpRole",
    "expect_flags": "ExpectFlag",
}  # fmt: skip

UDP = Tuple("192.0.2.1", "192.0.2.2", "udp", 1, 2)
LooseUnknown: Any = Unknown


def coded(rows: Rows) -> dict[str, Attr]:
    """The fields whose values are words."""
    return {name: row for name, (row, *_) in flatten(rows).items() if row.words is not None}


def test_the_types_are_the_vocabularies() -> None:
    for name, words in VOCABULARIES.items():
        assert get_args(getattr(pyconntrack, KINDS[name])) == tuple(words.values())
    assert get_args(pyconntrack.EventKind) == EVENT_KINDS


def test_every_vocabulary_of_the_schema_has_a_type() -> None:
    used = [row.words for rows in (CONNTRACK, EXPECT) for row in coded(rows).values()]
    assert len(used) > 10
    known = list(map(id, VOCABULARIES.values()))
    assert all(id(words) in known for words in used)


@given(st.data())
def test_an_attribute_is_what_json_shows(data: Any) -> None:
    for rows, kind, cls in ((CONNTRACK, ct_msg(0), Flow), (EXPECT, exp_msg(0), Expect)):
        entry = cls.from_message(data.draw(messages(rows, kind)))
        shown = entry.to_dict()
        assert shown.get("family") == entry.family
        for name, row in coded(rows).items():
            group = OBJECT[name]
            members = shown.get(group, {}) if group else shown
            json = members.get(name[len(group) + 1 :] if group else name)
            value, number = getattr(entry, name), getattr(entry, number_name(name, row))
            if json is None:
                assert (value, number) == (None, None)
            elif row.words in FLAGS:
                assert {each if isinstance(each, str) else each.number for each in value} == {*json}
                assert type(value) is frozenset
                assert number == int.from_bytes(entry.raw(name) or b"")
            elif isinstance(json, str):
                assert value is sys.intern(json)
                assert (row.words or {})[number] == value
            else:
                assert value is Unknown(value.vocabulary, json)
                assert str(value) == str(json) == str(number)


@given(st.data())
def test_what_was_read_can_be_given_back(data: Any) -> None:
    for rows, kind, cls in ((CONNTRACK, ct_msg(0), Flow), (EXPECT, exp_msg(0), Expect)):
        entry: Any = cls.from_message(data.draw(messages(rows, kind)))
        values = {
            name: getattr(entry, name) for name in coded(rows) if getattr(entry, name) is not None
        }
        # with another tuple it would be another entry, without this id
        again = entry.replace(id=entry.id, **values)
        assert again.same_as(entry)
        for name, value in values.items():
            if value != frozenset():
                wanted = Filter(**{name: value})
                assert wanted.matches(entry), (name, value)


def test_a_field_takes_word_number_and_unknown() -> None:
    words: list[Any] = ["tcp", "TCP", 6]
    unknowns: list[Any] = [99, Unknown("proto", 99)]
    sets: list[Any] = [
        4 | 1 << 20, ["ASSURED", 1 << 20], {"assured", Unknown("status", 1 << 20)}
    ]  # fmt: skip
    for proto in words:
        assert Tuple(proto=proto).proto == "tcp"
        assert Tuple(proto=proto).proto_number == 6
    for proto in unknowns:
        assert Tuple(proto=proto).proto is Unknown("proto", 99)
    for status in sets:
        flow = Flow(UDP, status=status)
        assert flow.status == frozenset(["ASSURED", Unknown("status", 1 << 20)])
        assert flow.status_bits == 4 | 1 << 20
    assert Flow(UDP, status=Unknown("status", 1 << 20)).status_bits == 1 << 20
    assert Flow(UDP, status=0).status == frozenset()
    assert Flow(UDP).status is None
    assert Flow(family="ipv6").family == "ipv6"
    assert Flow(family=Flow(UDP).family).family_number == 2
    assert (Flow().family, Flow().family_number) == (None, 0)
    assert Expect(flags=5).flags == frozenset(["PERMANENT", "USERSPACE"])


def test_the_state_is_that_of_the_protocol() -> None:
    assert Flow(UDP).state is None
    assert Flow(UDP, sctp_state="HEARTBEAT_SENT").state == "HEARTBEAT_SENT"
    assert Flow(UDP, dccp_state=77).state is Unknown("dccp_state", 77)
    assert str(Flow(UDP, dccp_state=77)).startswith("udp      17 77 src=")


def test_a_value_is_an_interned_text() -> None:
    again = pickle.loads(pickle.dumps(Flow(UDP, status="ASSURED")))
    assert again.proto is Flow(UDP).proto
    counts: dict[object, int] = {again.proto: 1}
    assert counts["udp"] == 1
    assert [type(each) for each in counts] == [str]


def test_sets_of_flags_are_made_once() -> None:
    first, second = (Flow(UDP, status=6, mark=mark).status for mark in (1, 2))
    assert first is second


def test_the_values_that_are_kept_are_bounded() -> None:
    table = Table(STATUS)
    for number in range(10_000):
        table[number.to_bytes(4)]
    assert len(table) <= 4096
    assert table[b"\0\0\0\6"] == frozenset(["SEEN_REPLY", "ASSURED"])


def test_an_unknown_is_one_object() -> None:
    one = Unknown("proto", 99)
    assert one is Unknown("proto", 99) is word(PROTO, 99)
    assert one is pickle.loads(pickle.dumps(one))
    assert one is copy.copy(one)
    assert one is copy.deepcopy(one)
    assert (one.vocabulary, one.number, str(one)) == ("proto", 99, "99")
    assert eval(repr(one)) is one
    others: list[object] = [99, "99", Unknown("tcp_state", 99)]
    assert one not in others
    assert flag_words(STATUS, 1 << 20 | 4) == {"ASSURED", Unknown("status", 1 << 20)}
    with pytest.raises(AttributeError):
        LooseUnknown("proto", 99).number = 5
    with pytest.raises(TypeError, match="final"):
        type("Mine", (Unknown,), {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("proto", 6), "number: 6 is not unknown, it is 'tcp'"),
        (("proto", 256), r"number: a whole number 0\.\.255 is wanted, not 256"),
        (("proto", True), "number: a whole number"),
        (("proto", 99.0), "number: a whole number"),
        (("proto", "99"), "number: a whole number"),
        (("status", 3 << 20), "number: the value of one bit is wanted, not 0x300000"),
        (("status", 0), "number: the value of one bit"),
        (("prato", 99), "vocabulary: 'prato' is none of family, proto, status"),
    ],
)
def test_no_other_unknown_is_made(arguments: tuple[Any, ...], words: str) -> None:
    Unknown("proto", 99)
    with pytest.raises(RequestError, match=words):
        Unknown(*arguments)


def test_an_unknown_of_another_vocabulary_is_refused() -> None:
    other = Unknown("tcp_state", 99)
    for make in (
        lambda: Tuple(proto=other), lambda: Filter(proto=other), lambda: Flow(status=[other]),
        lambda: Flow(family=other), lambda: Filter(status=other),
    ):  # fmt: skip
        with pytest.raises(RequestError, match="is of another vocabulary"):
            make()


def test_several_words_in_a_tuple_are_no_mask() -> None:
    """As (value, mask), 1 under the mask 17 would match protocol 1 and 45, and no UDP."""
    either = Filter(proto=("icmp", "udp"))
    assert either == Filter(proto=["icmp", "udp"])
    assert either.matches(Flow(UDP))
    assert not either.matches(Flow(Tuple(proto=45)))
    assert Filter(proto=(1, 17)).matches(Flow(Tuple(proto=45)))


def test_words_may_come_from_any_iterable() -> None:
    for words in (["tcp", "udp"], ("tcp", "udp"), {"tcp", "udp"}, iter(["tcp", "udp"])):
        assert Filter(proto=words).matches(Flow(UDP))


@given(st.data())
def test_a_filter_by_state_is_that_of_any_protocol(data: Any) -> None:
    flow = Flow.from_message(data.draw(messages(CONNTRACK, ct_msg(0))))
    fields = {"tcp_state", "sctp_state", "dccp_state"} & flow.to_dict().keys()
    if flow.state is None:
        assert not fields
        assert not Filter(state=["NONE", "ESTABLISHED", "CLOSED", "OPEN"]).matches(flow)
    elif len(fields) == 1:
        assert Filter(state=flow.state).matches(flow)
        if isinstance(flow.state, str):
            assert Filter.where(f"state == {flow.state}").matches(flow)


def test_a_state_is_a_word() -> None:
    sctp = Flow(Tuple(proto="sctp"), sctp_state="ESTABLISHED")
    assert Filter(state="established").matches(sctp)
    assert Filter(state="ESTABLISHED") == Filter.where("state == ESTABLISHED")
    loose: Any = Filter
    for value, words in (
        (3, "state: a word is wanted, not 3; tcp_state="),
        ("ESTAB", "no protocol has a state 'ESTAB': do you mean `ESTABLISHED'"),
        (Unknown("proto", 99), "no protocol has a state"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=words):
            loose(state=value)
    with pytest.raises(RequestError, match="family: 7 is none of 2"):
        Flow(family=Unknown("family", 7))


def test_kinds_of_events_are_the_words_of_json_and_groups() -> None:
    for kind in EVENT_KINDS:
        event = Event(kind, Flow(UDP))
        assert event.kind == event.to_dict()["event"] == kind
        assert str(event).startswith(f"[{kind.upper()}] udp")


def rows_of_changes() -> list[tuple[str, str, str]]:
    """The rows of the table of what programs must change: old, what it is now, new."""
    page = (ROOT / "docs/migration.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(.+?)` \| (.+?) \| (`.+`) \|$", page, flags=re.MULTILINE)


@pytest.mark.parametrize(("old", "now", "new"), rows_of_changes())
def test_the_table_of_changes_is_true(old: str, now: str, new: str) -> None:
    tcp = Tuple("192.0.2.1", "192.0.2.2", "tcp", 1, 2)
    flow = Flow(tcp, status=6, tcp_state=3)
    names = {
        "flow": flow, "odd": Flow(Tuple(proto=99)), "expect": Expect(tcp, flags=1),
        "event": Event("new", flow), "Event": Event, "Filter": Filter, "Unknown": Unknown,
        "table": FlowTable.from_batches([(flow.message, len(flow.message))]),
    }  # fmt: skip
    for code in re.findall("`(.+?)`", new):
        assert eval(code, names), code
    if now == "`False`":
        assert eval(old, names) is False
    elif now.startswith("`"):
        with pytest.raises((AttributeError, TypeError, RequestError)) as error:
            eval(old, names)
        assert error.type.__name__ == now.strip("`")
    else:
        assert eval(old, names) == eval(new.strip("`"), names)


def test_there_are_changes_to_check() -> None:
    assert len(rows_of_changes()) > 10
