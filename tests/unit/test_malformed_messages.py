"""Messages that no kernel should send: a value or DecodeError, whoever reads them.

Messages of the schema with any of its attributes missing are changed byte by byte and attribute by
attribute.  What is read one by one and what is read as columns agree.
"""

from __future__ import annotations

import csv
import io
import json
import pickle
import random
import sys
import time
from collections.abc import Callable, Iterator
from struct import pack
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.cli import main as entry
from pyconntrack.cli import source
from pyconntrack.cli.console import failure
from pyconntrack.cli.main import main
from pyconntrack.columnar import columns, render
from pyconntrack.columnar.flow_table import FlowTable
from pyconntrack.columnar.predicates import mask
from pyconntrack.columnar.render import Bulk
from pyconntrack.ctnetlink import predicates
from pyconntrack.ctnetlink.constants import (
    ct_msg,
    exp_msg,
)
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.predicates import bind
from pyconntrack.ctnetlink.requests import Request
from pyconntrack.errors import ConntrackError, DecodeError, kernel_error
from pyconntrack.formats import csv as csv_format
from pyconntrack.formats import json as json_format
from pyconntrack.formats import table_columns
from pyconntrack.formats.registry import Writer
from pyconntrack.formats.segments import compile_line
from pyconntrack.model import Event, Expect, Flow, Tuple
from pyconntrack.netlink import conversation as session
from pyconntrack.netlink.constants import (
    NLM_F_ACK_TLVS,
    NLM_F_MULTI,
    NLMSG_DONE,
    NLMSG_ERROR,
)
from pyconntrack.netlink.conversation import RECV
from pyconntrack.netlink.messages import message as frame
from pyconntrack.netlink.messages import read_errno, read_ext_ack, split, walk
from pyconntrack.netlink.socket import Transport
from support.batches import formatted
from support.messages import NODES, SEQ, batch

ORDER = sys.byteorder
#: what an attribute's number or a header's field becomes
NUMBERS = (0, 1, 2, 3, 4, 5, 9, 14, 27, 28, 99, 0x3FFF)


def tree(data: bytes, start: int, end: int) -> list[list[Any]] | None:
    """The attributes in ``data[start:end]``: [number, flags, payload or attributes]; None: none."""
    found = []
    try:
        for number, at, size in walk(data, start, end):
            flags = int.from_bytes(data[at - 2 : at], ORDER) & 0xC000
            inner = tree(data, at, at + size) if flags & 0x8000 else None
            found.append([number, flags, data[at : at + size] if inner is None else inner])
    except DecodeError:
        return None
    return found


def nested(attributes: list[list[Any]]) -> bytes:
    out = b""
    for number, flags, inner in attributes:
        payload = inner if isinstance(inner, bytes) else nested(inner)
        out += pack("=HH", 4 + len(payload), number | flags) + payload + b"\0" * (-len(payload) & 3)
    return out


def every(attributes: list[list[Any]]) -> Iterator[tuple[list[list[Any]], int]]:
    for at, each in enumerate(attributes):
        yield attributes, at
        if isinstance(each[2], list):
            yield from every(each[2])


def by_attribute(message: bytes, chance: random.Random) -> bytes:
    """`message` with one attribute missing, doubled, moved, renumbered or of another size."""
    attributes = tree(message, 20, len(message))
    if not attributes:
        return message
    where, at = chance.choice(list(every(attributes)))
    kind = chance.randrange(6)
    if kind == 0:
        del where[at]
    elif kind == 1:
        where.append(where[at])
    elif kind == 2:
        where[at] = [chance.choice(NUMBERS), *where[at][1:]]
    elif kind == 3:
        where[at] = [where[at][0], where[at][1] ^ 0x8000, where[at][2]]
    elif kind == 4 and isinstance(where[at][2], bytes):
        payload = where[at][2]
        payload = payload[: chance.randrange(len(payload) + 1)] + b"\xff" * chance.choice((0, 1, 9))
        where[at] = [*where[at][:2], payload]
    else:
        where.insert(0, where.pop(at))
    body = nested(attributes)
    return pack("=I", 20 + len(body)) + message[4:20] + body


