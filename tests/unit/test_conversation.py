"""Conversations against a scripted kernel."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from pyconntrack import (
    Conntrack,
    DecodeError,
    DumpInterruptedError,
    Filter,
    Flow,
    KernelError,
    NotSupportedError,
    PermissionDeniedError,
    RequestError,
    Tuple,
)  # fmt: skip
from pyconntrack.ctnetlink.requests import dump
from pyconntrack.netlink.constants import NLM_F_DUMP, NLM_F_REQUEST
from pyconntrack.netlink.conversation import Batch, gather
from pyconntrack.netlink.messages import message
from pyconntrack.testing import (
    ENOBUFS,
    TRUNCATED,
    ScriptedKernel,
    ScriptError,
    Step,
    ack,
    done,
    dump_of,
    reply,
)  # fmt: skip


def flow(number: int) -> Flow:
    one = Tuple("10.0.0.1", "10.0.0.2", "udp", number, 53)
    return Flow(one, one.inverted(), timeout=30, id=number + 1)


A, B, C = flow(1), flow(2), flow(3)


def play(*steps: Step) -> tuple[Conntrack, ScriptedKernel]:
    kernel = ScriptedKernel(steps)
    return Conntrack(transport=kernel), kernel


def test_dump_over_several_datagrams_and_its_exact_request() -> None:
    request = message(dump().kind, NLM_F_REQUEST | NLM_F_DUMP, 0, 0)
    conntrack, kernel = play(Step(dump_of(A, B), dump_of(C), done(), expect=request))
    assert list(conntrack.dump()) == [A, B, C]
    assert kernel.finished


def test_the_filter_is_decided_again() -> None:
    conntrack, _ = play(Step(dump_of(A, B, C), done()))
    assert list(conntrack.dump(Filter(orig_sport=2))) == [B]


def test_gathered_batches_are_joined_in_order_until_there_are_enough_bytes() -> None:
    batches = [Batch(b"abc?", 3), Batch(b"d", 1), Batch(b"ef", 2), Batch(b"gh", 2)]
    windows = [(part.data, part.end) for part in gather(batches, 4)]
    assert windows == [(b"abcd", 4), (b"efgh", 4)]
    assert [part.data for part in gather(batches, 5)] == [b"abcdef", b"gh"]
    assert [part.data for part in gather(batches, 0)] == [b"abc", b"d", b"ef", b"gh"]


def test_what_came_before_an_error_is_gathered_before_it_is_raised() -> None:
    def broken() -> Iterator[Batch]:
        yield Batch(b"abc", 3)
        raise DecodeError("broken")

    windows = gather(broken(), 100)
    assert next(windows).data == b"abc"
    with pytest.raises(DecodeError, match="broken"):
        next(windows)


def test_an_interrupted_dump_raises_at_its_end() -> None:
    conntrack, _ = play(Step(dump_of(A), done(interrupted=True)))
    rows = iter(conntrack.dump())
    assert next(rows) == A
    with pytest.raises(DumpInterruptedError):
        next(rows)


def test_an_interrupted_dump_is_retried() -> None:
    conntrack, kernel = play(
        Step(dump_of(A, A), done(interrupted=True)), Step(dump_of(A, B), done())
    )
    assert list(conntrack.dump(on_interrupt="retry")) == [A, B]
    assert kernel.finished


def test_retrying_has_an_end() -> None:
    conntrack, _ = play(*[Step(done(interrupted=True)) for _ in range(10)])
    with pytest.raises(DumpInterruptedError, match="10 times"):
        list(conntrack.dump(on_interrupt="retry"))


def test_an_interrupted_dump_is_accepted_and_says_so() -> None:
    conntrack, _ = play(Step(dump_of(A), done(interrupted=True)))
    rows = conntrack.dump(on_interrupt="accept")
    assert list(rows) == [A]
    assert rows.interrupted


def test_a_refused_dump() -> None:
    conntrack, _ = play(Step(ack(errno.EPERM)))
    with pytest.raises(PermissionDeniedError, match="CAP_NET_ADMIN") as caught:
        list(conntrack.dump())
    assert caught.value.errno == errno.EPERM


def test_an_error_at_the_end_of_a_dump() -> None:
    conntrack, _ = play(Step(dump_of(A), done(errno=errno.ENOMEM)))
    with pytest.raises(KernelError) as caught:
        list(conntrack.dump())
    assert caught.value.errno == errno.ENOMEM


def test_a_refusal_carries_errno_operation_words_and_flow() -> None:
    conntrack, _ = play(Step(ack(errno.EOPNOTSUPP, "no such thing here")))
    with pytest.raises(NotSupportedError) as caught:
        conntrack.create(A)
    error = caught.value
    assert (error.errno, error.operation) == (errno.EOPNOTSUPP, "creating a flow")
    assert error.ext_ack == "no such thing here"
    assert error.flow is A
    assert "no such thing here" in str(error)
    assert "10.0.0.1" in str(error)


def test_get_takes_the_answer() -> None:
    conntrack, _ = play(Step(reply(A), ack()))
    assert conntrack.get(A.orig or A) == A


def test_an_answer_of_another_conversation_is_left_alone() -> None:
    conntrack, _ = play(Step(lambda _: dump_of(B)(b"\0" * 16), reply(A), ack()))
    assert conntrack.get(A) == A


def test_truncation_is_an_error() -> None:
    conntrack, _ = play(Step(TRUNCATED))
    with pytest.raises(KernelError) as caught:
        list(conntrack.dump())
    assert caught.value.errno == errno.EMSGSIZE


def test_a_lost_answer_is_never_taken_for_success() -> None:
    conntrack, _ = play(Step(ENOBUFS))
    with pytest.raises(KernelError) as caught:
        conntrack.load([A, B])
    assert caught.value.errno == errno.ENOBUFS


def test_a_broken_dump_is_a_decode_error() -> None:
    conntrack, _ = play(Step(lambda request: dump_of(A)(request)[:-8], done()))
    with pytest.raises(DecodeError):
        list(conntrack.dump())


def test_load_reports_each_refusal() -> None:
    conntrack, kernel = play(
        Step(ack(errno.EEXIST, index=0), ack(errno.EINVAL, "why", index=2)),
    )
    errors = conntrack.load([A, B, C])
    assert [(e.index, e.flow, e.error.errno) for e in errors] == [
        (0, A, errno.EEXIST), (2, C, errno.EINVAL),
    ]  # fmt: skip
    assert errors[1].error.ext_ack == "why"
    assert len(kernel.requests) == 1


def test_load_sends_nothing_of_a_list_with_a_bad_item() -> None:
    conntrack, kernel = play()
    with pytest.raises(RequestError, match="flow 1: timeout"):
        conntrack.load([A, Flow(A.orig)])
    assert kernel.requests == []


def test_delete_matching_counts_only_what_it_deleted() -> None:
    conntrack, _ = play(Step(dump_of(A, B, C), done()), Step(ack(errno.ENOENT, index=0), ack()))
    assert conntrack.delete_matching(Filter(orig_sport=range(1, 3))) == [B]


def test_a_dump_left_half_read_costs_its_socket_only() -> None:
    conntrack, kernel = play(Step(dump_of(A), dump_of(B), done()))
    rows = conntrack.dump()
    assert next(iter(rows)) == A
    rows.close()
    assert kernel.closed == 1
    kernel.queue.clear()
    kernel.steps.append(Step(reply(C), ack()))
    assert conntrack.get(C) == C
    assert kernel.opened == 2


def test_the_script_is_kept_to() -> None:
    conntrack, _ = play(Step(done(), expect=b"other"))
    with pytest.raises(ScriptError, match="expected"):
        list(conntrack.dump())
    with pytest.raises(ScriptError, match="no request left"):
        list(conntrack.dump())
