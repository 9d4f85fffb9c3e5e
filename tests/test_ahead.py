"""Reading ahead gives what reading does, and leaves no thread behind."""

from __future__ import annotations

import _thread
import socket
import time
from collections.abc import Iterator

import pytest

from pyconntrack import Conntrack, KernelError
from pyconntrack import request as ask
from pyconntrack.ahead import Ahead
from pyconntrack.driver import stream
from pyconntrack.errors import DecodeError, DumpInterrupted
from pyconntrack.session import dump
from pyconntrack.transport import Transport
from pyconntrack.wire import consts as c
from pyconntrack.wire.frame import NLMSGHDR
from support.ctool import ours
from test_load import plain_lines

THREADS = _thread._count


class Pair:
    """A socket that answers each request with the next of its scripts."""

    def __init__(self, *scripts: list[tuple[int, int, bytes]]) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._scripts = list(scripts)

    def fileno(self) -> int:
        return self._near.fileno()

    def send(self, data: bytes) -> None:
        seq = int.from_bytes(data[8:12], "little")
        for kind, flags, payload in self._scripts.pop(0):
            self._far.send(NLMSGHDR.pack(16 + len(payload), kind, flags, seq, 0) + payload)

    def close(self) -> None:
        self._near.close()
        self._far.close()


ENTRY = (c.ct_msg(0), c.NLM_F_MULTI, b"\2\0\0\0")
DONE = (c.NLMSG_DONE, c.NLM_F_MULTI, bytes(4))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = THREADS()
    yield
    deadline = time.monotonic() + 5
    while THREADS() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert THREADS() == before


@pytest.fixture
def ahead(request: pytest.FixtureRequest) -> Iterator[Ahead]:
    pair = Pair(*request.param)
    ahead = Ahead(pair)  # type: ignore[arg-type]
    yield ahead
    ahead.close()
    pair.close()


def read(ahead: Ahead, policy: str = "accept") -> int:
    """How many bytes of entries a dump gives."""
    parts = stream(ahead, dump(ask.dump(), "listing", on_interrupt=policy))
    return sum(part.end for part in parts)


@pytest.mark.parametrize("ahead", [[[ENTRY] * 100 + [DONE], [DONE], [ENTRY, DONE]]], indirect=True)
def test_one_dump_after_another(ahead: Ahead) -> None:
    assert [read(ahead), read(ahead), read(ahead)] == [2000, 0, 20]


@pytest.mark.parametrize(
    "ahead", [[[ENTRY, (c.NLMSG_ERROR, 0, (-1).to_bytes(4, "little", signed=True))]]],
    indirect=True,
)  # fmt: skip
def test_what_the_kernel_refuses(ahead: Ahead) -> None:
    with pytest.raises(KernelError, match="EPERM"):
        read(ahead)


@pytest.mark.parametrize(
    "ahead", [[[ENTRY, (c.NLMSG_DONE, c.NLM_F_MULTI | c.NLM_F_DUMP_INTR, bytes(4))]]],
    indirect=True,
)  # fmt: skip
def test_interrupted(ahead: Ahead) -> None:
    with pytest.raises(DumpInterrupted):
        read(ahead, "raise")


@pytest.mark.parametrize("ahead", [[[]]], indirect=True)
def test_an_error_of_reading_is_raised(ahead: Ahead) -> None:
    ahead._transport._far.send(b"short")  # type: ignore[attr-defined]
    with pytest.raises(DecodeError, match="a datagram of 5 bytes"):
        read(ahead)


@pytest.mark.usefixtures("netns")
def test_a_table_is_what_a_dump_gives() -> None:
    assert ours("-R", "-", stdin="\n".join(plain_lines(30_000))).rc == 0
    with Conntrack() as ct:
        table = ct.table()
        assert len(table) == 30_000
        assert set(table["id"].tolist()) == {flow.id for flow in ct.dump()}


@pytest.mark.usefixtures("netns")
def test_a_reader_that_gives_up() -> None:
    assert ours("-R", "-", stdin="\n".join(plain_lines(30_000))).rc == 0
    for taken in (0, 1, 2) * 10:
        transport = Transport()
        ahead = Ahead(transport)
        parts = stream(ahead, dump(ask.dump(), "listing", on_interrupt="accept"))
        for _ in range(taken):
            next(parts)
        parts.close()
        ahead.close()
        transport.close()


@pytest.mark.parametrize("ahead", [[[DONE]]], indirect=True)
def test_no_thread_to_be_had(ahead: Ahead, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", none)
    with pytest.raises(RuntimeError, match="start new thread"):
        read(ahead)
