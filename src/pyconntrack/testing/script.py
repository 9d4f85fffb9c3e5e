"""A scripted kernel, and the messages for its scripts.

``Conntrack(transport=ScriptedKernel([...]))`` uses a script instead of a socket: each
:class:`Step` holds the answers to one request.

    kernel = ScriptedKernel([Step(dump_of(flow), done())])
    with Conntrack(transport=kernel) as conntrack:
        assert list(conntrack.dump()) == [flow]
    assert kernel.finished
"""

from __future__ import annotations

import errno as _errno
import os
import sys

from ..ctnetlink import constants as c
from ..ctnetlink.layout import find
from ..errors import KernelError
from ..netlink import constants as nl
from ..netlink.messages import NLMSGHDR, attr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ..ctnetlink.literals import EventKind
    from ..model import Expect, Flow

    #: an answer of a step: a datagram, "ENOBUFS", "TRUNCATED", or a function of the request's bytes
    Answer = bytes | str | Callable[[bytes], bytes]

#: the answer "the receive buffer overflowed"
ENOBUFS = "ENOBUFS"
#: the answer "the datagram was longer than the buffer"
TRUNCATED = "TRUNCATED"


class ScriptError(AssertionError):
    """The program under test departed from the script."""


class Step:
    """One request and its answers.

    ``answers``: datagrams (bytes), functions that make one of the request, ENOBUFS or TRUNCATED.
    ``unasked``: what an event socket receives at the same time.
    ``expect``: the request's bytes with its sequence numbers zeroed, or a function that returns
    whether the request is right; None accepts any.
    """

    __slots__ = ("answers", "expect", "unasked")

    answers: tuple[Answer, ...]
    unasked: tuple[bytes | str, ...]
    expect: bytes | Callable[[bytes], bool] | None

    def __init__(
        self,
        *answers: Answer,
        expect: bytes | Callable[[bytes], bool] | None = None,
        unasked: Iterable[bytes | str] = (),
    ) -> None:
        self.answers, self.expect, self.unasked = answers, expect, tuple(unasked)


