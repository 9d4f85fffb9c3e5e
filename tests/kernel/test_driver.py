"""Receiving beside the caller gives what receiving does, holds little, and leaves no thread."""

from __future__ import annotations

import _thread
import errno
import os
import threading
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from pyconntrack import Conntrack, KernelError
from pyconntrack.ctnetlink import constants as c
from pyconntrack.ctnetlink import requests as ask
from pyconntrack.errors import DecodeError, DumpInterruptedError
from pyconntrack.netlink import constants as nl
from pyconntrack.netlink.conversation import dump
from pyconntrack.netlink.driver import Receiver, started, stream
from pyconntrack.netlink.messages import NLMSGHDR
from pyconntrack.netlink.socket import Transport
from pyconntrack.thresholds import CHANGE, LISTING
from support.ctool import ours
from support.entries import plain_lines
from support.traffic import eventually

THREADS = _thread._count
Answer = tuple[int, int, bytes]


class Link:
    """Answers each request with the next of its scripts; counts what was taken."""

    def __init__(self, *scripts: Sequence[Answer | bytes | Exception]) -> None:
        self._scripts = list(scripts)
        self.queue: list[bytes | Exception] = []
        self.taken = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.sent = False

    def send(self, data: bytes) -> None:
        assert self.go_on.wait(10)
        seq = int.from_bytes(data[8:12], "little")
        for answer in self._scripts.pop(0):
            if isinstance(answer, tuple):
                kind, flags, payload = answer
                answer = NLMSGHDR.pack(16 + len(payload), kind, flags, seq, 0) + payload
            self.queue.append(answer)
        self.sent = True
        if isinstance(self.queue[0], OSError):
            raise self.queue[0]

    def has_given(self, number: int) -> bool:
        return self.taken >= number

    def recv(self) -> bytes:
        self.taken += 1
        answer = self.queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


ENTRY = (c.ct_msg(0), nl.NLM_F_MULTI, b"\2\0\0\0")
DONE = (nl.NLMSG_DONE, nl.NLM_F_MULTI, bytes(4))
INTERRUPTED = (nl.NLMSG_DONE, nl.NLM_F_MULTI | nl.NLM_F_DUMP_INTR, bytes(4))
REFUSED = (nl.NLMSG_ERROR, 0, (-1).to_bytes(4, "little", signed=True))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = THREADS()
    yield
    eventually(lambda: THREADS() <= before, "the end of the thread")


@pytest.fixture(params=["a thread", "one core", "no thread"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ways of receiving, which all give the same."""

    def none(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    cores = {0} if request.param == "one core" else {0, 1}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    if request.param != "a thread":
        monkeypatch.setattr(_thread, "start_new_thread", none)
    return str(request.param)


def read(receiver: Receiver, policy: str = "accept") -> int:
    """How many bytes of entries a dump gives."""
    parts = stream(receiver, dump(ask.dump(), "listing", on_interrupt=policy))
    return sum(part.end for part in parts)


@pytest.mark.usefixtures("way")
def test_one_dump_after_another() -> None:
    receiver = Receiver(Link([ENTRY] * 100 + [DONE], [DONE], [ENTRY, DONE]), 4)
    assert [read(receiver), read(receiver), read(receiver)] == [2000, 0, 20]
    receiver.close()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([ENTRY, REFUSED], "EPERM"), ([ENTRY, INTERRUPTED], "the table changed"),
        ([b"short"], "a datagram of 5 bytes"),
        ([ENTRY, KernelError(errno.ENOBUFS, "x")], "ENOBUFS"),
        ([KernelError(errno.EPERM, "asking the kernel")], "asking the kernel"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("way")
def test_an_error_of_the_thread_is_raised_by_the_caller(
    script: list[Answer | bytes | Exception], error: str
) -> None:
    receiver = Receiver(Link(script), 4)
    with pytest.raises((KernelError, DecodeError, DumpInterruptedError), match=error):
        read(receiver, "raise")
    receiver.close()


@pytest.mark.parametrize("ahead", [1, CHANGE.ahead, LISTING.ahead])
def test_no_more_than_asked_for_waits(ahead: int) -> None:
    link = Link([ENTRY] * 200 + [DONE])
    receiver = Receiver(link, ahead)
    parts = started(receiver, dump(ask.dump(), "listing"))
    eventually(lambda: link.taken == ahead, "a full list")
    taken = 0
    for taken, _ in enumerate(parts, 1):
        if taken % 20 == 0:
            # it goes on as soon as half of the list is free
            eventually(partial(link.has_given, min(taken + ahead // 2 + 1, 200)), "receiving")
        assert link.taken <= taken + ahead
    assert taken == 200
    receiver.close()


def test_sending_returns_while_the_kernel_still_walks() -> None:
    link = Link([ENTRY, DONE])
    link.go_on.clear()
    receiver = Receiver(link, 4)
    parts = started(receiver, dump(ask.dump(), "listing"))
    assert not link.sent
    threading.Timer(0.05, link.go_on.set).start()
    assert next(parts).end == 20  # which waits for the end of sending
    assert list(parts) == []
    receiver.close()


@pytest.mark.usefixtures("netns", "way")
def test_a_reader_that_gives_up() -> None:
    assert ours("-R", "-", stdin="\n".join(plain_lines(6_000))).rc == 0
    for taken in (0, 1, 2, 5, 9):
        transport = Transport()
        receiver = Receiver(transport, 4)
        parts = started(receiver, dump(ask.dump(), "listing", on_interrupt="accept"))
        for _ in range(taken):
            next(parts)
        parts.close()
        receiver.close()
        transport.close()


@pytest.mark.usefixtures("netns", "way")
def test_a_table_is_what_a_dump_gives() -> None:
    assert ours("-R", "-", stdin="\n".join(plain_lines(2_000))).rc == 0
    with Conntrack() as ct:
        table = ct.table()
        assert len(table) == 2_000
        assert set(table["id"].tolist()) == {flow.id for flow in ct.dump()}