def by_byte(message: bytes, chance: random.Random) -> bytes:
    """`message` with some bytes changed, or cut; its length fits again, mostly."""
    raw = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(raw))
        raw[at] = chance.choice((0, 1, 2, 4, 10, 47, 255, chance.randrange(256)))
    if chance.random() < 0.3:
        del raw[chance.randrange(16, len(raw) + 1) :]
    if chance.random() < 0.8:
        raw[:4] = len(raw).to_bytes(4, ORDER)
    return bytes(raw)


def hostile(seed: int, *, expect: bool) -> list[bytes]:
    chance = random.Random(seed)
    found = []
    for message in batch(seed, 3, chance.choice((1, 3, 16)), expect=expect):
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            message = chance.choice((by_attribute, by_attribute, by_byte))(message, chance)
        found.append(message)
    return found


HOSTILE = st.builds(hostile, st.integers(0, 2**40), expect=st.booleans())


@pytest.fixture(params=[1, 12], ids=["matrices", "mixed"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "FEW", request.param)
    monkeypatch.setattr(render, "FEW", request.param)
    # how long a flow has lived, and when an event came, depend on when one looks
    for module in (time, csv_format, json_format, table_columns):
        monkeypatch.setattr(module, "time_ns", lambda: 1_700_000_000_000_000_000)


def padded(messages: list[bytes]) -> bytes:
    return b"".join(each + b"\0" * (-len(each) & 3) for each in messages)


def either(read: Callable[[], Any]) -> Any:
    """What `read` returns, or DecodeError for the error."""
    try:
        return read()
    except DecodeError:
        return DecodeError


def possible(make: Callable[[], Any]) -> None:
    """Makes a value of what a message said, or an error of ours that says that none can be."""
    try:
        make()
    except ConntrackError:
        pass


OPTIONS = [(), ("extended", "id", "ktimestamp"), ("xml", "ktimestamp"), ("save",), ("json",),
           ("ndjson",), ("csv",)]  # fmt: skip


@pytest.mark.usefixtures("few")
@given(HOSTILE, st.sampled_from(OPTIONS), st.sampled_from(["", "new", "update", "destroy"]),
       st.booleans())  # fmt: skip
def test_every_writer(
    messages: list[bytes], options: tuple[str, ...], event: str, expect: bool
) -> None:
    writer = Writer(options, {0: "zero", 5: "a&b"}, expect=expect, events=bool(event))

    def line(message: bytes) -> str:
        layout = find(message)
        return compile_line(writer.pieces(layout, event), layout)(layout.unpack(message))

    data = padded(messages)
    lines = either(lambda: [line(data[at : at + size]) for at, size, *_ in split(data)])
    many = either(lambda: formatted(Bulk(lambda layout: writer.pieces(layout, event)), data))
    if lines is DecodeError or many is DecodeError:
        assert lines is many
        return
    assert many == ("".join(f"{each}\n" for each in lines).encode(), len(lines))
    for each in lines:
        assert each.isprintable()
        if "xml" in options:
            ElementTree.fromstring(each)
        elif "json" in options or "ndjson" in options:
            json.loads(each.removeprefix(","))
        elif "csv" in options:
            (cells,) = csv.reader(io.StringIO(each + "\n"))
            (names,) = csv.reader(io.StringIO(writer.head.decode()))
            assert len(cells) == len(names)


@given(HOSTILE, st.booleans())
def test_every_value(messages: list[bytes], expect: bool) -> None:
    cls: type[Flow | Expect] = Expect if expect else Flow
    for message in messages:
        entry = either(lambda: cls.from_message(message))  # noqa: B023
        if entry is DecodeError:
            continue
        assert isinstance(str(entry), str)
        assert isinstance(repr(entry), str)
        json.dumps(entry.to_dict())
        hash(entry)
        assert entry == entry
        assert entry.same_as(pickle.loads(pickle.dumps(entry)))
        event = Event("new", entry)
        assert str(event)
        assert repr(event)
        json.dumps(event.to_dict())
        for name in dir(cls):
            if not name.startswith("_"):
                part = getattr(entry, name)
                if isinstance(part, Tuple):
                    assert str(part) is not None
                    assert repr(part)
                    hash(part)
                    json.dumps(part.to_dict())
                    possible(part.inverted)
        possible(lambda: entry.replace(timeout=1))  # noqa: B023
        possible(lambda: cls.from_dict(entry.to_dict()))  # noqa: B023


@pytest.mark.usefixtures("few")
@given(HOSTILE)
def test_a_table(messages: list[bytes]) -> None:
    data = padded(messages)
    table = either(lambda: FlowTable.from_batches([(data, len(data))]))
    alone = either(
        lambda: [Flow.from_message(data[at : at + size]) for at, size, *_ in split(data)]
    )
    if table is DecodeError or alone is DecodeError:
        assert table is alone
        return
    assert len(table) == len(alone)
    assert len(table.to_dicts()) == len(table)
    assert repr(table)
    for name in table.columns:
        assert len(table[name]) == len(table)
        assert len(table.sort(name)) == len(table)
        table.group_sum(name)
        assert len(list(table[name])) == len(table)


@pytest.mark.usefixtures("few")
@given(HOSTILE, st.data())
def test_a_predicate(messages: list[bytes], data: st.DataObject) -> None:
    node = data.draw(NODES)
    joined = padded(messages)
    if either(lambda: [find(joined[at : at + n]) for at, n, *_ in split(joined)]) is DecodeError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicates, "now", lambda: 10**18)
        for group in columns.groups(joined, columns.starts(joined, len(joined))):
            test = bind(node, group.layout)
            answers = [
                test if isinstance(test, bool) else bool(test(group.layout.unpack(message)))
                for message in group.messages()
            ]
            assert mask(node, group).tolist() == answers