class ScriptedKernel:
    """A kernel that plays a script, in place of the socket.

    ``steps``: a :class:`Step` for each request, in order; ``unasked``: datagrams (or ENOBUFS) that
    sockets receive without a request once they have joined an event group.  ``requests`` keeps
    what was sent; ``dropped`` is the drop counter, which each ENOBUFS raises by ``loss``.
    """

    def __init__(
        self, steps: Iterable[Step] = (), *, unasked: Iterable[bytes | str] = (), loss: int = 1
    ) -> None:
        self.steps: list[Step] = list(steps)
        self.requests: list[bytes] = []
        self.queue: list[bytes | str] = []
        self.unasked: list[bytes | str] = list(unasked)
        self.loss: int = loss
        self.dropped: int = 0
        self.groups: list[int] = []
        self.sizes: list[int] = []
        self.opened: int = 0
        self.closed: int = 0
        self._pipe = os.pipe()
        os.write(self._pipe[1], b"!")  # always readable: the script has what is read

    def __call__(self, netns: object = None, *, rcvbuf: int = 0, blocking: bool = True) -> Any:
        """Open a socket; all sockets share one script."""
        self.opened += 1
        return _Socket(self)

    @property
    def finished(self) -> bool:
        """Return whether the whole script was played."""
        return not (self.steps or self.queue or self.unasked)

    def fileno(self) -> int:
        """Return a descriptor that is always readable."""
        return self._pipe[0]

    def close(self) -> None:
        """Count a closed socket; the script continues with the next one."""
        self.closed += 1

    def __del__(self) -> None:
        for fd in self._pipe:
            os.close(fd)

    def set_rcvbuf(self, size: int) -> None:
        """Record the requested size in ``sizes``."""
        self.sizes.append(size)

    @property
    def rcvbuf(self) -> int:
        """Return the last requested size in bytes, 212992 before the first."""
        return self.sizes[-1] if self.sizes else 212992

    @property
    def drops(self) -> int:
        """Return the number of datagrams lost so far."""
        return self.dropped

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next step; raise :class:`ScriptError` if none is left or another is due."""
        request = bytes(data)
        self.requests.append(request)
        if not self.steps:
            raise ScriptError(f"the script has no request left; sent: {request.hex()}")
        step = self.steps.pop(0)
        if callable(step.expect):
            if not step.expect(request):
                raise ScriptError(f"not the expected request: {request.hex()}")
        elif step.expect is not None and without_seq(request) != step.expect:
            raise ScriptError(
                f"sent {without_seq(request).hex()}\nexpected {step.expect.hex()}"
            )  # fmt: skip
        self.queue += [
            answer if isinstance(answer, (bytes, str)) else answer(request)
            for answer in step.answers
        ]
        self.unasked += step.unasked

    def recv(self, *, unasked: bool = False) -> bytes:
        """Return the next datagram; raise BlockingIOError if the script has none."""
        queue = self.unasked if unasked else self.queue
        if not queue:
            raise BlockingIOError(_errno.EAGAIN, "the script has nothing to read")
        answer = queue.pop(0)
        if answer == ENOBUFS:
            self.dropped += self.loss
            raise KernelError(_errno.ENOBUFS, "reading from the kernel")
        if answer == TRUNCATED:
            raise KernelError(_errno.EMSGSIZE, "reading from the kernel")
        assert isinstance(answer, bytes)
        return answer


class _Socket:
    """A socket of a scripted kernel; once it has joined a group it reads events only."""

    def __init__(self, kernel: ScriptedKernel) -> None:
        self._kernel, self._joined = kernel, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)

    def join(self, groups: Iterable[int]) -> None:
        """Add ``groups`` to those of the kernel."""
        self._joined = True
        self._kernel.groups += groups

    def leave(self, groups: Iterable[int]) -> None:
        """Remove ``groups`` from those of the kernel."""
        for group in groups:
            self._kernel.groups.remove(group)

    def recv(self) -> bytes:
        """Return the next datagram; raise BlockingIOError if the script has none."""
        return self._kernel.recv(unasked=self._joined)


def _places(request: bytes) -> Iterator[int]:
    """Yield the offset of each message of a request."""
    pos = 0
    while pos + 16 <= len(request):
        yield pos
        pos += max(16, int.from_bytes(request[pos : pos + 4], sys.byteorder) + 3 & ~3)


def without_seq(request: bytes) -> bytes:
    """Return a request of one or many messages with all its sequence numbers zeroed."""
    out = bytearray(request)
    for pos in _places(request):
        out[pos + 8 : pos + 12] = b"\0\0\0\0"
    return bytes(out)


def _header(request: bytes, index: int = -1) -> tuple[int, int]:
    """Return (sequence number, position) of one message of a request."""
    at = list(_places(request))[index]
    return int.from_bytes(request[at + 8 : at + 12], sys.byteorder), at


def with_header(part: bytes, kind: int, flags: int, seq: int = 0, portid: int = 0) -> bytes:
    """Return a message with another type, flags, sequence number and port."""
    return NLMSGHDR.pack(len(part), kind, flags, seq, portid) + part[16:]


def event_message(kind: EventKind, entry: Flow | Expect) -> bytes:
    """Return the datagram of an event: ``kind`` is "new", "update" or "destroy"."""
    from ..model import Flow

    make = c.ct_msg if isinstance(entry, Flow) else c.exp_msg
    flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL if kind == "new" else 0
    return with_header(entry.message, make(2 if kind == "destroy" else 0), flags)


def dump_of(*entries: Flow | Expect, interrupted: bool = False) -> Callable[[bytes], bytes]:
    """Return the answer to a dump: a datagram with ``entries``."""

    def answer(request: bytes) -> bytes:
        seq, _ = _header(request)
        flags = nl.NLM_F_MULTI | (nl.NLM_F_DUMP_INTR if interrupted else 0)
        parts = []
        for entry in entries:
            part = entry.message
            kind = int.from_bytes(part[4:6], sys.byteorder) & 0xFF00
            parts.append(with_header(part, kind, flags, seq) + b"\0" * (-len(part) & 3))
        return b"".join(parts)

    return answer


def done(*, interrupted: bool = False, errno: int = 0) -> Callable[[bytes], bytes]:
    """Return the answer that ends a dump (NLMSG_DONE), with ``errno`` where it failed."""

    def answer(request: bytes) -> bytes:
        seq, _ = _header(request)
        flags = nl.NLM_F_MULTI | (nl.NLM_F_DUMP_INTR if interrupted else 0)
        body = (-errno).to_bytes(4, sys.byteorder, signed=True)
        return NLMSGHDR.pack(20, nl.NLMSG_DONE, flags, seq, 0) + body

    return answer


def reply(entry: Flow | Expect) -> Callable[[bytes], bytes]:
    """Return the answer to a get: ``entry``."""

    def answer(request: bytes) -> bytes:
        seq, _ = _header(request)
        kind = int.from_bytes(entry.message[4:6], sys.byteorder) & 0xFF00
        return with_header(entry.message, kind, 0, seq)

    return answer


def ack(
    errno: int = 0, ext_ack: str = "", *, index: int | None = None, attribute: str | None = None
) -> Callable[[bytes], bytes]:
    """Return an acknowledgement, or a refusal with ``errno`` and the text ``ext_ack``.

    ``index``: the message of a batch that it answers; None is the last.  ``attribute``: the name of
    the field in that message that is refused.
    """

    def answer(request: bytes) -> bytes:
        seq, at = _header(request, -1 if index is None else index)
        flags = nl.NLM_F_CAPPED
        body = (-errno).to_bytes(4, sys.byteorder, signed=True) + request[at : at + 16]
        if ext_ack:
            flags |= nl.NLM_F_ACK_TLVS
            body += attr(nl.NLMSGERR_ATTR_MSG, ext_ack.encode() + b"\0")
        if attribute is not None:
            flags |= nl.NLM_F_ACK_TLVS
            length = int.from_bytes(request[at : at + 4], sys.byteorder)
            offset = find(request[at : at + length]).slots[attribute].offset - nl.NLA_HDRLEN
            body += attr(nl.NLMSGERR_ATTR_OFFS, offset.to_bytes(4, sys.byteorder))
        return NLMSGHDR.pack(16 + len(body), nl.NLMSG_ERROR, flags, seq, 0) + body

    return answer
