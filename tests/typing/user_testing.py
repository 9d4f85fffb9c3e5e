"""A user's tests: a scripted kernel, and a namespace as a pytest fixture."""

from collections.abc import Callable
from typing import assert_type

from pyconntrack import AsyncConntrack, Conntrack, Flow
from pyconntrack.testing import (
    ENOBUFS,
    Kernel,
    ScriptedKernel,
    Step,
    ack,
    done,
    dump_of,
    event_message,
    fresh_netns,
    netns_fixture,
    reply,
)

netns = netns_fixture()


def test_in_a_namespace(netns: str) -> None:
    with Conntrack(netns=netns) as ct:
        assert_type(ct.count(), int)


def test_in_memory(flow: Flow) -> None:
    with Kernel(events=1, max_entries=5, accounting=True) as kernel, kernel.connect() as ct:
        assert_type(ct, Conntrack)
        assert_type(kernel.connect_async(), AsyncConntrack)
        assert_type(kernel, Kernel)
        assert_type(kernel.now, float)
        assert_type(kernel.max_entries, int)
        kernel.advance(0.5)
        kernel.track(flow)
    Kernel(events=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kernel.track("flow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_with_a_script(flow: Flow) -> None:
    kernel = ScriptedKernel(
        [Step(dump_of(flow), done(interrupted=True)), Step(reply(flow)), Step(ack(2, "no"))],
        unasked=[event_message("new", flow), ENOBUFS],
        loss=3,
    )
    assert_type(Conntrack(transport=kernel), Conntrack)
    assert_type(AsyncConntrack(transport=kernel), AsyncConntrack)
    assert_type(kernel.finished, bool)
    assert_type(kernel.requests, list[bytes])
    assert_type(kernel.steps, list[Step])
    assert_type(kernel.dropped, int)
    assert_type(dump_of(flow), Callable[[bytes], bytes])
    with fresh_netns() as path:
        assert_type(path, str)
    Step(flow)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ScriptedKernel(Step(done()))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    event_message("new", "flow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ack(errno="ENOENT")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
