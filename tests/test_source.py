"""How a table's entries come: each way shows the same, and what goes wrong on it is told."""

from __future__ import annotations

import _thread
import errno
import os
import threading
from collections.abc import Iterator

import pytest

from pyconntrack import request, ring
from pyconntrack.cli import source
from pyconntrack.driver import Beside, started
from pyconntrack.errors import KernelError
from pyconntrack.session import DoneAt, dump
from pyconntrack.testing import ScriptedKernel, Step, done
from pyconntrack.transport import Transport
from support.ctool import normalise, ours, theirs
from support.netns import Namespace, fresh_netns
from test_load import plain_lines

SIZES = [source.SOME - 1, source.SOME, source.MANY + 1000]


@pytest.fixture(scope="module", params=SIZES)
def size(request: pytest.FixtureRequest) -> Iterator[int]:
    with fresh_netns():
        assert ours("-R", "-", stdin="\n".join(plain_lines(request.param))).rc == 0
        yield request.param


def test_the_size_is_told(size: int) -> None:
    assert source.table_size() == size


@pytest.mark.parametrize("words", ["-L", "-L -o extended,id", "-L -p tcp"])
def test_every_size_is_listed_alike(size: int, words: str) -> None:
    mine, reference = ours(*words.split()), theirs(*words.split())
    assert mine.rc == reference.rc == 0
    assert normalise(mine.out) == normalise(reference.out)
    assert len(mine.out.splitlines()) == size


def test_only_from_some_entries_on_there_is_a_second_process(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Counted(ring.Ring):
        def _start(self, done_at: DoneAt) -> None:
            made.append(done_at)
            super()._start(done_at)

    monkeypatch.setattr(ring, "Ring", Counted)
    monkeypatch.setattr(ring, "worth_it", lambda: True)
    transport = Transport()
    parts = source.entries(transport, request.dump(), size)
    assert sum(part.end for part in parts) > 100 * size
    transport.close()
    assert len(made) == (size >= source.SOME)


@pytest.mark.parametrize("what", ["fork", "pipe"])
def test_no_second_process_is_to_be_had(
    size: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EAGAIN, "a limit")

    monkeypatch.setattr(os, what, refuse)
    monkeypatch.setattr(ring, "worth_it", lambda: True)
    transport = Transport()
    parts = source.entries(transport, request.dump(), source.SOME)
    assert sum(part.end for part in parts) > 100 * size
    transport.close()


def test_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    slow = Slow()
    slow.go_on.set()
    beside = Beside(slow)
    beside.send(b"question")
    assert slow.sent
    assert beside.recv() == b"answer"


def test_a_size_that_is_not_told_is_small(
    netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_COUNT", "/proc/no/such/file")
    assert source.table_size() == 0


class Slow:
    """A link whose send waits until it is told to go on."""

    def __init__(self, error: KernelError | None = None) -> None:
        self.go_on = threading.Event()
        self.sending = threading.Event()
        self.error = error
        self.sent = False

    def send(self, data: bytes) -> None:
        self.sending.set()
        assert self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        self.sent = True

    def recv(self) -> bytes:
        assert self.sent
        return b"answer"


def test_sending_beside_returns_at_once() -> None:
    slow = Slow()
    beside = Beside(slow)
    beside.send(b"question")
    assert slow.sending.wait(10)
    assert not slow.sent
    threading.Timer(0.05, slow.go_on.set).start()
    assert beside.recv() == b"answer"  # which waits for the end of sending
    slow.sent = False
    beside.send(b"again")  # one link serves many requests
    threading.Timer(0.05, slow.go_on.set).start()
    assert beside.recv() == b"answer"


def test_what_sending_beside_raises_is_raised_by_receiving() -> None:
    slow = Slow(KernelError(105, "asking the kernel"))
    slow.go_on.set()
    parts = started(Beside(slow), dump(request.dump(), "listing"))
    with pytest.raises(KernelError, match="ENOBUFS"):
        next(parts)


def test_what_is_started_has_sent_its_request() -> None:
    kernel = ScriptedKernel([Step(done())])
    parts = started(kernel, dump(request.dump(), "listing"))
    assert kernel.finished is False  # its answer is there to be read
    assert len(kernel.requests) == 1
    assert list(parts) == []
    assert kernel.finished
