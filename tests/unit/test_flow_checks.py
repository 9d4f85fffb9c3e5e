"""Flows that no kernel takes, and fields with wrong values, are refused before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import Conntrack, Flow, RequestError, Tuple
from pyconntrack.ctnetlink.field_names import FIELDS
from pyconntrack.ctnetlink.schema import CONNTRACK, TUPLE
from pyconntrack.testing import ScriptedKernel

ORIG = Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 2)
FLOW = Flow(ORIG, timeout=60)
#: calls take anything: what is tested is what type checkers refuse
Loose = cast("Any", Flow)
ping = Tuple("10.0.0.1", "10.0.0.2", "icmp", icmp_id=1, icmp_type=3, icmp_code=0)

CALLS: list[tuple[Callable[[Any], object], str]] = [
    (lambda ct: ct.create(ORIG), "flow: a Flow is wanted, not Tuple("),
    (lambda ct: ct.create({"orig": 1}), "flow: a Flow is wanted, not {'orig': 1}"),
    (lambda ct: ct.create(Flow(ORIG)), "timeout: seconds are wanted"),
    (lambda ct: ct.create(Flow(timeout=5)), "orig: a Tuple with src, dst and proto is wanted"),
    (lambda ct: ct.create(Flow(Tuple("10.0.0.1", "10.0.0.2", "udp"), timeout=5)),
     "orig_sport, orig_dport: both ports are wanted"),
    (lambda ct: ct.create(Flow(ORIG, Tuple("10.0.0.2", "10.0.0.1", "tcp", 2, 1), timeout=5)),
     "reply_proto: tcp is not the protocol of orig, udp"),
    (lambda ct: ct.create(FLOW.replace(zone=1, orig_zone=2)),
     "zone, orig_zone: at most one of them may differ from 0"),
    (lambda ct: ct.create(Flow(ping, timeout=5)), "orig_icmp_type: 3 is none of 0, 8, 13"),
    (lambda ct: ct.load(5), "flows: an iterable of Flow is wanted, not 5"),
    (lambda ct: ct.load([FLOW, "x"]), "flow 1: flow: a Flow is wanted, not 'x'"),
    (lambda ct: ct.update("x", mark=5), "flow: a Flow or a Tuple is wanted, not 'x'"),
    (lambda ct: ct.update(ORIG), "changes: at least one field to change is wanted"),
    (lambda ct: ct.update(ORIG, id=5), "id: the kernel changes only status, "),
    (lambda ct: ct.update(ORIG, src_nat="192.0.2.1"), "src_nat: the kernel changes only status, "),
    (lambda ct: ct.update(ORIG, zone="x", mark=5), "zone: a whole number is wanted, not 'x'"),
    (lambda ct: ct.delete(5), "flow: a Flow or a Tuple is wanted, not 5"),
    (lambda ct: ct.delete(Tuple("10.0.0.1")), "dst, proto is missing"),
    (lambda ct: ct.delete(ORIG, zone=-1), "zone: -1 is not in 0..65535"),
    (lambda ct: ct.delete(ping), "orig_icmp_type: 3 is none of 0, 8, 13"),
    (lambda ct: ct.get([ORIG]), "flow: a Flow or a Tuple is wanted, not [Tuple("),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), CALLS)
def test_a_wrong_call_sends_nothing(call: Callable[[Any], object], words: str) -> None:
    kernel = ScriptedKernel()
    with Conntrack(transport=kernel) as ct, pytest.raises(RequestError, match=re.escape(words)):
        call(ct)
    assert kernel.requests == []


def test_a_tuple_names_its_own_field() -> None:
    with pytest.raises(RequestError, match=r"^sport: icmp has no such field"):
        Tuple("10.0.0.1", "10.0.0.2", "icmp", 1, 2)
    with pytest.raises(RequestError, match=r"^srckey: tcp has sport instead"):
        Tuple("10.0.0.1", "10.0.0.2", "tcp", srckey=1)


#: no field takes any of these
WRONG = st.one_of(
    st.floats(), st.booleans(), st.just(object()), st.integers(max_value=-1),
    st.integers(min_value=1 << 64), st.builds(complex), st.just("\0"), st.just([None]),
    st.just({"a": object()}),
)  # fmt: skip


@given(name=st.sampled_from(sorted(FIELDS[id(CONNTRACK)])), wrong=WRONG)
def test_no_field_of_a_flow_takes_a_wrong_value(name: str, wrong: object) -> None:
    with pytest.raises(RequestError) as refused:
        Loose(ORIG, **{name: wrong})
    assert str(refused.value).startswith(f"{name}: ")
    kernel = ScriptedKernel()
    with Conntrack(transport=kernel) as ct, pytest.raises(RequestError) as refused:
        cast("Any", ct).update(ORIG, **{name: wrong})
    assert str(refused.value).startswith(f"{name}: ")
    assert kernel.requests == []


@given(name=st.sampled_from(sorted(FIELDS[id(TUPLE)])), wrong=WRONG)
def test_no_field_of_a_tuple_takes_a_wrong_value(name: str, wrong: object) -> None:
    fields: dict[str, Any] = {"src": "10.0.0.1", "dst": "10.0.0.2", "proto": "udp", name: wrong}
    with pytest.raises(RequestError, match=f"^{name}: "):
        Tuple(**fields)
