"""The JSON form is read alike by the library and by -R, and gives back what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from pyconntrack import Event, Flow, RequestError
from pyconntrack.cli.ndjson import request_of
from pyconntrack.cli.selection import of_messages
from pyconntrack.cli.undo import updated
from pyconntrack.columnar import columns, render
from pyconntrack.ctnetlink.constants import (
    ct_msg,
)
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.schema import CONNTRACK
from pyconntrack.formats.json import flow as json_pieces
from pyconntrack.formats.segments import compile_line
from pyconntrack.netlink.messages import attr, nest
from pyconntrack.netlink.messages import message as frame
from support.batches import formatted
from support.ctool import ours_argv, run
from support.messages import messages

UDP: dict[str, Any] = {
    "family": "ipv4",
    "orig": {"src": "10.0.0.1", "dst": "10.0.0.2", "proto": "udp", "sport": 1, "dport": 2},
    "timeout": 60,
}


def both(members: dict[str, Any]) -> tuple[bytes, Flow]:
    """What -R sends for an object, and the flow that the library reads."""
    return request_of(json.dumps(members)).payload, Flow.from_dict(members)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ({"status": "ASSURED"}, {"status": ["ASSURED"]}),
        ({"status": 6}, {"status": ["SEEN_REPLY", "ASSURED"]}),
        ({"status": ["seen_reply", 4]}, {"status": 6}),
        ({"status": "assured"}, {"status": 4}),
        ({"family": "IPv4"}, {}),
        ({"orig": {**UDP["orig"], "proto": "UDP"}}, {"orig": {**UDP["orig"], "proto": 17}}),
        ({"helper": None}, {}),
        ({"unknown": [{"path": [4, 99], "data": "00ff"}]}, {}),
        ({"labels": [1, 70]}, {"labels": [70, 1]}),
    ],
)
def test_every_spelling_means_the_same_to_both_readers(
    written: dict[str, Any], same: dict[str, Any]
) -> None:
    (sent, flow), (sent_same, flow_same) = both(UDP | written), both(UDP | same)
    assert sent == sent_same
    assert flow.differences(flow_same) == {}


def test_a_word_of_a_state_may_be_in_any_case() -> None:
    tcp = UDP | {"orig": {**UDP["orig"], "proto": "tcp"}}
    spellings = [both(tcp | {"tcp_state": state})[0] for state in ("established", "ESTABLISHED", 3)]
    assert spellings[0] == spellings[1] == spellings[2]
    assert Event.from_dict({"event": "NEW", **tcp}).kind == "new"
    event = request_of(json.dumps({"event": "NEW", **tcp}))
    assert event.payload == request_of(json.dumps(tcp)).payload


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"tmeout": 5}, "no member `tmeout': do you mean `timeout'"),
        ({"Mark": 5}, "do you mean `mark'"),
        ({"orig": {"sprt": 1}}, "no member `orig.sprt': do you mean `orig.sport'"),
        ({"orgi": {"sport": 1}}, "do you mean `orig'"),
        ({"orig": {"src": "10.0.0.1", "dst": "::1"}}, "orig.dst: an IPv4 address is wanted"),
        ({"status": [["ASSURED"]]}, "status: "),
        ({"status": [True]}, "status: "),
        ({"status": [1 << 32]}, "status: "),
        ({"status": -1}, "status: -1 is not in"),
        ({"status": 4.0}, "status: a number or one of"),
        ({"mark": True}, "mark: a whole number is wanted"),
        ({"helper": "\ud800"}, "helper: a text is wanted"),
        ({"helper": "a\0b"}, "helper: a text is wanted"),
        ({"helper": "a" * 100_000}, "helper: a text is wanted"),
        ({"labels": [128]}, "labels: label numbers 0..127"),
        ({"unknown": [{"path": [], "data": ""}]}, "unknown: {path, data} is wanted"),
        ({"unknown": [{"path": [-1], "data": ""}]}, "unknown: {path, data} is wanted"),
        ({"unknown": 5}, "unknown: {path, data} is wanted"),
        ({"family": "ipx"}, "family: 'ipx' is none of"),
    ],
)
def test_what_is_wrong_is_named_by_both_readers(members: dict[str, Any], said: str) -> None:
    for reader in (Flow.from_dict, lambda data: request_of(json.dumps(data))):
        with pytest.raises(RequestError) as caught:
            reader(members)
        assert said in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_member_of_a_newer_version_is_left_out_with_one_warning(netns: object) -> None:
    newer = UDP | {"quux": 5, "orig": {**UDP["orig"], "xyzzy": {"a": 1}}}
    with pytest.warns(UserWarning, match=r"left out: orig\.xyzzy, quux"):
        flow = Flow.from_dict(newer)
    assert flow.same_as(Flow.from_dict(UDP))
    lines = "".join(json.dumps(newer | {"mark": mark}) + "\n" for mark in range(9))
    done = run([*ours_argv(), "-R", "-"], lines)
    assert (done.rc, done.err.count("`quux'"), done.err.count("`orig.xyzzy'")) == (0, 1, 1)
    assert done.err.count("\n") == 2


@given(messages(CONNTRACK, ct_msg(0)))
def test_what_is_written_of_any_flow_makes_a_request_or_says_why_not(message: bytes) -> None:
    written = Flow.from_message(message).to_dict()
    try:
        request = request_of(json.dumps(written))
    except RequestError:
        return
    assert request.warnings == []
    sent = Flow.from_message(frame(request.kind, 0, 0, request.family, request.payload))
    lost = {"mark", "timeout", "labels", "tcp_state"} & written.keys() - sent.to_dict().keys()
    assert not lost
    # counters, which lie in the same object, are of no request
    assert ("src" in written.get("orig", {})) <= ("src" in sent.to_dict().get("orig", {}))


_TUPLE = attr(1, attr(1, b"\x0a\0\0\1") + attr(2, b"\x0a\0\0\2")) + attr(
    2, attr(1, b"\x11") + attr(2, b"\0\1") + attr(3, b"\0\2")
)
#: attributes of a newer kernel, and what is written of them
UNKNOWN = [
    (nest(1, _TUPLE) + attr(99, b"new"), [{"path": [99], "data": "6e6577"}]),
    (attr(99, b"") + nest(1, _TUPLE), [{"path": [99], "data": ""}]),
    (
        nest(1, _TUPLE + attr(77, b"\0\xff")) + attr(8, b"\0\0\0\5") + attr(98, b"x" * 9),
        [{"path": [1, 77], "data": "00ff"}, {"path": [98], "data": "78" * 9}],
    ),
]


@pytest.mark.parametrize(("attributes", "unknown"), UNKNOWN, ids=["last", "empty", "nested"])
def test_unknown_attributes_are_written_alike_by_all_and_sent_by_none(
    attributes: bytes, unknown: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "FEW", 1)
    monkeypatch.setattr(render, "FEW", 1)
    attributes += attr(7, b"\0\0\0\x3c")  # a timeout
    message = frame(ct_msg(0), 0, 0, 2, attributes)
    message += b"\0" * (-len(message) % 4)
    flow = Flow.from_message(message)
    assert flow.to_dict()["unknown"] == unknown
    assert Flow.from_dict(flow.to_dict()).to_dict() == flow.to_dict()
    layout = find(message)
    line = compile_line(json_pieces(layout), layout)(layout.unpack(message))
    assert json.loads(line) == flow.to_dict()
    many = formatted(render.Bulk(json_pieces), message * 20)
    assert many == (f"{line}\n".encode() * 20, 20)
    undo = updated(["timeout"])(of_messages([message]))
    assert "unknown" not in json.loads(undo)
    without = {key: value for key, value in flow.to_dict().items() if key != "unknown"}
    assert request_of(line).payload == request_of(json.dumps(without)).payload
    assert request_of(line).warnings == []