# ---- answers ------------------------------------------------------------------------------------


def answer(chance: random.Random, seq: int) -> bytes:
    """A datagram: entries, an end, errors, and what a fault makes of them."""
    parts = []
    kinds = (NLMSG_ERROR, NLMSG_ERROR, NLMSG_DONE, ct_msg(0), exp_msg(2), 1, 0x300)
    numbers = (0, 0, -1, -2, -17, -28, 1, 4095, -4095, -4096, -(2**31), 2**31 - 1)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        kind, number = chance.choice(kinds), chance.choice(numbers)
        body = pack("=i", number)
        if chance.random() < 0.7:
            body += pack("=IHHII", chance.choice((16, 20, 24, 2**32 - 1, 0)), ct_msg(0), 5, seq, 0)
        if chance.random() < 0.5:
            text = chance.choice((b"no such helper", b"\x1b[2J\xff", b"", b"a" * 300))
            size = chance.choice((4 + len(text), 0, 3, 65535))
            body += pack("=HH", size, chance.choice((1, 2, 9))) + text
        flags = NLM_F_MULTI | chance.choice((0, NLM_F_ACK_TLVS, 0x100, NLM_F_ACK_TLVS | 0x100))
        part = pack("=IHHII", 16 + len(body), kind, flags, chance.choice((seq, seq, 0)), 0) + body
        parts.append(by_byte(part, chance) if chance.random() < 0.3 else part)
    data = padded(parts)
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.2 else data


class Ended(Exception):
    """There are no more answers."""


def drive(conversation: Any, chance: random.Random, seq: int) -> None:
    reply = None
    answers = 0
    try:
        while True:
            effect = conversation.send(reply)
            reply = None
            if effect is RECV:
                answers += 1
                if answers > 8:
                    raise Ended
                reply = answer(chance, seq)
    except (StopIteration, ConntrackError, Ended):
        pass


