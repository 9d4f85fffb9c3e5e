"""Wrong arguments: each raises before anything is sent, and names what is wrong and what is right.

One table has the values that each argument takes; every other value of a pool is wrong.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyconntrack
from pyconntrack import (
    AsyncConntrack,
    Conntrack,
    CpuStats,
    DecodeError,
    Event,
    Expect,
    Filter,
    Flow,
    FlowTable,
    RequestError,
    Tuple,
    WhereError,
)
from pyconntrack.ctnetlink.vocabulary import VOCABULARIES
from pyconntrack.testing import ScriptedKernel

ONE = Tuple("10.0.0.1", "10.0.0.2", "tcp", 1000, 80)
FLOW = Flow(ONE, timeout=60)
WHOLE = Tuple("255.255.255.255", "255.255.255.255", "tcp", 65535, 65535)
EXPECT = Expect(ONE, WHOLE, ONE, timeout=60)

#: the package without its types, which refuse what is tried here
pct: Any = pyconntrack

#: values of many kinds, from which the wrong ones of each argument are taken
POOL = [
    None, True, False, -1, 5, 1 << 70, 1.5, float("nan"), "", "nonsense", "nwe", "ipv5", "\0", b"",
    b"\xff", [], [None], ["nwe"], [5], {}, {"new": 1}, object(), int, lambda: 0, ONE, FLOW, EXPECT,
    Filter(), range(3), "proto == tcp",
]  # fmt: skip


def kind_of(value: object) -> str:
    """The name of a value in the name of a test."""
    return type(value).__name__


def is_a(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def one_of(*values: object) -> Callable[[object], bool]:
    return lambda value: any(value is good or value == good for good in values
                             if type(good) is type(value))  # fmt: skip


def small(limit: int, low: int = 0) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value < limit


def optional(test: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or test(value)


FILTER = optional(is_a(Filter))
ZONE = optional(small(1 << 16))
#: (verb, argument) -> whether a value of the pool is right
ARGUMENTS: dict[tuple[str, str], Callable[[Any], bool]] = {
    ("dump", "filter"): FILTER,
    ("dump", "table"): one_of("conntrack", "dying", "unconfirmed"),
    ("dump", "on_interrupt"): one_of("raise", "retry", "accept"),
    ("table", "filter"): FILTER,
    ("table", "on_interrupt"): one_of("raise", "retry", "accept"),
    ("get", "flow"): is_a(Flow, Tuple),
    ("get", "zone"): ZONE,
    ("create", "flow"): is_a(Flow),
    ("update", "flow"): is_a(Flow, Tuple),
    ("update", "zone"): ZONE,
    ("update", "changes"): is_a(dict),
    ("delete", "flow"): is_a(Flow, Tuple),
    ("delete", "zone"): ZONE,
    ("delete_matching", "filter"): lambda value: value == Filter(mark=1),
    ("flush", "family"): one_of("all", "ipv4", "ipv6", 2, 10),
    ("load", "flows"): lambda value: value in ([], {}, "", b""),
    ("load", "existing"): one_of("error", "update"),
    ("get_expectation", "expect"): is_a(Expect, Tuple),
    ("get_expectation", "zone"): ZONE,
    ("create_expectation", "expect"): is_a(Expect),
    ("delete_expectation", "expect"): is_a(Expect, Tuple),
    ("delete_expectation", "zone"): ZONE,
    ("events", "groups"): one_of("new", {"new": 1}),
    ("events", "filter"): FILTER,
    ("events", "resync"): is_a(bool),
    ("events", "rcvbuf"): small(1 << 30, 1),
    ("events", "max_rcvbuf"): small(1 << 30, 1),
}
#: right values of the arguments that have no default
GIVEN = {"flow": FLOW, "expect": EXPECT, "flows": [], "filter": Filter(mark=1)}
#: arguments whose values have a test of their own
ELSEWHERE = {"src_nat", "dst_nat", "columns"}
CASES = [(verb, name, value) for (verb, name), right in ARGUMENTS.items() for value in POOL
         if name != "changes" and not right(value)]  # fmt: skip


def arguments(verb: str, name: str, value: object) -> dict[str, Any]:
    parameters = inspect.signature(getattr(Conntrack, verb)).parameters.values()
    given = {one.name: GIVEN[one.name] for one in parameters if one.default is one.empty
             and one.kind is one.POSITIONAL_OR_KEYWORD and one.name in GIVEN}  # fmt: skip
    return {**given, name: value}


def test_every_argument_of_every_verb_is_in_the_table() -> None:
    for client in Conntrack, AsyncConntrack:
        found = {(verb, name) for verb, function in vars(client).items()
                 if not verb.startswith("_") and inspect.isfunction(function)
                 for name in inspect.signature(function).parameters if name != "self"}  # fmt: skip
        assert {(v, n) for v, n in found if n not in ELSEWHERE} == set(ARGUMENTS)


VERBS = [*dict.fromkeys(verb for verb, _, _ in CASES)]


def attempt(client: Any, verb: str, name: str, value: object) -> None:
    result = getattr(client, verb)(**arguments(verb, name, value))
    if isinstance(result, Iterable):
        list(result)


async def attempt_later(client: Any, verb: str, name: str, value: object) -> None:
    result = getattr(client, verb)(**arguments(verb, name, value))
    if inspect.isawaitable(result):
        await result
    elif isinstance(result, AsyncIterator):
        [row async for row in result]


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_argument_raises_before_anything_is_sent(verb: str) -> None:
    kernel = ScriptedKernel()
    with Conntrack(transport=kernel) as conntrack:
        for _, name, value in [case for case in CASES if case[0] == verb]:
            with pytest.raises(RequestError, match=rf"^{named(name)}: ") as caught:
                attempt(conntrack, verb, name, value)
            assert len(str(caught.value)) < 400
    assert kernel.requests == []
    assert kernel.groups == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_argument_raises_in_asyncio_too(verb: str) -> None:
    kernel = ScriptedKernel()

    async def attempts() -> None:
        async with AsyncConntrack(transport=kernel) as conntrack:
            for _, name, value in [case for case in CASES if case[0] == verb]:
                with pytest.raises(RequestError, match=rf"^{named(name)}: "):
                    await attempt_later(conntrack, verb, name, value)

    asyncio.run(attempts())
    assert kernel.requests == []
    assert kernel.groups == []


@pytest.mark.parametrize("value", [True, -1, float("nan"), "5", object()], ids=kind_of)
def test_a_wrong_timeout_of_a_stream(value: Any) -> None:
    stream = Conntrack(transport=ScriptedKernel()).events()
    with stream, pytest.raises(RequestError, match=r"^timeout: seconds or None are wanted"):
        stream.read(value)

    async def later() -> None:
        async with AsyncConntrack(transport=ScriptedKernel()).events() as stream:
            with pytest.raises(RequestError, match=r"^timeout: seconds or None are wanted"):
                await stream.read(value)

    asyncio.run(later())


def named(name: str) -> str:
    """The name of an argument at the start of a message; items of ``flows`` have numbers."""
    return r"(flows|flow \d+: flow)" if name == "flows" else name


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: pct.Filter(dport=80), "no such field: dport: do you mean `orig_dport'?"),
        (lambda: pct.Filter(src="10.0.0.1"), "no such field: src: do you mean `orig_src'?"),
        (lambda: pct.Filter(proto="tpc"), "proto: 'tpc' is none of icmp, tcp, "),
        (lambda: pct.Filter(proto="tpc"), ": do you mean `tcp'?"),
        (lambda: pct.Filter(state="ESTABLISHD"), ": do you mean `ESTABLISHED'?"),
        (lambda: pct.Filter(status="!ASURED"), ": do you mean `ASSURED'?"),
        (lambda: pct.Filter(family="ipv5"), "none of ipv4, ipv6: do you mean `ipv4'?"),
        (lambda: pct.Filter(family=0), "family: 0 is none of ipv4, ipv6"),
        (lambda: pct.Flow(timout=5), "no such field: timout: do you mean `timeout'?"),
        (lambda: pct.Flow(orgi=ONE), "no such field: orgi: do you mean `orig'?"),
        (lambda: pct.Flow(tcp_state="ESTAB"), ": do you mean `ESTABLISHED'?"),
        (lambda: pct.Flow(status=["SEEN_REPL"]), ": do you mean `SEEN_REPLY'?"),
        (lambda: pct.Flow(orig="10.0.0.1"), "orig: a Tuple is wanted, not '10.0.0.1'"),
        (lambda: FLOW.replace(makr=5), "no such field: makr: do you mean `mark'?"),
        (lambda: pct.Tuple(sorce="10.0.0.1"), "no such field: sorce: do you mean `src'?"),
        (lambda: pct.Tuple(sprot=5), "no such field: sprot: do you mean `sport'?"),
        (lambda: pct.Tuple(proto="upd"), ": do you mean `udp'?"),
        (lambda: pct.Tuple.from_dict({"dts": 5}), "no such field: dts: do you mean `dst'?"),
        (lambda: pct.Expect(tupel=ONE), "no such field: tupel: do you mean `tuple'?"),
        (lambda: pct.Expect(flags="PERMANNT"), ": do you mean `PERMANENT'?"),
        (lambda: pct.Event("nwe", FLOW), "kind: 'nwe' is none of new, update, destroy: "),
        (lambda: pct.Unknown("prot", 99), "vocabulary: 'prot' is none of"),
        (lambda: pct.Stats(0, None).total("dorp"), "no such counter: dorp: do you mean `drop'?"),
        (lambda: pct.Filter.where("dprot == 5"), "do you mean `dport'?"),
        (lambda: pct.Conntrack(transport=ScriptedKernel()).update(FLOW, timout=5),
         ": do you mean `timeout'?"),
        (lambda: pct.Conntrack(transport=ScriptedKernel()).dump(table="conntrak"),
         "table: 'conntrak' is none of conntrack, dying, unconfirmed: do you mean `conntrack'?"),
        (lambda: pct.Conntrack(transport=ScriptedKernel()).events(groups=["nwe"]),
         "groups: 'nwe' is none of"),
        (lambda: pct.Conntrack(transport=ScriptedKernel()).load([], existing="updat"),
         ": do you mean `update'?"),
        (lambda: pct.Event("new", 5), "entry: a Flow or an Expect is wanted, not 5"),
        (lambda: pct.Event("new", FLOW, time=1.5), "time: a whole number is wanted, not 1.5"),
        (lambda: pct.Event("new", FLOW, synthetic=1), "synthetic: True or False is wanted, not 1"),
        (lambda: pct.Flow.from_dict({"timout": 5}), "do you mean `timeout'?"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_answered_with_the_nearest(
    attempt: Callable[[], object], words: str
) -> None:
    with pytest.raises(RequestError) as caught:
        attempt()
    assert words in str(caught.value)


WORDS = [(name, word) for name, words in VOCABULARIES.items() for word in words.values()]


@given(st.sampled_from(WORDS), st.data())
def test_a_word_with_one_letter_wrong_is_never_taken(
    case: tuple[str, str], data: st.DataObject
) -> None:
    vocabulary, word = case
    place = data.draw(st.integers(0, len(word) - 1))
    wrong = word[:place] + data.draw(st.sampled_from("#~ ")) + word[place + 1 :]
    field = {"proto": "orig_proto", "expect_flags": "flags"}.get(vocabulary, vocabulary)
    with pytest.raises(RequestError, match=rf"^{field}: ") as caught:
        (pct.Expect if field == "flags" else pct.Flow)(**{field: wrong})
    if len(word) > 3:
        assert "do you mean" in str(caught.value)


@pytest.mark.parametrize("value", POOL, ids=kind_of)
def test_what_is_no_dict_and_no_message(value: Any) -> None:
    for cls in Flow, Expect, Tuple, Event:
        if not isinstance(value, dict):
            with pytest.raises(RequestError):
                cls.from_dict(value)
    for entry in Flow, Expect, CpuStats:
        with pytest.raises((RequestError, DecodeError)):
            entry.from_message(value)


@pytest.mark.parametrize(
    "value", [value for value in POOL if not isinstance(value, str)], ids=kind_of
)
def test_what_is_no_expression(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^text: an expression is wanted"):
        Filter.where(value)


def test_a_wrong_expression_has_a_column() -> None:
    with pytest.raises(WhereError) as caught:
        Filter.where("mark == 5 and dprot == 5")
    assert caught.value.column == 15


@pytest.mark.parametrize("value", [1.5, b"x", True, object(), [], ONE], ids=kind_of)
def test_what_is_no_namespace(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^netns: "):
        Conntrack(value)
    with pytest.raises(RequestError, match=r"^netns: "):
        AsyncConntrack(value)


def test_what_is_no_column() -> None:
    with pytest.raises(Exception, match="orig_scr"):
        FlowTable({})["orig_scr"]
