"""Refusals of the running kernel: the class of the error, and the attribute that it names."""

from __future__ import annotations

import asyncio
import errno

import pytest

from pyconntrack import (
    AsyncConntrack,
    Conntrack,
    ExistsError,
    Expect,
    Flow,
    KernelError,
    NotFoundError,
    NotSupportedError,
    Tuple,
)
from support.netns import Namespace

ONE = Tuple("10.0.0.1", "10.0.0.2", "tcp", 1000, 80)
FLOW = Flow(ONE, timeout=60)
WHOLE = Tuple("255.255.255.255", "255.255.255.255", "tcp", 65535, 65535)
EXPECTED = Tuple("10.0.0.2", "10.0.0.1", "tcp", 20, 2000)


def test_what_is_not_there(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        for verb in conntrack.get, conntrack.delete, conntrack.get_expectation:
            with pytest.raises(NotFoundError, match="does not exist"):
                verb(ONE)
        with pytest.raises(NotFoundError):
            conntrack.update(ONE, mark=5)
        with pytest.raises(NotFoundError):
            conntrack.delete_expectation(ONE)
        with pytest.raises(NotFoundError, match="master that it names does not exist"):
            conntrack.create_expectation(Expect(EXPECTED, WHOLE, ONE, timeout=60))
    with pytest.raises(NotFoundError, match="opening network namespace no-such-name"):
        Conntrack("no-such-name")


def test_what_is_there_already(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.create(FLOW)
        with pytest.raises(ExistsError) as caught:
            conntrack.create(FLOW)
        assert caught.value.attribute is None
        [refused] = conntrack.load([FLOW])
        assert type(refused.error) is ExistsError


def test_a_helper_that_the_kernel_lacks(netns: Namespace) -> None:
    with Conntrack() as conntrack, pytest.raises(NotSupportedError):
        conntrack.create(FLOW.replace(helper="no-such-helper"))


def test_the_refused_attribute_of_a_flow(netns: Namespace) -> None:
    long = FLOW.replace(labels=bytes([1]) * 20)
    with Conntrack() as conntrack:
        with pytest.raises(KernelError) as caught:
            conntrack.create(long)
        assert (caught.value.errno, caught.value.attribute) == (errno.ERANGE, "labels")
        assert "(attribute labels)" in str(caught.value)
        refused = conntrack.load([FLOW, long, FLOW.replace(zone=5), long])
        assert [(one.index, one.error.attribute) for one in refused] == [
            (1, "labels"), (3, "labels"),
        ]  # fmt: skip
        # the kernel checks what lies in nests without a word
        with pytest.raises(KernelError) as caught:
            conntrack.create(FLOW.replace(zone=6, tcp_state=200))
        assert (caught.value.ext_ack, caught.value.attribute) == ("", None)
        assert conntrack.count() == 2


@pytest.mark.parametrize(
    ("fields", "attribute"), [({"flags": 1 << 31}, "flags"), ({"helper": "x" * 20}, "helper")]
)
def test_the_refused_attribute_of_an_expectation(
    netns: Namespace, fields: dict[str, object], attribute: str
) -> None:
    wrong = Expect(EXPECTED, WHOLE, ONE, timeout=60, **fields)  # type: ignore[arg-type]
    with Conntrack() as conntrack:
        conntrack.create(FLOW)
        with pytest.raises(KernelError) as caught:
            conntrack.create_expectation(wrong)
        if caught.value.ext_ack:  # a kernel without a mask of the flags looks for the helper first
            assert caught.value.attribute == attribute

    async def asynchronously() -> None:
        async with AsyncConntrack() as conntrack:
            with pytest.raises(KernelError) as again:
                await conntrack.create_expectation(wrong)
            assert str(again.value) == str(caught.value)

    asyncio.run(asynchronously())