REQUEST = Request(ct_msg(1), 0, 2)
CONVERSATIONS: dict[str, Callable[[], Any]] = {
    "dump": lambda: session.dump(REQUEST, "listing"),
    "ask": lambda: session.ask(REQUEST, "asking"),
    "batch": lambda: session.batch([REQUEST] * 3),
    "sent": lambda: session.sent(b"", SEQ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@given(seed=st.integers(0, 2**40))
def test_every_conversation(name: str, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "sequence", lambda: SEQ & 0x3FFFFFFF)
        drive(CONVERSATIONS[name](), random.Random(seed), SEQ & 0x3FFFFFFF)


@given(st.binary(min_size=16, max_size=80), st.integers(0, 0xFFFF), st.booleans())
def test_an_error_message(data: bytes, flags: int, done: bool) -> None:
    number = either(lambda: read_errno(data, 0, len(data)))
    words, offset = read_ext_ack(data, 0, len(data), flags, done)
    assert offset is None or 0 <= offset < 1 << 32
    if number is not DecodeError:
        assert str(kernel_error(number, "asking", words)).isprintable()
        assert failure(number, words)


def test_an_errno_that_is_none() -> None:
    for number in (-(2**31), -4096, 1, 2**31 - 1):
        with pytest.raises(DecodeError, match="errno"):
            read_errno(pack("=IHHIIi", 20, 2, 0, 0, 0, number), 0, 20)


def test_words_that_are_broken_do_not_hide_the_error() -> None:
    head = pack("=IHHIIi", 44, 2, NLM_F_ACK_TLVS, 0, 0, -28) + pack("=IHHII", 16, 0, 0, 0, 0)
    data = head + pack("=HH", 65535, 1) + b"bad!"
    assert read_errno(data, 0, 44) == 28
    assert read_ext_ack(data, 0, 44, NLM_F_ACK_TLVS, False) == ("", None)


def test_a_value_of_another_kind_of_message() -> None:
    for cls, kind in ((Flow, exp_msg(0)), (Expect, ct_msg(0)), (Flow, ct_msg(4))):
        with pytest.raises(DecodeError, match="message type"):
            cls.from_message(frame(kind, 0, 0, 2))


# ---- the command --------------------------------------------------------------------------------

COMMANDS = ["-L", "-L -o xml,ktimestamp", "-L -o json", "-L -o csv", "-L -o save",
            "-L --where 'bytes > 5'", "-D", "-U -m 5", "-L expect", "-C", "-S", "-S -o json",
            "-G -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2"]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command(
    words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Hostile(Transport):
        def __init__(self, *_: object, **__: object) -> None:
            self.answers = 0
            self.seq = 0

        def send(self, data: bytes | bytearray | memoryview) -> None:
            self.seq = int.from_bytes(data[8:12], ORDER)

        def recv(self) -> bytes:
            self.answers += 1
            if self.answers > 6:
                return pack("=IHHIIi", 20, NLMSG_DONE, NLM_F_MULTI, self.seq, 0, 0)
            if chance.random() < 0.5:
                return answer(chance, self.seq)
            messages = hostile(chance.getrandbits(40), expect="expect" in words)
            seq = self.seq.to_bytes(4, ORDER)
            return padded([each[:8] + seq + each[12:] for each in messages])

        def close(self) -> None:
            pass

    monkeypatch.setattr("pyconntrack.netlink.socket.Transport", Hostile)
    monkeypatch.setattr(source, "table_size", lambda: 0)
    monkeypatch.setattr(entry, "asked", lambda _: None)
    for seed in range(40):
        chance = random.Random(f"{words} {seed}")
        code = main([word.strip("'") for word in words.replace("bytes > 5", "bytes>5").split()])
        out, err = capfd.readouterr()
        assert code in (0, 1)
        assert err.count("\n") <= 8
        for line in (*out.split("\n"), *err.split("\n")):
            assert line.replace("\t", "").isprintable(), line
