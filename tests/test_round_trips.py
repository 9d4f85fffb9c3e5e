"""What a program gives the kernel and what it gets back, field by field, for every protocol."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pyconntrack import Conntrack, Event, Flow, Tuple
from support.ctool import Stream, ours_argv
from support.netns import Namespace, sysctl
from support.traffic import Flows, eventually

# -- one JSON for the library and the command ---------------------------------------------------


@pytest.mark.parametrize("timestamps", [0, 1])
def test_events_have_one_json(netns: Namespace, timestamps: int) -> None:
    sysctl("nf_conntrack_timestamp", timestamps)
    sysctl("nf_conntrack_acct", 1)
    orig = Tuple("2001:db8::1", "2001:db8::2", "tcp", 1000, 80)
    flow = Flow(orig, timeout=60, mark=3, zone=4, status="ASSURED", tcp_state="ESTABLISHED")
    before = time.time_ns()
    with (
        Conntrack() as conntrack,
        conntrack.events() as events,
        Stream([*ours_argv(), "-E", "-o", "ndjson"]) as command,
    ):
        conntrack.create(flow)
        conntrack.update(flow, mark=5)
        conntrack.delete(flow)
        for word in ("new", "update", "destroy"):
            assert_same(events.read(20), json.loads(command.line()), word, before)


def test_events_of_expectations_have_one_json(flows: Flows) -> None:
    before = time.time_ns()
    with (
        Conntrack() as conntrack,
        conntrack.events(["exp_new", "exp_destroy"]) as events,
        Stream([*ours_argv(), "-E", "expect", "-o", "ndjson"]) as command,
    ):
        flows.ftp().passive(40002)  # the kernel reports what began while somebody listened
        assert_same(events.read(20), json.loads(command.line()), "new", before)
        eventually(lambda: list(conntrack.expectations()), "an expectation")
        conntrack.flush_expectations()
        assert_same(events.read(20), json.loads(command.line()), "destroy", before)


def assert_same(event: Any, line: dict[str, Any], word: str, before: int) -> None:
    assert isinstance(event, Event)
    ours = event.to_dict()
    assert list(ours)[:3] == ["event", "time", "family"]
    again = Event.from_dict(line)
    assert (again.to_dict(), again) == (line, event)
    if "timestamp_event" not in line:  # each then says when it saw the event
        for moment in (ours.pop("time"), line.pop("time")):
            assert before <= moment <= time.time_ns()
    assert ours == line
    assert ours["event"] == word
